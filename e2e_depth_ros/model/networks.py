"""The place that chooses: which network and which sampler a checkpoint's family needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.facts import CheckpointFacts
from e2e_depth_ros.model.family import Family
from e2e_depth_ros.model.geowizard import GeoWizardModel
from e2e_depth_ros.model.geowizard_clip import load_image_encoder
from e2e_depth_ros.model.latent_network import LatentNetwork
from e2e_depth_ros.model.prompt import prompt_embeddings
from e2e_depth_ros.model.samplers import (
    OneStepSampler,
    Sampler,
    ScheduleSampler,
    consistency_scheduler,
    ddim_scheduler,
)
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task


def check_sampling(facts: CheckpointFacts, sampling: Sampling) -> None:
    """Refuse what a checkpoint's family can't do.

    Raises:
        InvalidInputError: Names the option, and what the checkpoint does instead.
    """
    if facts.family.is_one_step:
        asked = {
            "steps": (sampling.steps or 1, 1),
            "an ensemble of": (sampling.ensemble_size, 1),
            "a share carried over of": (sampling.carry, 0),
        }
        for what, (value, only) in asked.items():
            if value != only:
                raise InvalidInputError(
                    f"{facts.name} answers in one deterministic step: expected {what} {only}, got {value:g}"
                )
    elif facts.family is Family.CONSISTENCY and sampling.spacing != Sampling.spacing:
        raise InvalidInputError(
            f"{facts.name} is a consistency model with timesteps of its own: expected spacing "
            f"{Sampling.spacing!r}, which it ignores, got {sampling.spacing!r}"
        )


def network_for(
    facts: CheckpointFacts,
    unet: nn.Module,
    vae: nn.Module,
    sampling: Sampling,
    dtype: torch.dtype,
    *,
    padded_prompt: bool = False,
) -> LatentNetwork:
    """Join the parts to the network of the checkpoint's family, with what asks it for its tasks.

    Args:
        facts: The checkpoint, in a folder.
        unet: With its weights.
        vae: With its weights.
        sampling: As `check_sampling` lets it pass.
        dtype: Of the weights.
        padded_prompt: Ask by the prompt padded to 77 tokens.

    Raises:
        CheckpointError: The prompt's embedding or the image encoder is missing or broken, or the UNet isn't
            one of the family's.
        InvalidInputError: The sampler can't take so many steps.
        MissingDependencyError: transformers is needed and absent.
    """
    embeddings: dict[Task, Tensor] = {}
    if not facts.sees_image_by_clip:
        text = f"{sampling.domain} geometry" if facts.family.is_joint else ""
        embeddings = {
            task: embedding.to(dtype)
            for task, embedding in prompt_embeddings(facts, padded=padded_prompt, text=text).items()
        }
    sampler = _sampler(facts, sampling)
    if not facts.family.is_joint:
        return LatentNetwork(unet, vae, embeddings, sampler)
    image_encoder = None
    if facts.sees_image_by_clip and facts.folder is not None:
        image_encoder = load_image_encoder(facts.folder).to(dtype)
    return GeoWizardModel(unet, vae, embeddings, sampler, domain=sampling.domain, image_encoder=image_encoder)


def _sampler(facts: CheckpointFacts, sampling: Sampling) -> Sampler:
    if facts.family.is_one_step:
        return OneStepSampler(facts.step, "zeros" if facts.family.is_joint else facts.target_noise)
    steps = sampling.steps or facts.steps
    if facts.family is Family.CONSISTENCY:
        return ScheduleSampler(consistency_scheduler(facts.scheduler_config), steps)
    return ScheduleSampler(ddim_scheduler(facts.scheduler_config, sampling.spacing), steps)
