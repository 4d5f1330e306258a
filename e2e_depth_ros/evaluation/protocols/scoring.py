"""How the published evaluations score one frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from e2e_depth_ros.core.depth_fit import DepthFit
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.core.metrics import DepthScores, NormalErrors, score_depth

LEAST_DEPTH_M: Final = 1e-6
"""Nearer predictions are moved there, whatever the range of the data set."""


@dataclass(frozen=True)
class DepthRules:
    """Affine-invariant depth as Marigold's evaluation scores it (Ke et al., arXiv 2312.02145, section 4.1).

    A prediction is brought to the target by one scale and shift an image, by least squares over all pixels
    that count. It is then moved into the range of the data set. The score of a set is the mean of the scores
    of its images.

    Attributes:
        min_depth_m: Nearer predictions are moved there.
        max_depth_m: Farther predictions are moved there; may be infinite.
        fit_resolution: Where a longer edge of the image is above it, the fit takes only as many columns,
            evenly picked. (The published evaluation thins out columns, not rows.) None takes all.
    """

    min_depth_m: float
    max_depth_m: float
    fit_resolution: int | None = None

    def metres(self, prediction: DepthMap, target: DepthMap) -> NDArray[np.float64]:
        """Bring a prediction to metres.

        Returns:
            (H, W), metres, in the range; NaN where nothing was predicted.

        Raises:
            InvalidInputError: The sizes differ, nothing is left for the fit, or a prediction is missing where
                there is a target.
        """
        if prediction.size != target.size:
            raise InvalidInputError(
                f"expected depth of the image's size {target.size}, got {prediction.size}"
            )
        missing = int(np.count_nonzero(target.valid & ~prediction.valid))
        if missing:
            raise InvalidInputError(f"expected depth at every measured pixel, got none at {missing} of them")
        least_m = max(self.min_depth_m, LEAST_DEPTH_M)
        return self._fit(prediction, target).metres(prediction, least_m, self.max_depth_m)

    def score(self, prediction: DepthMap, target: DepthMap) -> DepthScores:
        """Score one image at the pixels where the target is valid; see `metres`."""
        return score_depth(self.metres(prediction, target)[target.valid], target.values[target.valid])

    def _fit(self, prediction: DepthMap, target: DepthMap) -> DepthFit:
        columns = fit_columns(target.size, self.fit_resolution)
        valid = target.valid[:, columns]
        if not valid.any() and prediction.kind is not DepthKind.METRIC:
            raise InvalidInputError("expected a pixel that counts among those of the fit, found none")
        predicted, truth_m = (depth.values[:, columns][valid] for depth in (prediction, target))
        return DepthFit.by_least_squares(prediction.kind, predicted, truth_m)


def fit_columns(size: tuple[int, int], resolution: int | None) -> NDArray[np.int64]:
    """Pick the columns that take part in the fit.

    Args:
        size: (H, W).
        resolution: See `DepthRules.fit_resolution`.

    Returns:
        Indices of the columns, as torch's nearest interpolation by resolution / max(H, W) picks them.
    """
    width = size[1]
    factor = math.inf if resolution is None else resolution / max(size)
    if factor >= 1:
        return np.arange(width)
    columns = torch.arange(width, dtype=torch.float64)[None, None]
    picked = torch.nn.functional.interpolate(columns, scale_factor=factor, mode="nearest")
    return np.asarray(picked[0, 0].to(torch.int64).numpy())


@dataclass(frozen=True)
class NormalsRules:
    """Normals as DSINE's evaluation scores them (Bae and Davison 2024): pixels of all images are pooled."""

    def score(self, prediction: NormalMap, target: NormalMap) -> NormalErrors:
        """Gather the angles of one image at the pixels where the target is valid.

        Raises:
            InvalidInputError: The sizes differ, or a prediction is missing where there is a target.
        """
        if prediction.size != target.size:
            raise InvalidInputError(
                f"expected normals of the image's size {target.size}, got {prediction.size}"
            )
        missing = int(np.count_nonzero(target.valid & ~prediction.valid))
        if missing:
            raise InvalidInputError(
                f"expected normals wherever the target has one, got none at {missing} pixels"
            )
        errors = NormalErrors()
        errors.add(prediction.values[target.valid], target.values[target.valid])
        return errors
