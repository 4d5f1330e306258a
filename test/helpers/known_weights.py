"""Weights that are the same numbers wherever and whenever they are made: to compare programs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def known_numbers(shape: tuple[int, ...], seed: int) -> Tensor:
    """Normal numbers; numpy keeps those of RandomState for good."""
    return torch.from_numpy(np.random.RandomState(seed).randn(*shape).astype(np.float32))


def known_weights(tensors: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Fill tensors, in the order of their names, so that what passes through them keeps its scale."""
    filled = {}
    for number, name in enumerate(sorted(tensors)):
        shape = tuple(tensors[name].shape)
        values = known_numbers(shape, 1000 * seed + number)
        if len(shape) > 1:
            filled[name] = values * float(np.prod(shape[1:])) ** -0.5
        elif name.endswith("weight"):  # of a normalisation
            filled[name] = 1 + 0.1 * values
        else:
            filled[name] = 0.1 * values
    return filled
