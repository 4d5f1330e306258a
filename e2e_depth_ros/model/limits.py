"""What one pass of a network may take: pixels, and memory."""

from __future__ import annotations

from typing import Final

MAX_RESOLUTION: Final = 8192
"""The largest processing resolution, pixels of the longer edge."""

DEFAULT_BATCH_MEMORY_MB: Final = 4000
"""About how much memory, 10^6 bytes, the activations of one pass may take besides the weights."""


def batch_that_fits(bytes_each: int, batch_memory_mb: int) -> int:
    """Return how many images, or members of an ensemble, fit into one pass; at least one.

    Args:
        bytes_each: What the activations of one take.
        batch_memory_mb: What they may take together, 10^6 bytes.
    """
    return max(1, batch_memory_mb * 10**6 // bytes_each)


def halvings_of(down_factor: int, unet_levels: int) -> int:
    """Return how often autoencoder and UNet halve an image.

    Args:
        down_factor: Of the autoencoder, a power of 2.
        unet_levels: Sizes at which the UNet works.
    """
    return down_factor.bit_length() - 1 + unet_levels - 1


def has_lone_column(size: tuple[int, int], halvings: int) -> bool:
    """Tell whether an image becomes a map of one column and several rows, while a network halves it.

    With AMX, oneDNN's convolutions with a stride are wrong in bfloat16 where their result is such a map
    (torch 2.13, OpenVINO 2026.4): it holds what lay in memory.

    Args:
        size: (H, W), pixels.
        halvings: See `halvings_of`.
    """
    height, width = size
    for _ in range(halvings):
        height, width = -(-height // 2), -(-width // 2)
        if width == 1 and height > 1:
            return True
    return False
