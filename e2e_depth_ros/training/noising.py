"""Noisy latents and what a network should say of them.

Ho et al., arXiv 2006.11239, equation 4; the output v of Salimans and Ho, arXiv 2202.00512, appendix D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.configs import alpha_bars
from e2e_depth_ros.model.families.noise import pyramid_noise
from e2e_depth_ros.training.recipe import DiffusionRecipe
from e2e_depth_ros.training.target_noise import NOISE, TIMESTEPS, batch_generator


class Noised(NamedTuple):
    """Latents at a timestep.

    Attributes:
        latents: (B, L, h, w), x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise.
        output: (B, L, h, w), what the network should answer.
        timesteps: (B,), 0 .. T - 1.
    """

    latents: Tensor
    output: Tensor
    timesteps: Tensor


class Noising:
    """Noises each batch in its own way, which depends on the seed and the batch's number alone.

    Args:
        recipe: How latents are noised.
        scheduler_config: The schedule, and what the network's output means.
        seed: Of the training.
    """

    def __init__(self, recipe: DiffusionRecipe, scheduler_config: Mapping[str, Any], seed: int) -> None:
        self._recipe = recipe
        self._seed = seed
        self._alpha_bars = alpha_bars(scheduler_config)
        self._output = str(scheduler_config.get("prediction_type", "epsilon"))
        if self._output == "epsilon" and self._alpha_bars[-1] == 0:
            raise InvalidInputError(
                "diffusion.zero_terminal_snr: expected false where the network predicts epsilon, "
                "which says nothing of an image that is all noise"
            )

    def __call__(self, clean: Tensor, number: int) -> Noised:
        """Noise the latents of a batch, (B, L, h, w)."""
        timesteps = self.timesteps(len(clean), number)
        noise = self.noise(clean.shape, timesteps, number).to(clean)
        share = self._alpha_bars[timesteps].view(-1, 1, 1, 1)
        signal_factor, noise_factor = share.sqrt().to(clean), (1 - share).sqrt().to(clean)
        output = {
            "v_prediction": signal_factor * noise - noise_factor * clean,
            "epsilon": noise,
            "sample": clean,
        }[self._output]
        latents = signal_factor * clean + noise_factor * noise
        return Noised(latents, output, timesteps.to(clean.device))

    def timesteps(self, count: int, number: int) -> Tensor:
        """Draw a timestep for each image of a batch, (count,), all alike."""
        generator = batch_generator(self._seed, number, TIMESTEPS)
        return torch.randint(len(self._alpha_bars), (count,), generator=generator)

    def noise(self, shape: Sequence[int], timesteps: Tensor, number: int) -> Tensor:
        """Draw the noise of a batch, (B, L, h, w), on the CPU.

        Annealed: the coarse scales' strength falls linearly from the last timestep to the first, where
        noise is Gaussian (Marigold, section 3.3).
        """
        generator = batch_generator(self._seed, number, NOISE)
        if self._recipe.noise == "gaussian":
            return torch.randn(tuple(shape), generator=generator)
        strength = self._recipe.strength * timesteps / len(self._alpha_bars)
        return pyramid_noise(shape, generator, strength)
