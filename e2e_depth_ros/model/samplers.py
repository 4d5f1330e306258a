"""How a network's outputs become latents: in one step, or in several from noise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.denoising import DenoisingStep
from e2e_depth_ros.model.noise import pyramid_noise

Predict = Callable[[Tensor, Tensor], Tensor]
"""The network's output for latents, (N, L, h / f, w / f), at a timestep, ()."""


class Sampler(Protocol):
    """What leads from the start to the predicted latents."""

    starts_from_noise: bool
    """False where the start is zero."""

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw noise to start from, (N, L, h / f, w / f), on the CPU."""

    def __call__(self, predict: Predict, start: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the predicted latents.

        Args:
            predict: The network.
            start: (N, L, h / f, w / f), noise or zeros.
            generator: Of noise that is added between steps; on the CPU.
        """


class OneStepSampler:
    """E2E-FT's: one deterministic step from zero (arXiv 2409.11355), or from noise in its ablations.

    Args:
        step: From the network's output to latents.
        target_noise: What it starts from: "zeros", "gaussian" or "pyramid".
    """

    def __init__(self, step: DenoisingStep, target_noise: str = "zeros") -> None:
        self.step = step
        self.target_noise = target_noise
        self.starts_from_noise = target_noise != "zeros"

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """See `Sampler`."""
        if self.target_noise == "pyramid":
            return pyramid_noise(shape, generator).to(dtype)
        return _gaussian_noise(shape, generator, dtype)

    def __call__(
        self,
        predict: Predict,
        start: Tensor,
        generator: torch.Generator | None = None,  # noqa: ARG002 - nothing is drawn
    ) -> Tensor:
        """See `Sampler`."""
        output = predict(start, torch.tensor(self.step.timestep, device=start.device))
        return self.step(output, start if self.starts_from_noise else None)


class ScheduleSampler:
    """Any number of steps of one of diffusers' schedulers, as its Marigold pipelines take them.

    Args:
        scheduler: See `ddim_scheduler` and `consistency_scheduler`.
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
        return _gaussian_noise(shape, generator, dtype)

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

    return _scheduler(DDIMScheduler, {**config, "timestep_spacing": spacing})


def consistency_scheduler(config: Mapping[str, Any]) -> Any:
    """Make diffusers' scheduler of latent consistency models (Luo et al., arXiv 2310.04378)."""
    from diffusers.schedulers import LCMScheduler  # noqa: PLC0415 - slow

    return _scheduler(LCMScheduler, config)


def _gaussian_noise(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(tuple(shape), generator=generator, dtype=dtype)


def _scheduler(scheduler_class: Any, config: Mapping[str, Any]) -> Any:
    known = inspect.signature(scheduler_class.__init__).parameters
    try:
        return scheduler_class(**{key: value for key, value in config.items() if key in known})
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"diffusers can't build a {scheduler_class.__name__} of this config ({error})"
        ) from error
