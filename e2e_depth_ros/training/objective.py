"""What a training step minimises: the losses of one batch, through the forward that inference runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from e2e_depth_ros.model.one_step import OneStepModel
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import depth_loss, normals_loss
from e2e_depth_ros.training.recipe import LossRecipe
from e2e_depth_ros.training.target_noise import TargetNoise


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, scalars."""

    total: Tensor
    depth: Tensor
    normals: Tensor


def batch_losses(
    model: OneStepModel,
    batch: Batch,
    recipe: LossRecipe,
    normals_signs: Tensor,
    noise: TargetNoise | None = None,
    number: int = 0,
) -> Losses:
    """Predict a batch and score it.

    Depth and normals of each image share one pass through the encoder.

    Args:
        model: The network.
        batch: On the model's device.
        recipe: The losses.
        normals_signs: (3,), what turns normals of the network's axes into the optical frame's, and back.
        noise: What the target's latents start from; None for zeros.
        number: Of the batch in the whole training; chooses the noise.
    """
    losses = {Task.DEPTH: recipe.depth.weight, Task.NORMALS: recipe.normals.weight}
    tasks = [task for task, weight in losses.items() if weight > 0]
    latents = model.encode(batch.images.float() / 127.5 - 1).repeat(len(tasks), 1, 1, 1)
    start = None if noise is None else noise.draw(latents.shape, number)
    if start is not None:
        start = start.to(latents)
    decoded = model.decode(model.predict(latents, [t for t in tasks for _ in batch.images], start))
    parts = dict(zip(tasks, decoded.chunk(len(tasks)), strict=True))
    depth = normals = decoded.new_zeros((), dtype=torch.float32)
    if Task.DEPTH in parts:
        depth = depth_loss(parts[Task.DEPTH], batch.depth_m, recipe.depth)
    if Task.NORMALS in parts:
        target = batch.normals * normals_signs.view(1, 3, 1, 1)
        normals = normals_loss(parts[Task.NORMALS], target, recipe.normals)
    return Losses(recipe.depth.weight * depth + recipe.normals.weight * normals, depth, normals)
