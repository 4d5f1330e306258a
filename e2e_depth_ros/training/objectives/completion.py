"""Measured depth in place of zeros: one network, two ways to start."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.hint import Hint, hint_from_samples
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import gradient_matching
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.end_to_end import EndToEnd
from e2e_depth_ros.training.recipe import Recipe
from e2e_depth_ros.training.sparse_samples import draw_training_samples

_SAMPLES = 1  # what the generator of a view is for
_MOST_LOG = 1.0  # error of log depth that is told apart: what lies far beyond all samples must not rule


class Hints(NamedTuple):
    """What was measured of the views of a batch.

    Attributes:
        pixels: (B, 3, h, w), see `Hint`; 0 where nothing was measured.
        centre: (B, 1, 1).
        half_range: (B, 1, 1).
        given: (B, 1, 1), 1 where something was measured, else 0.
    """

    pixels: Tensor
    centre: Tensor
    half_range: Tensor
    given: Tensor

    @classmethod
    def stacked(cls, hints: Sequence[Hint | None], like: Tensor) -> Hints:
        """Join hints; `like` is (B, 3, h, w), of the device and size wanted."""
        pixels = torch.zeros_like(like)
        for row, hint in zip(pixels, hints, strict=True):
            if hint is not None:
                row.copy_(torch.from_numpy(hint.pixels))
        numbers = [(hint.centre, hint.half_range, 1.0) if hint else (0.0, 1.0, 0.0) for hint in hints]
        return cls(pixels, *like.new_tensor(numbers).T[..., None, None])


class Completion(EndToEnd):
    """Complete measured depth in one step from its latents, and go on predicting from zeros as before.

    The first images of a batch start from the latents of a hint (see `Hint`), and answer, in its units, what
    the depth that it fills in lacks; the loss is the error of log depth. The others start from zeros, and are
    held to what the network said before the training.

    Args:
        recipe: All of the training; `model.start` reads the target's latents.

    Raises:
        InvalidInputError: It doesn't, or there is none.
    """

    def __init__(self, recipe: Recipe) -> None:
        model = recipe.model
        if not model.start or not model.reads_target or model.target_noise != "zeros":
            raise InvalidInputError(
                "model: expected a start that reads the target's latents, from zeros, to be taught completion"
            )
        super().__init__(recipe)
        self.completion = recipe.completion
        self._seed = recipe.seed
        # In a tuple, for it is no part of what is trained.
        self._before = (copy.deepcopy(self.model).requires_grad_(requires_grad=False),)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        hinted = max(1, round(self.completion.share * len(batch.images)))
        pixels = pixels_from_images(batch.images)
        hints = Hints.stacked(self._measured(batch, hinted, number), pixels[:hinted])
        encoded = self.model.encode(torch.cat([pixels, hints.pixels]))
        images, measured = encoded[: len(pixels)], encoded[len(pixels) :]
        completed = self.model.decode(
            self.model.complete(images[:hinted], Task.DEPTH, measured * hints.given[:, None])
        )
        completion = completion_loss(
            completed, batch.depth_m[:hinted], hints, self.completion.gradient_matching
        )
        kept = completion.new_zeros(())
        if hinted < len(pixels) and self.completion.kept > 0:
            kept = self._kept(pixels[hinted:], images[hinted:])
        total = completion + self.completion.kept * kept
        return Losses(total, {"completion_loss": completion, "kept_loss": kept})

    def _measured(self, batch: Batch, count: int, number: int) -> list[Hint | None]:
        """Measure the first images of a batch; None where there is too little depth."""
        hints: list[Hint | None] = []
        for index in range(count):
            rng = np.random.default_rng((self._seed, number, index, _SAMPLES))
            depth_m = batch.depth_m[index].cpu().numpy()
            image = batch.images[index].permute(1, 2, 0).contiguous().cpu().numpy()
            drawn = draw_training_samples(depth_m, image, self.completion.samples, rng)
            size = depth_m.shape[0], depth_m.shape[1]
            hints.append(None if drawn is None else hint_from_samples(*drawn, size))
        return hints

    def _kept(self, pixels: Tensor, latents: Tensor) -> Tensor:
        """Mean absolute change since the start of what is decoded from zeros, for all of its tasks."""
        tasks = [task for task in Task if task in self.model.tasks]
        now = self.model.decode(self.model.denoise(latents, tasks))
        with torch.no_grad():
            before = self._before[0].to(pixels.device)
            then = before.decode(before.denoise(before.encode(pixels), tasks))
        return (now.float() - then.float()).abs().mean()


def completion_loss(decoded: Tensor, depth_m: Tensor, hints: Hints, matching: float) -> Tensor:
    """Mean absolute error of log depth, and of its differences between neighbours.

    Args:
        decoded: (B, 3, H, W), in units of each hint's range: what the depth that it fills in lacks.
        depth_m: (B, H, W), metres; 0 where unknown.
        hints: Of each image; what isn't given is left out.
        matching: Weight of the differences.

    Returns:
        A scalar; 0 without any valid pixel.
    """
    with torch.autocast(decoded.device.type, enabled=False):
        values = hints.pixels[:, 0] + decoded.float().mean(dim=1)
        weight = (depth_m > 0) * hints.given
        log_depth = torch.where(weight > 0, depth_m, 1.0).log()
        error = (hints.centre + hints.half_range * values - log_depth).clamp(-_MOST_LOG, _MOST_LOG) * weight
        loss = error.abs().sum() / weight.sum().clamp(min=1)
        return loss + matching * gradient_matching(error, weight)
