"""Noise that denoising starts from, and that training adds: of one scale or of many."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 10
STRENGTH = 0.9
"""Of multi-resolution noise in Marigold and E2E-FT: each level's weight relative to the one before."""


def gaussian_noise(
    shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw Gaussian noise of one scale, of any shape, on the CPU."""
    return torch.randn(tuple(shape), generator=generator, dtype=dtype)


def pyramid_noise(
    shape: Sequence[int], generator: torch.Generator, strength: Tensor | float = STRENGTH
) -> Tensor:
    """Draw multi-resolution noise: Gaussian noise of ever coarser grids, summed.

    As Marigold and E2E-FT take it (arXiv 2312.02145, section 3.3; 2409.11355): up to 10 levels, level k
    weighed by strength ** k, its grid smaller by r ** k with r drawn from 2 .. 4. Each image is divided by
    its own standard deviation, so that images of different strengths are noisy alike.

    Args:
        shape: (B, L, h, w).
        generator: On the CPU.
        strength: One for all, or (B,); 0 is Gaussian noise.

    Returns:
        (B, L, h, w), float32 on the CPU, each image of standard deviation 1.
    """
    batch, channels, height, width = shape
    strengths = torch.as_tensor(strength, dtype=torch.float32).expand(batch).view(-1, 1, 1, 1)
    noise = torch.randn((batch, channels, height, width), generator=generator)
    rows, columns = height, width
    for level in range(_LEVELS):
        shrink = float(2 + 2 * torch.rand((), generator=generator)) ** level
        rows, columns = max(1, int(rows / shrink)), max(1, int(columns / shrink))
        coarse = torch.randn((batch, channels, rows, columns), generator=generator)
        noise += strengths**level * functional.interpolate(coarse, (height, width), mode="bilinear")
        if min(rows, columns) == 1:
            break
    return noise / noise.std(dim=(1, 2, 3), keepdim=True)
