"""What every checkpoint in a folder can tell of its files: parameters, memory, hashes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import prod
from pathlib import Path
from typing import ClassVar

import torch

from e2e_depth_ros.model.checkpoint.integrity import sha256
from e2e_depth_ros.model.checkpoint.weights import read_tensor_table


class StoredCheckpoint(ABC):
    """A checkpoint in a folder, by its files.

    Attributes:
        components: The folders that hold its weights.
        folder: Where it lies; None while it is only in memory.
    """

    components: ClassVar[tuple[str, ...]]
    folder: Path | None

    @abstractmethod
    def weight_files(self, component: str, dtype: torch.dtype = torch.float32) -> tuple[Path, ...]:
        """Return the files of a component (see `components`) that are read for a dtype."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Every file that it is read from."""

    @cached_property
    def parameters(self) -> Mapping[str, int]:
        """Number of parameters of each component."""
        return {
            component: sum(
                prod(info.shape) for info in read_tensor_table(self.weight_files(component)).values()
            )
            for component in self.components
        }

    def memory_bytes(self, dtype: torch.dtype) -> int:
        """Return what the weights take in memory in a dtype, without activations."""
        return sum(self.parameters.values()) * dtype.itemsize

    def sha256(self, watch: Callable[[tuple[Path, ...]], Iterable[Path]] = tuple) -> dict[str, str]:
        """Return the SHA-256 of each of `files` by its path in the folder. Reads all of them.

        Args:
            watch: Sees the files come and go, say a progress bar.
        """
        hashes = {path: sha256(path) for path in watch(self.files)}
        return {path.relative_to(self.folder or "").as_posix(): digest for path, digest in hashes.items()}
