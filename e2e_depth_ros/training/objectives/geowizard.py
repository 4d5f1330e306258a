"""GeoWizard end to end: depth and normals of an image in one step, each attending to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.checkpoint.prompt import prompt_embeddings
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.families.geowizard import JOINT_ONE_STEP, GeoWizardModel, sees_image_by_clip
from e2e_depth_ros.model.families.one_step import OneStepSampler, denoising_step
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.maps import MapObjective, map_losses
from e2e_depth_ros.training.recipe import Recipe
from e2e_depth_ros.training.start import copy_parts, one_step_scheduler

_TASKS = (Task.DEPTH, Task.NORMALS)
_PARTS = {
    "image_encoder": "CLIPVisionModelWithProjection",
    "feature_extractor": "CLIPImageProcessor",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
}


class GeoWizardEndToEnd(MapObjective):
    """E2E-FT of GeoWizard (arXiv 2409.11355, section 4.2 and supplement): 0.5 x depth + normals in the paper.

    Both tasks start from zeros at the last timestep, in one joint pass. Each batch is told its kind of scene,
    so all its images must be of one; to validate, all views count as indoor, as in the published evaluation.
    Autoencoder and CLIP are frozen; gradients flow through the decoder.

    Args:
        recipe: All of the training; `model.start` is a GeoWizard of either version, fine-tuned before or not.

    Raises:
        CheckpointError: The start isn't there or isn't whole.
        InvalidInputError: The start is no GeoWizard, or the recipe asks for what this training can't do.
    """

    model: GeoWizardModel
    start: Path

    def __init__(self, recipe: Recipe) -> None:
        _check(recipe)
        folder = find_checkpoint(recipe.model.start)
        found = read_facts(folder)
        if not found.family.is_joint:
            raise InvalidInputError(
                f"model.start: expected a GeoWizard, got {found.name}: {found.family.title}"
            )
        domains = sorted({source.scene_domain for source in recipe.data.train} | {Sampling.domain})
        prompts = _prompts(found, domains, padded=recipe.model.padded_prompt)
        facts = replace(
            found,
            name=recipe.model.name,
            folder=None,
            scheduler_config=one_step_scheduler(found.scheduler_config),
            processing_resolution=recipe.model.processing_resolution,
            family=JOINT_ONE_STEP,
            steps=1,
            upsampling=found.chosen_upsampling(recipe.model.upsampling),
        )
        loaded = load_checkpoint(folder).model
        model = GeoWizardModel(
            loaded.unet,
            loaded.vae,
            dict.fromkeys(_TASKS, prompts[Sampling.domain]) if prompts else {},
            OneStepSampler(denoising_step(facts.scheduler_config)),
            domain=Sampling.domain,
            image_encoder=getattr(loaded, "image_encoder", None),
        )
        super().__init__(model, facts, folder)
        self.loss = recipe.loss
        model.requires_grad_(False)
        model.unet.requires_grad_(True)
        if recipe.model.train_autoencoder:
            model.vae.requires_grad_(True)
        if recipe.model.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        for domain, prompt in prompts.items():
            self.register_buffer(f"prompt_{domain}", prompt, persistent=False)

    def forward(self, batch: Batch, number: int) -> Losses:  # noqa: ARG002 - nothing is random
        """See `Objective.forward`."""
        images = pixels_from_images(batch.images)
        latents = self.model.denoise(
            self.model.encode(images), _TASKS, tokens=self._tokens(images, batch.domain), domain=batch.domain
        )
        maps = dict(zip(_TASKS, self.model.decode(latents).chunk(2), strict=True))
        return map_losses(maps, batch, self.loss, self.normals_signs)

    def write(self, folder: Path) -> Path:
        """See `Objective.write`: GeoWizard's published layout, with the start's encoders."""
        checkpoint = write_checkpoint(folder, self.model, self.facts)
        copy_parts(checkpoint, self.start, _PARTS)
        return checkpoint

    @torch.no_grad()
    def _tokens(self, images: Tensor, domain: str) -> Tensor:
        """Return what the images attend to, (B, n, d): CLIP's view of each, or the prompt of their domain."""
        tokens = self.model.image_tokens(images)
        if tokens is None:
            prompt: Tensor = getattr(self, f"prompt_{domain}")
            tokens = prompt.expand(len(images), -1, -1)
        return tokens


def _check(recipe: Recipe) -> None:
    domains = {source.scene_domain for source in recipe.data.train}
    wrong = {
        "model.start": ("a GeoWizard to start from", not recipe.model.start),
        "loss": ("a weight of depth and of normals, which are trained together", len(recipe.tasks) < 2),
        "model.reads_target": ("true, as GeoWizard does", not recipe.model.reads_target),
        "model.target_noise": ("zeros", recipe.model.target_noise != "zeros"),
        "data.one_source_per_batch": (
            f"true, as each batch is of one kind of scene, and sources are {' and '.join(sorted(domains))}",
            len(domains) > 1 and not recipe.data.one_source_per_batch,
        ),
    }
    for key, (expected, is_wrong) in wrong.items():
        if is_wrong:
            raise InvalidInputError(f"{key}: expected {expected}, in a training of GeoWizard")


def _prompts(facts: CheckpointFacts, domains: Sequence[str], *, padded: bool) -> dict[str, Tensor]:
    """Return version 2's prompt for each kind of scene, (1, n, d); version 1 has none."""
    if sees_image_by_clip(facts.unet_config):
        return {}
    return {
        domain: prompt_embeddings(facts, padded=padded, text=f"{domain} geometry")[Task.DEPTH]
        for domain in domains
    }
