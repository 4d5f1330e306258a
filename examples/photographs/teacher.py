"""A teacher that is better than its pupil: the mean of many passes of networks like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.model.estimator import Estimator

# The quantiles of a pass that become 0 and 1 before the mean.
_NEAR, _FAR = 0.02, 0.98
# What is taught has no unit. This much is added, so that the farthest is eleven times as far as the nearest.
_NEAREST = 0.1


class Teacher:
    """Several checkpoints, each seeing an image in several sizes, as it is and mirrored.

    Args:
        checkpoints: Folders or names.
        resolutions: Longer edges, pixels.
        power: What the mean depth, 0..1, is raised to.
        dtype: Of the networks.
    """

    def __init__(
        self, checkpoints: Sequence[str], resolutions: Sequence[int], power: float, dtype: str = "auto"
    ) -> None:
        self._power = power
        self._estimators = [
            Estimator.load(
                checkpoint,
                engine="torch",
                dtype=dtype,
                processing_resolution=resolution,
                upsampling="bilinear",
                num_threads=1,
            )
            for checkpoint in checkpoints
            for resolution in resolutions
        ]

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Say how far things are.

        Args:
            images: Each (H, W, 3), uint8, RGB, of one size.

        Returns:
            (N, H, W): depth without a unit, > 0.
        """
        both = [*images, *(np.ascontiguousarray(image[:, ::-1]) for image in images)]
        total = np.zeros((len(images), *images[0].shape[:2]))
        for estimator in self._estimators:
            passes = [_spread(one.depth.values) for one in estimator.estimate_batch(both) if one.depth]
            seen, mirrored = np.split(np.stack(passes), 2)
            total += seen + mirrored[:, :, ::-1]
        mean = total / (2 * len(self._estimators))
        return np.asarray(np.maximum(mean, 0) ** self._power + _NEAREST, dtype=np.float32)


def _spread(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = np.quantile(depth, [_NEAR, _FAR])
    return np.asarray((depth.astype(np.float64) - low) / max(high - low, 1e-6))
