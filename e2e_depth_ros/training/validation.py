"""Scores on held-out renders, by the way inference goes: whole images, framed, at their native size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.model.one_step import OneStepModel, depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.losses import angle_between, fit_scale_and_shift

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
    """What the network says of one view.

    Attributes:
        depth: (H, W), 0 near .. 1 far.
        normals: (3, H, W), unit length, optical frame.
    """

    depth: Tensor
    normals: Tensor


@torch.inference_mode()
def predict_views(
    model: OneStepModel, views: Sequence[View], processing_resolution: int, multiple: int
) -> list[Predicted]:
    """Predict depth and normals of views, one by one, at their native size.

    Args:
        model: Predicts in the mode it is in.
        views: Of any sizes.
        processing_resolution: Longer edge that the network sees, pixels.
        multiple: What the network's input must be divisible by.
    """
    device = next(model.parameters()).device
    predicted = []
    for view in views:
        framing = framing_for(view.depth_m.shape, processing_resolution, multiple)
        native = torch.from_numpy(view.image.transpose(2, 0, 1).copy()).to(device)[None]
        latents = model.encode(framing.apply(native.float() / 127.5 - 1))
        decoded = model.decode(
            model.predict(torch.cat([latents, latents]), [Task.DEPTH, Task.NORMALS])
        ).float()
        depth = framing.invert(depth_from_decoded(decoded[:1])[:, None])[0, 0]
        normals = framing.invert(normals_from_decoded(decoded[1:]))[0]
        normals = normals / torch.linalg.vector_norm(normals, dim=0, keepdim=True).clamp(min=1e-6)
        predicted.append(Predicted(depth.cpu(), normals.cpu()))
    return predicted


def score(views: Sequence[View], predicted: Sequence[Predicted]) -> Scores:
    """Score predictions of views."""
    depth_scores, row_scores, angles = [], [], []
    for view, one in zip(views, predicted, strict=True):
        truth = torch.from_numpy(view.depth_m)
        normals = torch.from_numpy(view.normals.transpose(2, 0, 1).copy())
        if (truth > 0).sum() >= MIN_PIXELS:
            rows = -torch.arange(truth.shape[0], dtype=torch.float32)[:, None].expand(truth.shape)
            depth_scores.append(depth_scores_of(one.depth, truth))
            row_scores.append(depth_scores_of(rows, truth)[0])
        known = normals.square().sum(dim=0) > 0.25
        if known.sum() >= MIN_PIXELS:
            angle = angle_between(one.normals[None], normals[None])[0][known]
            angles.append(float(torch.rad2deg(angle).mean()))
    abs_rel, delta1 = np.mean(depth_scores, axis=0) if depth_scores else (np.nan, np.nan)
    return Scores(
        abs_rel=float(abs_rel),
        delta1=float(delta1),
        normals_deg=float(np.mean(angles)) if angles else float("nan"),
        row_abs_rel=float(np.mean(row_scores)) if row_scores else float("nan"),
        images=len(depth_scores),
    )


def fitted_depth(prediction: Tensor, truth: Tensor) -> Tensor:
    """Bring a prediction to the truth's metres by least squares, (H, W) each; truth 0 = unknown."""
    known = (truth > 0).double()[None]
    prediction, truth = prediction.double()[None], truth.double()[None]
    fit = fit_scale_and_shift(prediction, truth, known, min_variance=1e-12)
    fitted = fit.scale * prediction + fit.shift
    return fitted.clamp(MIN_DEPTH_M, max(MIN_DEPTH_M, float(truth.max())))[0]


def depth_scores_of(prediction: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return AbsRel and delta1 of one image after `fitted_depth`."""
    known = truth > 0
    fitted, truth = fitted_depth(prediction, truth)[known], truth.double()[known]
    ratio = torch.maximum(fitted / truth, truth / fitted)
    return float(((fitted - truth).abs() / truth).mean()), float((ratio < 1.25).double().mean())
