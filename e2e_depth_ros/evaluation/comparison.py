"""How predicted depth is compared with measured depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M, MIN_DEPTH_M, DepthFit
from e2e_depth_ros.core.edge_metrics import EdgeMatches, match_edges
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.core.metrics import DepthScores, score_depth
from e2e_depth_ros.core.targets import DepthTarget


@dataclass(frozen=True)
class Protocol:
    """How depth is compared.

    Attributes:
        min_depth_m: Nearer targets don't count, and nearer predictions are moved there.
        max_depth_m: Farther targets don't count, and farther predictions are moved there.
    """

    min_depth_m: float = MIN_DEPTH_M
    max_depth_m: float = MAX_DEPTH_M

    def __post_init__(self) -> None:
        if not 0 < self.min_depth_m < self.max_depth_m < float("inf"):
            raise InvalidInputError(
                f"expected 0 < min < max depth in metres, got {self.min_depth_m} and {self.max_depth_m}"
            )

    def metres(
        self, predictions: Sequence[DepthMap], targets: Sequence[DepthTarget]
    ) -> list[NDArray[np.float64]]:
        """Bring predictions to metres; relative ones by one scale and one shift, fitted by least squares.

        Args:
            predictions: One image, or those of a sequence that have scale and shift in common.
            targets: What was measured in each.

        Returns:
            For each image (H, W), metres, within the range of the protocol; NaN where nothing is predicted.

        Raises:
            InvalidInputError: Sizes or kinds differ, or a prediction is missing where there is a target.
        """
        pairs = [_pair(depth, target) for depth, target in zip(predictions, targets, strict=True)]
        kinds = {depth.kind for depth in predictions}
        if len(kinds) != 1:
            raise InvalidInputError(f"expected depth of one kind, got {sorted(kind.value for kind in kinds)}")
        predicted, truth_m = (np.concatenate(part) for part in zip(*pairs, strict=True))
        fit = DepthFit.by_least_squares(kinds.pop(), predicted, truth_m)
        return [fit.metres(depth, self.min_depth_m, self.max_depth_m) for depth in predictions]

    def score(self, depth: DepthMap, target: DepthTarget) -> tuple[DepthScores, EdgeMatches | None]:
        """Compare one image; a relative prediction is first fitted to the target by least squares.

        Returns:
            Errors of depth, and how its edges match; None where points were measured, which have none.

        Raises:
            InvalidInputError: The sizes differ, or a prediction is missing where there is a target.
        """
        (metres,) = self.metres([depth], [target])
        scores = score_depth(metres[target.row, target.column], target.depth_m)
        dense = target.dense()
        return scores, None if dense is None else match_edges(metres, dense)


def _pair(depth: DepthMap, target: DepthTarget) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return prediction and truth at the measured pixels."""
    if depth.size != target.size:
        raise InvalidInputError(f"expected depth of the image's size {target.size}, got {depth.size}")
    predicted = depth.values[target.row, target.column].astype(np.float64)
    missing = int(np.count_nonzero(~np.isfinite(predicted)))
    if missing:
        raise InvalidInputError(f"expected depth at every measured pixel, got none at {missing} of them")
    return predicted, target.depth_m.astype(np.float64)
