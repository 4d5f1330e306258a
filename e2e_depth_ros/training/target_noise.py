"""What the target's latents start from in training: zeros, or noise of one scale or of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 10
_DISCOUNT = 0.9


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
        state = np.random.SeedSequence((self.seed, number, 1)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]) >> 1)
        if self.kind == "pyramid":
            return pyramid_noise(shape, generator)
        return torch.randn(tuple(shape), generator=generator)


def pyramid_noise(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw multi-resolution noise: Gaussian noise of ever coarser grids, summed, of standard deviation 1.

    As E2E-FT and Marigold take it (arXiv 2409.11355; 2312.02145, section 3.3): up to 10 levels, each weighed
    0.9 times the one before, its grid smaller by r ** level with r drawn from 2 .. 4.

    Args:
        shape: (B, L, h, w).
        generator: On the CPU.

    Returns:
        (B, L, h, w).
    """
    batch, channels, height, width = shape
    noise = torch.randn((batch, channels, height, width), generator=generator)
    rows, columns = height, width
    for level in range(_LEVELS):
        shrink = float(2 + 2 * torch.rand((), generator=generator)) ** level
        rows, columns = max(1, int(rows / shrink)), max(1, int(columns / shrink))
        coarse = torch.randn((batch, channels, rows, columns), generator=generator)
        noise += _DISCOUNT**level * functional.interpolate(coarse, (height, width), mode="bilinear")
        if min(rows, columns) == 1:
            break
    return noise / noise.std()
