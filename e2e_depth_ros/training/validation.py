"""Scores on held-out renders, by the way inference goes: whole images, framed, at their native size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.depth_fit import MIN_DEPTH_M, DepthFit, in_range
from e2e_depth_ros.core.edge_metrics import EdgeMatches, match_edges
from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.core.metrics import DepthScores, angle_deg, score_depth
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.forward import forward
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.augmentation import View

MIN_PIXELS = 100
"""With true normals, for an image's to be scored."""


@dataclass(frozen=True)
class Scores:
    """Means over images.

    Attributes:
        abs_rel: ``|prediction - truth| / truth`` after a least-squares scale and shift.
        delta1: Share of pixels off by less than a factor of 1.25.
        rmse_m: Root of the mean squared error of depth, metres.
        edge_f1: F1 of depth edges, all images together; see `match_edges`.
        normals_deg: Angle to the true normals, degrees.
        row_abs_rel: `abs_rel` of depth that is linear in the image row: what guessing reaches.
        images: Images with depth to score.
    """

    abs_rel: float
    delta1: float
    rmse_m: float
    edge_f1: float
    normals_deg: float
    row_abs_rel: float
    images: int

    def as_dict(self) -> dict[str, float]:
        """Return the scores by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the network says of one view, at its native size; None for a task that it isn't trained for."""

    depth: DepthMap | None = None
    normals: NormalMap | None = None


def predict_views(
    model: LatentNetwork, views: Sequence[View], processing_resolution: int, facts: CheckpointFacts
) -> list[Predicted]:
    """Predict views, one by one, as `Estimator` does by its defaults: along outlines where the facts say so.

    Args:
        model: Predicts in the mode it is in.
        views: Of any sizes.
        processing_resolution: Longer edge that the network sees, pixels.
        facts: The tasks, and how the network is used.
    """
    tasks = [task for task in Task if task in facts.tasks]
    predicted = []
    for view in views:
        framing = framing_for(view.depth_m.shape, processing_resolution, facts.down_factor)
        (estimate,) = forward(model, facts, [view.image], tasks, framing, Sampling()).estimates
        predicted.append(Predicted(estimate.outlined_depth, estimate.normals))
    return predicted


def score(views: Sequence[View], predicted: Sequence[Predicted]) -> Scores:
    """Score predictions of views, depth as `e2e-depth evaluate` does by its defaults.

    Raises:
        InvalidInputError: Depth is missing where there is a truth.
    """
    depth_scores: list[DepthScores] = []
    row_scores: list[DepthScores] = []
    edges = EdgeMatches()
    angles: list[float] = []
    for view, one in zip(views, predicted, strict=True):
        counts = in_range(view.depth_m)
        if one.depth is not None and counts.any():
            fitted = fitted_depth(one.depth, view.depth_m)
            depth_scores.append(score_depth(fitted[counts], view.depth_m[counts]))
            edges += match_edges(fitted, np.where(counts, view.depth_m, np.nan))
            by_row = fitted_depth(_linear_in_row(one.depth.size), view.depth_m)
            row_scores.append(score_depth(by_row[counts], view.depth_m[counts]))
        if one.normals is not None:
            known = (np.square(view.normals).sum(axis=-1) > 0.25) & one.normals.valid
            if np.count_nonzero(known) >= MIN_PIXELS:
                angles.append(float(angle_deg(one.normals.values[known], view.normals[known]).mean()))
    edge_scores = edges.scores()
    return Scores(
        abs_rel=_mean([one.abs_rel for one in depth_scores]),
        delta1=_mean([one.delta1 for one in depth_scores]),
        rmse_m=_mean([one.rmse_m for one in depth_scores]),
        edge_f1=edge_scores.f1 if edge_scores else float("nan"),
        normals_deg=_mean(angles),
        row_abs_rel=_mean([one.abs_rel for one in row_scores]),
        images=len(depth_scores),
    )


def fitted_depth(prediction: DepthMap, depth_m: NDArray[Any]) -> NDArray[np.float64]:
    """Bring a prediction to metres by the truth that counts; see `DepthFit`.

    Args:
        prediction: Of the view.
        depth_m: (H, W), metres; 0 where unknown.

    Returns:
        (H, W), metres; all at the lower limit where no truth counts.
    """
    counts = in_range(depth_m)
    if not counts.any():
        return np.full(depth_m.shape, MIN_DEPTH_M)
    fit = DepthFit.by_least_squares(prediction.kind, prediction.values[counts], depth_m[counts])
    return fit.metres(prediction)


def _linear_in_row(size: tuple[int, int]) -> DepthMap:
    rows = np.broadcast_to(-np.arange(size[0], dtype=np.float32)[:, None], size)
    return DepthMap(rows, np.ones(size, np.bool_), DepthKind.AFFINE_INVARIANT)


def _mean(numbers: Sequence[float]) -> float:
    """Return the mean; NaN of nothing."""
    return float(np.mean(numbers)) if numbers else float("nan")
