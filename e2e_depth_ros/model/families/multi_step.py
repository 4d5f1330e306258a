"""From noise to the prediction in any number of steps: Marigold (Ke et al., arXiv 2312.02145)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import Configs
from e2e_depth_ros.model.families.family import NetworkFamily, Predict
from e2e_depth_ros.model.families.noise import gaussian_noise
from e2e_depth_ros.model.sampling import Sampling


class ScheduleSampler:
    """Any number of steps of one of diffusers' schedulers, as its Marigold pipelines take them.

    Args:
        scheduler: Of diffusers.
        steps: How many.

    Raises:
        InvalidInputError: The scheduler can't take so many steps.
    """

    starts_from_noise = True

    def __init__(self, scheduler: Any, steps: int) -> None:
        self.scheduler = scheduler
        self.steps = steps
        try:
            scheduler.set_timesteps(steps)
        except ValueError as error:
            known = scheduler.config.get("original_inference_steps") or scheduler.config.num_train_timesteps
            raise InvalidInputError(f"expected 1 to {known} denoising steps, got {steps}") from error

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """See `Sampler`."""
        return gaussian_noise(shape, generator, dtype)

    def __call__(self, predict: Predict, start: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `Sampler`."""
        latents = start
        self.scheduler.set_timesteps(self.steps)
        for timestep in self.scheduler.timesteps:  # on the CPU: the scheduler's tables are, and needn't wait
            output = predict(latents, timestep.to(latents.device))
            latents = self.scheduler.step(output, timestep, latents, generator=generator).prev_sample
        return latents


def ddim_scheduler(config: Mapping[str, Any], spacing: str) -> Any:
    """Make diffusers' DDIM scheduler of a saved config, of whichever scheduler class.

    Args:
        config: With zero terminal SNR where it says so.
        spacing: Of the timesteps; the saved one is ignored.
    """
    from diffusers.schedulers import DDIMScheduler  # noqa: PLC0415 - slow

    return scheduler_from_config(DDIMScheduler, {**config, "timestep_spacing": spacing})


def scheduler_from_config(scheduler_class: Any, config: Mapping[str, Any]) -> Any:
    """Make one of diffusers' schedulers of the entries of a saved config that it knows.

    Raises:
        CheckpointError: It can't be made.
    """
    known = inspect.signature(scheduler_class.__init__).parameters
    try:
        return scheduler_class(**{key: value for key, value in config.items() if key in known})
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"diffusers can't build a {scheduler_class.__name__} of this config ({error})"
        ) from error


class Diffusion(NetworkFamily):
    """Networks that denoise, each task asked for by the prompt."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`."""
        return configs.is_of_marigold or configs.is_of_e2e_ft

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> ScheduleSampler:
        """See `NetworkFamily.sampler`."""
        scheduler = ddim_scheduler(facts.scheduler_config, sampling.spacing)
        return ScheduleSampler(scheduler, sampling.steps or facts.steps)


DIFFUSION = Diffusion("diffusion from noise (Marigold)", default_steps=4)
