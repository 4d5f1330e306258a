"""Scores on held-out renders, by the way inference goes: whole images, framed, at their native size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.edge_metrics import EdgeMatches, match_edges
from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.core.metrics import DepthScores, angle_deg, fit_least_squares, score_depth
from e2e_depth_ros.model.facts import CheckpointFacts
from e2e_depth_ros.model.latent_network import LatentNetwork
from e2e_depth_ros.model.one_step import depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.datasets import pixels_from_images

MIN_DEPTH_M = 1e-3
MIN_PIXELS = 100


@dataclass(frozen=True)
class Scores:
    """Means over images.

    Attributes:
        abs_rel: |prediction - truth| / truth after a least-squares scale and shift.
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
    """What the network says of one view; None for a task that it isn't trained for.

    Attributes:
        depth: (H, W), 0 near .. 1 far.
        normals: (3, H, W), unit length, optical frame.
    """

    depth: Tensor | None = None
    normals: Tensor | None = None


@torch.inference_mode()
def predict_views(
    model: LatentNetwork, views: Sequence[View], processing_resolution: int, facts: CheckpointFacts
) -> list[Predicted]:
    """Predict views, one by one, at their native size.

    A network that starts from noise starts each view from the same.

    Args:
        model: Predicts in the mode it is in.
        views: Of any sizes.
        processing_resolution: Longer edge that the network sees, pixels.
        facts: The tasks, and how the network is used.
    """
    device = next(model.parameters()).device
    tasks = [task for task in Task if task in facts.tasks]
    predicted = []
    for view in views:
        framing = framing_for(view.depth_m.shape, processing_resolution, facts.down_factor)
        native = torch.from_numpy(view.image.transpose(2, 0, 1).copy()).to(device)[None]
        images = framing.apply(pixels_from_images(native))
        latents = model.encode(images)
        start = None
        if model.starts_from_noise:
            noise = model.draw_noise(latents.shape, torch.Generator().manual_seed(0))
            start = noise.to(latents).repeat(len(tasks), 1, 1, 1)
        predicted_latents = model.denoise(latents, tasks, start, tokens=model.image_tokens(images))
        decoded = model.decode(predicted_latents).float()
        maps = {}
        for task, one in zip(tasks, decoded[:, None], strict=True):
            if task is Task.DEPTH:
                maps["depth"] = framing.invert(depth_from_decoded(one)[:, None])[0, 0].cpu()
            else:
                normals = framing.invert(normals_from_decoded(one, facts.normals_signs))[0]
                length = torch.linalg.vector_norm(normals, dim=0, keepdim=True)
                maps["normals"] = (normals / length.clamp(min=1e-6)).cpu()
        predicted.append(Predicted(**maps))
    return predicted


def score(views: Sequence[View], predicted: Sequence[Predicted]) -> Scores:
    """Score predictions of views."""
    depth_scores: list[DepthScores] = []
    row_scores: list[DepthScores] = []
    edges = EdgeMatches()
    angles: list[float] = []
    for view, one in zip(views, predicted, strict=True):
        depth_m = view.depth_m
        if one.depth is not None and np.count_nonzero(depth_m > 0) >= MIN_PIXELS:
            rows = np.broadcast_to(-np.arange(depth_m.shape[0], dtype=np.float32)[:, None], depth_m.shape)
            fitted = fitted_depth(one.depth.numpy(), depth_m)
            depth_scores.append(_depth_scores(fitted, depth_m))
            row_scores.append(_depth_scores(fitted_depth(rows, depth_m), depth_m))
            edges += match_edges(fitted, depth_m)
        known = np.square(view.normals).sum(axis=-1) > 0.25
        if one.normals is not None and np.count_nonzero(known) >= MIN_PIXELS:
            normals = one.normals.numpy().transpose(1, 2, 0)
            angles.append(float(angle_deg(normals[known], view.normals[known]).mean()))
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


def fitted_depth(prediction: NDArray[Any], depth_m: NDArray[Any]) -> NDArray[np.float64]:
    """Bring a prediction to true metres by least squares.

    Args:
        prediction: (H, W), relative.
        depth_m: (H, W), metres; 0 where unknown.

    Returns:
        (H, W), metres, no nearer than `MIN_DEPTH_M` and no farther than the farthest truth.
    """
    known = depth_m > 0
    scale, shift = fit_least_squares(prediction[known], depth_m[known]) if known.any() else (0.0, 0.0)
    fitted = scale * prediction.astype(np.float64) + shift
    return np.clip(fitted, MIN_DEPTH_M, max(MIN_DEPTH_M, float(depth_m.max())))


def _depth_scores(fitted_m: NDArray[Any], depth_m: NDArray[Any]) -> DepthScores:
    known = depth_m > 0
    return score_depth(fitted_m[known], depth_m[known])


def _mean(numbers: Sequence[float]) -> float:
    """Return the mean; NaN of nothing."""
    return float(np.mean(numbers)) if numbers else float("nan")
