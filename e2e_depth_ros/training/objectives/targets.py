"""Truth as the images that an autoencoder sees."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import quantile_target


def target_images(batch: Batch, task: Task, normals_signs: Tensor) -> Tensor:
    """Return the image that a network should decode to, as Marigold does (arXiv 2312.02145, section 3.2).

    Depth: each image's 2nd to 98th percentile mapped to -1..1, clamped, three times the same; unknown depth
    counts as far. Normals: the vectors themselves; 0 where unknown.

    Args:
        batch: The truth.
        task: Which of it.
        normals_signs: (3,), what turns the optical frame's axes into the network's.

    Returns:
        (B, 3, H, W), in -1..1.
    """
    if task is Task.NORMALS:
        return batch.normals * normals_signs.view(1, 3, 1, 1)
    valid = batch.depth_m > 0
    target = torch.where(valid, quantile_target(batch.depth_m, valid), 1.0).clamp(-1, 1)
    return target[:, None].expand(-1, 3, -1, -1)


def known_latents(batch: Batch, task: Task, down_factor: int) -> Tensor:
    """Tell which latents stand for pixels that are all known, (B, 1, h, w)."""
    known = batch.depth_m > 0 if task is Task.DEPTH else batch.normals.square().sum(dim=1) > 0.25
    unknown = functional.max_pool2d((~known).float()[:, None], down_factor)
    return unknown == 0
