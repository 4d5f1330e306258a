"""Whether an image shows anything: of a covered lens a network invents depth all the same."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_COARSE = 8  # pixels, each way, whose mean is looked at
_LEAST_CONTRAST = 2.0  # standard deviation of those means, of 255
_LEAST_VARIED = 16.0  # the same, of single images, below which their noise would count as change
_LEAST_SHARE = 0.35  # of it in that of single pixels. Noise: an eighth, 0.3 after JPEG; things: 0.85 to 1
_LEAST_PX = 4 * _COARSE  # of a side: smaller images have too few means


def seen_coarsely(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the means of areas of 8 x 8 pixels, (H / 8, W / 8, 3).

    Args:
        image: (H, W, 3).
    """
    height, width = (max(1, length // _COARSE) for length in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def contrasts(coarse: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return by how much each place is brighter than the mean of an image, (h, w), of 255.

    Args:
        coarse: As `seen_coarsely` gives it.
    """
    grey = coarse.astype(np.float32) @ np.full(3, 1 / 3, np.float32)  # faster than a mean
    return np.asarray(grey - grey.mean(), np.float32)


def change_of_image(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """How much two images differ, as a share of how much they vary, whatever their exposure.

    Noise of a still camera is at 0.01 to 0.02; 3 mm and a tenth of a degree from frame to frame are at 0.02
    to 0.09.

    Args:
        before: The `contrasts` of an image.
        now: Those of another one.
    """
    if before.shape != now.shape:
        return 1.0
    exposure = float(np.vdot(before, now)) / max(float(np.vdot(before, before)), 1.0)
    left = now - exposure * before
    varied = max(float(np.vdot(now, now)) / now.size, _LEAST_VARIED**2)
    return float(np.sqrt(np.vdot(left, left) / left.size / varied))


def shows_nothing(image: NDArray[np.uint8], coarse: NDArray[np.uint8]) -> bool:
    """Whether an image is of one colour, or noise: what is left of it when it is seen coarsely is nothing.

    Noise of single pixels averages out over an area, things do not. Too small an image is given the benefit
    of the doubt.

    Args:
        image: (H, W, 3).
        coarse: The same, as `seen_coarsely` gives it.
    """
    if min(image.shape[:2]) < _LEAST_PX:
        return False
    fine = np.ascontiguousarray(image[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE])
    fine_std = float(np.max(cv2.meanStdDev(fine)[1]))
    coarse_std = float(np.max(cv2.meanStdDev(coarse)[1]))
    return coarse_std < max(_LEAST_CONTRAST, _LEAST_SHARE * fine_std)
