"""Euler's method with ancestral noise, as InstructDiffusion is sampled.

The method is k-diffusion's `sample_euler_ancestral` (notation: Karras et al., arXiv 2206.00364) on the noise
levels of its `DiscreteSchedule`: evenly spaced in time, between two timesteps interpolated in the logarithm.
diffusers' EulerAncestralDiscreteScheduler interpolates linearly there: both agree only where times are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class NoiseLevel:
    """Where on the schedule latents are.

    Attributes:
        timestep: 0..T - 1; may fall between two of the training.
        sigma: Standard deviation of the noise on latents of unit signal.
    """

    timestep: float
    sigma: float


def noise_levels(alpha_bar: Tensor, steps: int) -> tuple[NoiseLevel, ...]:
    """Space the noise levels of so many steps.

    Args:
        alpha_bar: (T,), share of signal variance at each timestep.
        steps: N, at least 1.

    Returns:
        N levels, the noisiest first; the level without noise, where the last step leads, isn't among them.

    Raises:
        InvalidInputError: There are fewer timesteps than steps, or no steps.
    """
    if not 1 <= steps <= len(alpha_bar):
        raise InvalidInputError(f"expected 1 to {len(alpha_bar)} denoising steps, got {steps}")
    log_sigmas = ((1 - alpha_bar) / alpha_bar).sqrt().log().float()
    times = torch.linspace(len(alpha_bar) - 1, 0, steps)
    below = times.floor().long()
    above = times.ceil().long()
    sigmas = torch.lerp(log_sigmas[below], log_sigmas[above], times.frac()).exp()
    return tuple(NoiseLevel(float(t), float(sigma)) for t, sigma in zip(times, sigmas, strict=True))


def sample_ancestral(
    predict_noise: Callable[[Tensor, float], Tensor],
    start: Tensor,
    levels: tuple[NoiseLevel, ...],
    generator: torch.Generator,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Lead noise to latents.

    Args:
        predict_noise: The network's noise for latents of unit variance, (B, L, h, w), at a timestep.
        start: (B, L, h, w), of unit variance.
        levels: See `noise_levels`.
        generator: Of the noise that is added after each step but the last; on the CPU.
        on_step: Called with the number of each step before it is taken, say for a progress bar; may raise.

    Returns:
        (B, L, h, w), free of noise.
    """
    latents = start * levels[0].sigma
    ends = [*(level.sigma for level in levels[1:]), 0.0]
    for number, (level, end) in enumerate(zip(levels, ends, strict=True)):
        if on_step is not None:
            on_step(number)
        sigma = level.sigma
        noise = predict_noise(latents / (sigma**2 + 1) ** 0.5, level.timestep)
        # Down below the next level, then up to it by fresh noise: the two variances add up to the level's.
        fresh = end * (1 - (end / sigma) ** 2) ** 0.5
        down = (end**2 - fresh**2) ** 0.5
        latents = latents + noise * (down - sigma)
        if end > 0:
            drawn = torch.randn(latents.shape, generator=generator, dtype=latents.dtype)
            latents = latents + drawn.to(latents.device) * fresh
    return latents
