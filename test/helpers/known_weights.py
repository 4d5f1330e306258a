"""Weights that are the same numbers wherever and whenever they are made: to compare programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
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


def fill_with_known_numbers(folder: Path) -> None:
    """Overwrite every weight of a checkpoint; numpy keeps the numbers of RandomState for good."""
    # Only of its components: another test's load may have left a prompt's embedding beside them.
    for number, path in enumerate(sorted(folder.glob("*/*.safetensors"))):
        random = np.random.RandomState(number)
        tensors = load_file(path)
        for name in sorted(tensors):
            shape = tensors[name].shape
            if tensors[name].dtype != np.float32:
                continue
            values = random.randn(*shape)
            if len(shape) > 1:
                values *= np.prod(shape[1:]) ** -0.5
            elif name.endswith("weight"):  # of a normalisation
                values = 1 + 0.1 * values
            else:
                values *= 0.1
            tensors[name] = values.astype(np.float32)
        save_file(tensors, path, {"format": "pt"})
