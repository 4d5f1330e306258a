"""What the target's latents start from in training: zeros, or noise of one scale or of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.model.families.noise import pyramid_noise

NOISE, TIMESTEPS = 1, 2
"""What a batch's generator is for; each purpose has numbers of its own."""


def batch_generator(seed: int, number: int, purpose: int) -> torch.Generator:
    """Return a generator on the CPU that depends on nothing but its arguments.

    Args:
        seed: Of the training.
        number: Of the batch.
        purpose: `NOISE`, `TIMESTEPS`, ...
    """
    state = np.random.SeedSequence((seed, number, purpose)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)


@dataclass(frozen=True)
class TargetNoise:
    """Noise that depends on nothing but the seed and the number of the batch, whatever the device.

    Attributes:
        kind: "zeros", "gaussian" or "pyramid".
        seed: Of the training.
    """

    kind: str = "zeros"
    seed: int = 0

    def draw(self, shape: Sequence[int], number: int) -> Tensor | None:
        """Return the noise of a batch.

        Args:
            shape: (B, L, h, w).
            number: Of the batch.

        Returns:
            (B, L, h, w), float32 on the CPU; None for zeros.
        """
        if self.kind == "zeros":
            return None
        generator = batch_generator(self.seed, number, NOISE)
        if self.kind == "pyramid":
            return pyramid_noise(shape, generator)
        return torch.randn(tuple(shape), generator=generator)
