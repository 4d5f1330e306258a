"""Marigold's training: a denoiser of the latents of depth or normals, given those of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.prediction import MARIGOLD_AXES
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.multi_step import DIFFUSION, ScheduleSampler, ddim_scheduler
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER, facts_of_new_model
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_model
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.noising import Noising
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.maps import MapObjective
from e2e_depth_ros.training.objectives.targets import known_latents, target_images
from e2e_depth_ros.training.recipe import Recipe
from e2e_depth_ros.training.start import diffusion_scheduler, parts_from_start


class Diffusion(MapObjective):
    """Noise the latents of a map, and score what the network says of them (Marigold, arXiv 2312.02145).

    The image's latents stay clean. Latents that stand for an unknown pixel don't count. The autoencoder is
    frozen: nothing here could train it.

    Args:
        recipe: All of the training.

    Raises:
        CheckpointError: The checkpoint to start from isn't there or isn't whole.
        InvalidInputError: The network can't be trained so.
    """

    model: LatentNetwork

    def __init__(self, recipe: Recipe) -> None:
        model, facts, start = _network(recipe)
        super().__init__(model, facts, start)
        model.vae.requires_grad_(requires_grad=False)
        if recipe.model.gradient_checkpointing:
            model.unet.enable_gradient_checkpointing()
        self.weights = {Task.DEPTH: recipe.loss.depth.weight, Task.NORMALS: recipe.loss.normals.weight}
        self.noising = Noising(recipe.diffusion, self.facts.scheduler_config, recipe.seed)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        tasks = [task for task in Task if task in self.facts.tasks]
        with torch.no_grad():
            targets = [target_images(batch, task, self.normals_signs) for task in tasks]
            encoded = self.model.encode(torch.cat([pixels_from_images(batch.images), *targets])).float()
            image, *clean = encoded.chunk(1 + len(tasks))
            noised = self.noising(torch.cat(clean), number)
        unet_input = torch.cat([image.repeat(len(tasks), 1, 1, 1), noised.latents], dim=1)
        prompts = self.model.prompts([task for task in tasks for _ in batch.images])
        output = self.model.unet(unet_input, noised.timesteps, prompts, return_dict=False)[0]
        errors = (output.float() - noised.output).square().chunk(len(tasks))
        total = output.new_zeros((), dtype=torch.float32)
        parts = {}
        for task, error in zip(tasks, errors, strict=True):
            known = known_latents(batch, task, self.down_factor).to(error)
            loss = (error * known).sum() / (known.sum() * error.shape[1]).clamp(min=1)
            parts[f"{task.value}_loss"] = loss
            total = total + self.weights[task] * loss
        return Losses(total, parts)


def _network(recipe: Recipe) -> tuple[LatentNetwork, CheckpointFacts, Path | None]:
    """Return the network, what it will be, and the checkpoint that it comes from, if any."""
    folder, found = None, None
    if recipe.model.start:
        unet, vae, prompts, found, folder = parts_from_start(recipe.model, recipe.tasks)
        scheduler, axes = dict(found.scheduler_config), found.normals_axes
    else:
        new = build_model(recipe.model, recipe.seed)
        unet, vae = new.unet, new.vae
        prompts = {task: new.prompt_embedding(task) for task in recipe.tasks}
        scheduler, axes = dict(ONE_STEP_SCHEDULER), MARIGOLD_AXES
    facts = facts_of_new_model(
        recipe.model.name,
        unet,
        vae,
        tasks=recipe.tasks,
        processing_resolution=recipe.model.processing_resolution,
    )
    facts = replace(
        facts,
        family=DIFFUSION,
        steps=recipe.diffusion.steps,
        scheduler_config=diffusion_scheduler(scheduler, zero_terminal_snr=recipe.diffusion.zero_terminal_snr),
        normals_axes=axes,
        upsampling=(found or facts).chosen_upsampling(recipe.model.upsampling),
    )
    sampler = ScheduleSampler(ddim_scheduler(facts.scheduler_config, "trailing"), facts.steps)
    return LatentNetwork(unet, vae, prompts, sampler).train(), facts, folder
