"""A teacher that is better than its pupil: the mean of many looks, with the outlines of one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.model.estimator import Estimator

# The quantiles of a look that become 0 and 1 before the mean.
_NEAR, _FAR = 0.02, 0.98
# What is taught has no unit. This much is added, so that the farthest is eleven times as far as the nearest.
_NEAREST = 0.1
# Standard deviation of the blur that parts surfaces from outlines, a share of the longer edge. Looks disagree
# by a few pixels on where things end, so their mean knows no more about what is finer.
_OUTLINE = 1 / 40


class Teacher:
    """Several checkpoints, each seeing an image in several sizes, every other time mirrored.

    Args:
        checkpoints: Folders or names. The last one's finest look gives the outlines.
        resolutions: Longer edges, pixels.
        power: What the mean depth, 0..1, is raised to.
        dtype: Of the networks.
    """

    def __init__(
        self, checkpoints: Sequence[str], resolutions: Sequence[int], power: float, dtype: str = "auto"
    ) -> None:
        self._power = power
        # Each look by its network, and whether it is mirrored. The first gives the outlines, and is not.
        self._looks = [
            (
                Estimator.load(
                    checkpoint,
                    dtype=dtype,
                    processing_resolution=resolution,
                    upsampling="bilinear",
                    num_threads=1,
                ),
                (i + j) % 2 == 1,
            )
            for i, checkpoint in enumerate(reversed(checkpoints))
            for j, resolution in enumerate(sorted(resolutions, reverse=True))
        ]

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Say how far things are.

        Args:
            images: Each (H, W, 3), uint8, RGB, of one size.

        Returns:
            (N, H, W): depth without a unit, > 0.
        """
        looks = [_look(estimator, images, mirrored=mirrored) for estimator, mirrored in self._looks]
        depth = [_with_outlines(*pair) for pair in zip(np.mean(looks, axis=0), looks[0], strict=True)]
        return np.asarray(np.maximum(depth, 0) ** self._power + _NEAREST, dtype=np.float32)


def _look(
    estimator: Estimator, images: Sequence[NDArray[np.uint8]], *, mirrored: bool
) -> NDArray[np.float32]:
    turn = slice(None, None, -1 if mirrored else 1)
    seen = estimator.estimate_batch([np.ascontiguousarray(image[:, turn]) for image in images])
    return np.stack([_spread(one.depth.values)[:, turn] for one in seen if one.depth])


def _spread(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.quantile(depth, [_NEAR, _FAR])
    return np.asarray((depth - low) / max(high - low, 1e-6), dtype=np.float32)


def _with_outlines(mean: NDArray[np.float32], finest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean, in which whatever is finer than `_OUTLINE` is that of the finest look.

    A mean of looks is soft where they disagree on an outline by a pixel, and a pupil learns that, too.
    """
    change = cv2.GaussianBlur(mean - finest, (0, 0), _OUTLINE * max(mean.shape))
    return np.asarray(finest + change, dtype=np.float32)
