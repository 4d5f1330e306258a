"""What the training loop asks of whatever is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.model.limits import halvings_of
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.validation import Predicted


@dataclass(frozen=True)
class Losses:
    """The losses of one batch.

    Attributes:
        total: What is minimised, a scalar.
        parts: What is logged of it, scalars by name.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class Objective(nn.Module, ABC):
    """What a training minimises, and for which network.

    A module whose forward is the loss, so that what wraps modules (several processes, mixed precision)
    wraps all of a step. Its random numbers depend on the seed and the number of the batch alone: a resumed
    training goes on as if uninterrupted.

    Args:
        model: What is trained, and nothing else that has parameters: the state of a training is its state.
        down_factor: Sizes of batches must be multiples of it, pixels.
    """

    model: Any  # a module; diffusers' have no type information

    def __init__(self, model: nn.Module, down_factor: int) -> None:
        super().__init__()
        self.model = model
        self.down_factor = down_factor

    @property
    def halvings(self) -> int:
        """How often the network halves an image."""
        unet = getattr(self.model, "unet", None)
        return halvings_of(self.down_factor, 1 if unet is None else len(unet.config.down_block_types))

    @abstractmethod
    def forward(self, batch: Batch, number: int) -> Losses:
        """Score the network on a batch.

        Args:
            batch: On the model's device.
            number: Of the batch in the whole training; chooses what is random.
        """

    @torch.inference_mode()
    def predict(self, views: Sequence[View]) -> list[Predicted] | None:  # noqa: ARG002 - most do
        """Predict views at their native size to validate, or None where there is nothing to score."""
        return None

    @abstractmethod
    def write(self, folder: Path) -> Path:
        """Write the network as a checkpoint, and return its folder."""
