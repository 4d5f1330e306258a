"""Scores on held-out renders, by the way inference goes: whole images, framed, at their native size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.core.metrics import abs_rel, angle_deg, delta1, fit_least_squares
from e2e_depth_ros.model.facts import CheckpointFacts
from e2e_depth_ros.model.one_step import OneStepModel, depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.augmentation import View

MIN_DEPTH_M = 1e-3
MIN_PIXELS = 100


@dataclass(frozen=True)
class Scores:
    """Means over images.

    Attributes:
        abs_rel: |prediction - truth| / truth after a least-squares scale and shift.
        delta1: Share of pixels off by less than a factor of 1.25.
        normals_deg: Angle to the true normals, degrees.
        row_abs_rel: `abs_rel` of depth that is linear in the image row: what guessing reaches.
        images: Images with depth to score.
    """

    abs_rel: float
    delta1: float
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
    model: OneStepModel, views: Sequence[View], processing_resolution: int, facts: CheckpointFacts
) -> list[Predicted]:
    """Predict views, one by one, at their native size.

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
        latents = model.encode(framing.apply(native.float() / 127.5 - 1))
        decoded = model.decode(model.predict(latents.repeat(len(tasks), 1, 1, 1), tasks)).float()
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
    depth_scores, row_scores, angles = [], [], []
    for view, one in zip(views, predicted, strict=True):
        depth_m = view.depth_m
        if one.depth is not None and np.count_nonzero(depth_m > 0) >= MIN_PIXELS:
            rows = np.broadcast_to(-np.arange(depth_m.shape[0], dtype=np.float32)[:, None], depth_m.shape)
            depth_scores.append(_depth_scores(one.depth.numpy(), depth_m))
            row_scores.append(_depth_scores(rows, depth_m)[0])
        known = np.square(view.normals).sum(axis=-1) > 0.25
        if one.normals is not None and np.count_nonzero(known) >= MIN_PIXELS:
            normals = one.normals.numpy().transpose(1, 2, 0)
            angles.append(float(angle_deg(normals[known], view.normals[known]).mean()))
    abs_rel_mean, delta1_mean = np.mean(depth_scores, axis=0) if depth_scores else (np.nan, np.nan)
    return Scores(
        abs_rel=float(abs_rel_mean),
        delta1=float(delta1_mean),
        normals_deg=float(np.mean(angles)) if angles else float("nan"),
        row_abs_rel=float(np.mean(row_scores)) if row_scores else float("nan"),
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


def _depth_scores(prediction: NDArray[Any], depth_m: NDArray[Any]) -> tuple[float, float]:
    """Return AbsRel and delta1 of one image after `fitted_depth`."""
    known = depth_m > 0
    fitted = fitted_depth(prediction, depth_m)[known]
    return abs_rel(fitted, depth_m[known]), delta1(fitted, depth_m[known])
