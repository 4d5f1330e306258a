"""What objectives share whose network predicts depth or normals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import depth_loss, normals_loss
from e2e_depth_ros.training.objectives.base import Losses, Objective
from e2e_depth_ros.training.objectives.targets import target_images
from e2e_depth_ros.training.recipe import LossRecipe
from e2e_depth_ros.training.start import add_text_encoder
from e2e_depth_ros.training.validation import Predicted, predict_views


class MapObjective(Objective):
    """An objective whose network predicts maps: validated by them, and written as what predicts them.

    Args:
        model: What is trained.
        facts: What it will be.
        start: The checkpoint that it comes from, if any.
    """

    def __init__(self, model: nn.Module, facts: CheckpointFacts, start: Path | None) -> None:
        super().__init__(model, facts.down_factor)
        self.facts = facts
        self.start = start
        self.normals_signs: Tensor
        self.register_buffer("normals_signs", torch.tensor(facts.normals_signs), persistent=False)

    def predict(self, views: Sequence[View]) -> list[Predicted]:
        """See `Objective.predict`."""
        return predict_views(self.model, views, self.facts.processing_resolution, self.facts)

    def write(self, folder: Path) -> Path:
        """See `Objective.write`."""
        checkpoint = write_checkpoint(folder, self.model, self.facts)
        if self.start is not None:
            add_text_encoder(checkpoint, self.start)
        return checkpoint


def map_losses(
    maps: Mapping[Task, Tensor], batch: Batch, recipe: LossRecipe, normals_signs: Tensor
) -> Losses:
    """Score decoded maps against the truth (E2E-FT, arXiv 2409.11355, section 4).

    Args:
        maps: (b, 3, H, W) for each task, of the first b images of the batch.
        batch: The truth.
        recipe: The losses.
        normals_signs: (3,), what turns normals of the optical frame into the network's axes.
    """
    depth = normals = normals_signs.new_zeros(())
    if Task.DEPTH in maps:
        decoded = maps[Task.DEPTH]
        sharp = None if batch.has_outlines is None else batch.has_outlines[: len(decoded)]
        depth = depth_loss(decoded, batch.depth_m[: len(decoded)], recipe.depth, sharp)
    if Task.NORMALS in maps:
        decoded = maps[Task.NORMALS]
        target = target_images(batch, Task.NORMALS, normals_signs)[: len(decoded)]
        normals = normals_loss(decoded, target, recipe.normals)
    total = recipe.depth.weight * depth + recipe.normals.weight * normals
    return Losses(total, {"depth_loss": depth, "normals_loss": normals})
