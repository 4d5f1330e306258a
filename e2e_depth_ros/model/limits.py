"""What one pass of a network may take: pixels, and memory."""

from __future__ import annotations

from typing import Final

MAX_RESOLUTION: Final = 8192
"""The largest processing resolution, pixels of the longer edge."""

LEAST_BFLOAT16_PX: Final = 72
"""The shortest edge, pixels, of what a network sees in bfloat16 on a CPU. With AMX, oneDNN's convolutions
with a stride are wrong where their result is one column (torch 2.13, OpenVINO 2026.4): a UNet that halves
maps of an eighth thrice has two columns left from here on."""

DEFAULT_BATCH_MEMORY_MB: Final = 4000
"""About how much memory, 10^6 bytes, the activations of one pass may take besides the weights."""


def batch_that_fits(bytes_each: int, batch_memory_mb: int) -> int:
    """Return how many images, or members of an ensemble, fit into one pass; at least one.

    Args:
        bytes_each: What the activations of one take.
        batch_memory_mb: What they may take together, 10^6 bytes.
    """
    return max(1, batch_memory_mb * 10**6 // bytes_each)
