"""How much of a batch one pass of a network may take."""

from __future__ import annotations

DEFAULT_BATCH_MEMORY_MB = 4000
"""About how much memory, 10^6 bytes, the activations of one pass may take besides the weights."""


def batch_that_fits(bytes_each: int, batch_memory_mb: int) -> int:
    """Return how many images, or members of an ensemble, fit into one pass; at least one.

    Args:
        bytes_each: What the activations of one take.
        batch_memory_mb: What they may take together, 10^6 bytes.
    """
    return max(1, batch_memory_mb * 10**6 // bytes_each)
