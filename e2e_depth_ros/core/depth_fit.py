"""From predicted depth to metres: fitted to the truth by least squares, held within a range.

Whatever compares depth with a truth goes this way, so that a training's scores are those of an evaluation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import fit_least_squares

MIN_DEPTH_M = 1e-3
"""Nearer truth doesn't count, unless the user says otherwise."""
MAX_DEPTH_M = 80.0
"""Farther truth doesn't count, unless the user says otherwise."""

_LEAST_DISPARITY = 1e-3  # 1 / m, where depth has no upper limit


class DepthFit(NamedTuple):
    """What brings predictions to metres: a scale and a shift, of depth or of disparity.

    Attributes:
        kind: Of the predictions. Metric ones stay as they are.
        scale: scale * prediction + shift is in metres, or in 1 / metres where the kind is disparity.
        shift: See `scale`.
    """

    kind: DepthKind
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def by_least_squares(cls, kind: DepthKind, predicted: NDArray[Any], truth_m: NDArray[Any]) -> DepthFit:
        """Fit predictions to the truth in their own space (MiDaS, Ranftl et al. 2020).

        Args:
            kind: Of the predictions.
            predicted: (N,), of one image, or of several that have scale and shift in common.
            truth_m: (N,), metres, positive.

        Raises:
            InvalidInputError: The shapes differ, nothing is given, or something is not finite.
        """
        if kind is DepthKind.METRIC:
            return cls(kind)
        truth_m = truth_m.astype(np.float64)
        is_disparity = kind is DepthKind.AFFINE_INVARIANT_DISPARITY
        return cls(kind, *fit_least_squares(predicted, 1 / truth_m if is_disparity else truth_m))

    def metres(
        self, depth: DepthMap, min_depth_m: float = MIN_DEPTH_M, max_depth_m: float = MAX_DEPTH_M
    ) -> NDArray[np.float64]:
        """Bring a prediction to metres.

        Args:
            depth: Of the fit's kind.
            min_depth_m: Nearer predictions are moved there.
            max_depth_m: Farther predictions are moved there; may be infinite.

        Returns:
            (H, W), metres, within the range; NaN where nothing is predicted.

        Raises:
            KindError: The depth is of another kind.
        """
        values = depth.require(self.kind).values.astype(np.float64)
        if self.kind is not DepthKind.METRIC:
            values = self.scale * values + self.shift
        if self.kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
            least = 1 / max_depth_m if np.isfinite(max_depth_m) else _LEAST_DISPARITY
            values = 1 / np.maximum(values, least)
        return np.clip(values, min_depth_m, max_depth_m)


def in_range(
    depth_m: NDArray[Any], min_depth_m: float = MIN_DEPTH_M, max_depth_m: float = MAX_DEPTH_M
) -> NDArray[np.bool_]:
    """Tell which true depth counts.

    Args:
        depth_m: Of any shape, metres; not positive or NaN where unknown.
        min_depth_m: Nearer truth doesn't count.
        max_depth_m: Farther truth doesn't count.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((depth_m >= min_depth_m) & (depth_m <= max_depth_m))
