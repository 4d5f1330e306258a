"""An instructed mask: which pixels an instruction means."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.model.instruct.paint import Paint, find_paint

MASK_OPACITY = 0.5
"""Of the colour that InstructDiffusion learned to lay over what it segments."""

_LEAST_AREA = 2e-4  # share of the image: what is smaller is a speckle


@dataclass(frozen=True, eq=False)
class InstructedMask:
    """What an instruction means in an image.

    Attributes:
        values: (H, W), bool, True on what was asked for.
        confidence: (H, W), float32, 0 (could be either) .. 1 (certain) that the value is right.
        noise: See `Paint`.
        unexplained: See `Paint`.
    """

    values: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    noise: float
    unexplained: float


def mask_from_painting(
    painted: NDArray[np.floating], original: NDArray[np.floating], colour: tuple[int, int, int]
) -> InstructedMask:
    """Read the mask off an image in which the network painted it.

    Args:
        painted: See `find_paint`.
        original: See `find_paint`.
        colour: That it was told to paint with, see `COLOURS`.

    Raises:
        InvalidInputError: See `find_paint`.
    """
    return mask_from_paint(find_paint(painted, original, colour, MASK_OPACITY))


def mask_from_paint(paint: Paint, threshold: float = 0.5) -> InstructedMask:
    """Decide pixel by pixel, and drop speckles; of those the confidence is 0.

    Args:
        paint: What was found.
        threshold: Probability above which a pixel is masked.
    """
    values = paint.probability > threshold
    confidence = np.abs(2 * paint.probability - 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(values.astype(np.uint8), connectivity=8)
    areas = stats[:count, cv2.CC_STAT_AREA]
    speckle = areas < _LEAST_AREA * values.size
    speckle[0] = False  # the background
    dropped = speckle[labels]
    confidence[dropped] = 0
    return InstructedMask(values & ~dropped, confidence, paint.noise, paint.unexplained)
