"""End to end (E2E-FT): losses on decoded maps, through the forward that inference runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from e2e_depth_ros.model.checkpoint import facts_of_new_model, write_checkpoint
from e2e_depth_ros.model.facts import CheckpointFacts
from e2e_depth_ros.model.one_step import OneStepModel
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_model
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import depth_loss, normals_loss
from e2e_depth_ros.training.objectives.base import Losses, Objective
from e2e_depth_ros.training.recipe import LossRecipe, Recipe
from e2e_depth_ros.training.start import add_text_encoder, model_from_start
from e2e_depth_ros.training.target_noise import TargetNoise
from e2e_depth_ros.training.validation import Predicted, predict_views


class EndToEnd(Objective):
    """Predict in one step, decode, and compare with the truth (E2E-FT, arXiv 2409.11355, section 4).

    Args:
        recipe: All of the training.
    """

    model: OneStepModel

    def __init__(self, recipe: Recipe) -> None:
        model, self.facts, self.start = _network(recipe)
        super().__init__(model, self.facts.down_factor)
        model.vae.requires_grad_(recipe.model.train_autoencoder)
        if recipe.model.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        self.processing_resolution = recipe.model.processing_resolution
        self.loss = recipe.loss
        self.noise = TargetNoise(recipe.model.target_noise, recipe.seed)
        self.normals_signs: Tensor
        self.register_buffer("normals_signs", torch.tensor(self.facts.normals_signs), persistent=False)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        return batch_losses(self.model, batch, self.loss, self.normals_signs, self.noise, number)

    def predict(self, views: Sequence[View]) -> list[Predicted]:
        """See `Objective.predict`."""
        return predict_views(self.model, views, self.processing_resolution, self.facts)

    def write(self, folder: Path) -> Path:
        """See `Objective.write`."""
        checkpoint = write_checkpoint(folder, self.model, self.facts)
        if self.start is not None:
            add_text_encoder(checkpoint, self.start)
        return checkpoint


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
    counts = {task: len(batch.images) for task, weight in losses.items() if weight > 0}
    if len(counts) > 1:
        counts[Task.NORMALS] = max(1, round(recipe.normals.share * len(batch.images)))
    encoded = model.encode(batch.images.float() / 127.5 - 1)
    latents = torch.cat([encoded[:count] for count in counts.values()])
    start = None if noise is None else noise.draw(latents.shape, number)
    if start is not None:
        start = start.to(latents)
    asked = [task for task, count in counts.items() for _ in range(count)]
    decoded = model.decode(model.predict(latents, asked, start))
    parts = dict(zip(counts, torch.split(decoded, list(counts.values())), strict=True))
    depth = normals = decoded.new_zeros((), dtype=torch.float32)
    if Task.DEPTH in parts:
        depth = depth_loss(parts[Task.DEPTH], batch.depth_m, recipe.depth)
    if Task.NORMALS in parts:
        target = batch.normals[: counts[Task.NORMALS]] * normals_signs.view(1, 3, 1, 1)
        normals = normals_loss(parts[Task.NORMALS], target, recipe.normals)
    total = recipe.depth.weight * depth + recipe.normals.weight * normals
    return Losses(total, {"depth_loss": depth, "normals_loss": normals})


def _network(recipe: Recipe) -> tuple[OneStepModel, CheckpointFacts, Path | None]:
    """Return the network, what it will be, and the checkpoint that it comes from, if any."""
    if recipe.model.start:
        return model_from_start(recipe.model, recipe.tasks)
    model = build_model(recipe.model, recipe.seed)
    facts = facts_of_new_model(
        recipe.model.name,
        model.unet,
        model.vae,
        tasks=recipe.tasks,
        processing_resolution=recipe.model.processing_resolution,
    )
    return model, replace(facts, target_noise=recipe.model.target_noise), None
