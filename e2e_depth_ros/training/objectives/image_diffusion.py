"""A Stable Diffusion in small: images from noise, the start of what learns depth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE
from e2e_depth_ros.model.checkpoint.saving import save_tensors
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import (
    ONE_STEP_SCHEDULER,
    OneStepSampler,
    denoising_step,
    facts_of_new_model,
)
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_autoencoder, build_unet
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.noising import Noising
from e2e_depth_ros.training.objectives.base import Losses, Objective
from e2e_depth_ros.training.recipe import ModelRecipe, Recipe
from e2e_depth_ros.training.start import diffusion_scheduler

_PARTS = ("unet", "vae", "scheduler", "text_encoder", "tokenizer")


class ImageDiffusion(Objective):
    """Noise the latents of images, and score what the network says of them (arXiv 2112.10752), unprompted.

    The checkpoint has Stable Diffusion's layout: it predicts nothing by itself, and `model.start` takes it.

    Args:
        recipe: All of the training; of the losses nothing is read.
    """

    model: LatentNetwork  # for its parts: this network takes many steps, and none of them to depth

    def __init__(self, recipe: Recipe) -> None:
        if recipe.model.start:
            raise InvalidInputError(
                "model.start: expected none for image_diffusion, which begins with random weights on "
                "model.autoencoder.start"
            )
        model = _network(recipe.model, recipe.seed)
        facts = facts_of_new_model(
            recipe.model.name,
            model.unet,
            model.vae,
            tasks=(Task.DEPTH,),
            processing_resolution=recipe.model.processing_resolution,
        )
        zero_snr = recipe.diffusion.zero_terminal_snr
        super().__init__(model, facts.down_factor)
        scheduler = diffusion_scheduler(zero_terminal_snr=zero_snr)
        # As in Stable Diffusion, and a silent index: so nobody takes it for a network of one step.
        scheduler["timestep_spacing"] = "leading"
        self.facts = replace(facts, scheduler_config=scheduler)
        model.vae.requires_grad_(requires_grad=False)
        if recipe.model.gradient_checkpointing:
            model.unet.enable_gradient_checkpointing()
        self.noising = Noising(recipe.diffusion, self.facts.scheduler_config, recipe.seed)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        with torch.no_grad():
            noised = self.noising(self.model.encode(pixels_from_images(batch.images)).float(), number)
        prompts = self.model.prompts([Task.DEPTH] * len(batch.images))
        output = self.model.unet(noised.latents, noised.timesteps, prompts, return_dict=False)[0]
        loss = (output.float() - noised.output).square().mean()
        return Losses(loss, {"image_loss": loss})

    def write(self, folder: Path) -> Path:
        """See `Objective.write`."""
        checkpoint = write_checkpoint(folder, self.model, self.facts)
        # One prompt, the empty one, that any task may ask by; and an index that names no task.
        prompt = self.model.prompt_embedding(Task.DEPTH).detach().cpu().contiguous().clone()
        save_tensors({"empty": prompt}, checkpoint / PROMPT_FILE)
        index_path = checkpoint / "model_index.json"
        index_path.write_text(json.dumps(_index(index_path), indent=2) + "\n", encoding="utf-8")
        return checkpoint


def _network(recipe: ModelRecipe, seed: int) -> LatentNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = build_autoencoder(recipe.autoencoder)
        unet = build_unet(recipe.unet, vae.config.latent_channels, reads_target=False)
        prompt = torch.randn(1, recipe.unet.prompt_tokens, recipe.unet.prompt_channels)
    sampler = OneStepSampler(denoising_step(ONE_STEP_SCHEDULER))
    return LatentNetwork(unet, vae, {Task.DEPTH: prompt}, sampler).train()


def _index(path: Path) -> Mapping[str, object]:
    index = json.loads(path.read_text(encoding="utf-8"))
    parts = {name: value for name, value in index.items() if name in _PARTS}
    resolution = index["default_processing_resolution"]
    return {"_class_name": "StableDiffusionPipeline", **parts, "default_processing_resolution": resolution}
