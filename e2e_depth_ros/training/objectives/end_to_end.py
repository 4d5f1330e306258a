"""End to end (E2E-FT): losses on decoded maps, through the forward that inference runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import facts_of_new_model
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_model
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.maps import MapObjective, map_losses
from e2e_depth_ros.training.recipe import LossRecipe, Recipe
from e2e_depth_ros.training.start import model_from_start
from e2e_depth_ros.training.target_noise import TargetNoise


class EndToEnd(MapObjective):
    """Predict in one step, decode, and compare with the truth (E2E-FT, arXiv 2409.11355, section 4).

    Args:
        recipe: All of the training.
    """

    model: LatentNetwork

    def __init__(self, recipe: Recipe) -> None:
        model, facts, start = _network(recipe)
        super().__init__(model, facts, start)
        model.vae.requires_grad_(recipe.model.train_autoencoder)
        if recipe.model.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        self.loss = recipe.loss
        self.noise = TargetNoise(recipe.model.target_noise, recipe.seed)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        return batch_losses(self.model, batch, self.loss, self.normals_signs, self.noise, number)


def batch_losses(
    model: LatentNetwork,
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
    encoded = model.encode(pixels_from_images(batch.images))
    latents = torch.cat([encoded[:count] for count in counts.values()])
    start = None if noise is None else noise.draw(latents.shape, number)
    if start is not None:
        start = start.to(latents)
    asked = [task for task, count in counts.items() for _ in range(count)]
    decoded = model.decode(model.predict(latents, asked, start))
    maps = dict(zip(counts, torch.split(decoded, list(counts.values())), strict=True))
    return map_losses(maps, batch, recipe, normals_signs)


def _network(recipe: Recipe) -> tuple[LatentNetwork, CheckpointFacts, Path | None]:
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
    upsampling = facts.chosen_upsampling(recipe.model.upsampling)
    return model, replace(facts, target_noise=recipe.model.target_noise, upsampling=upsampling), None
