"""Measured depth in place of zeros: one network, two ways to start."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.hint import Hint, hint_from_samples
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.datasets import Batch
from e2e_depth_ros.training.losses import gradient_matching
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.end_to_end import EndToEnd
from e2e_depth_ros.training.recipe import Recipe
from e2e_depth_ros.training.sparse_samples import draw_training_samples


class Completion(EndToEnd):
    """Complete measured depth in one step from its latents, and go on predicting from zeros as before.

    The first images of a batch start from the latents of a hint (see `Hint`), and answer in its units: the
    loss is the error of log depth. The others start from zeros, and are held to what the network said
    before the training.

    Args:
        recipe: All of the training; `model.start` reads the target's latents.
    """

    def __init__(self, recipe: Recipe) -> None:
        if not recipe.model.start or not recipe.model.reads_target or recipe.model.target_noise != "zeros":
            raise InvalidInputError(
                "model: expected a start that reads the target's latents, from zeros, to be taught completion"
            )
        super().__init__(recipe)
        self.completion = recipe.completion
        self._seed = recipe.seed
        # In a tuple, for it is no part of what is trained.
        self._before = (copy.deepcopy(self.model).requires_grad_(requires_grad=False).eval(),)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        hinted = max(1, round(self.completion.share * len(batch.images)))
        pixels = pixels_from_images(batch.images)
        hints = self._hints(batch, hinted, number)
        encoded = self.model.encode(torch.cat([pixels, self._pixels(hints, pixels)]))
        images, starts = encoded[: len(pixels)], encoded[len(pixels) :]
        given = starts.new_tensor([hint is not None for hint in hints])[:, None, None, None]
        asked = [Task.DEPTH] * len(pixels) + [Task.NORMALS] * (len(pixels) - hinted)
        from_zeros = images[hinted:]
        targets = torch.cat([starts * given, torch.zeros_like(from_zeros), torch.zeros_like(from_zeros)])
        latents = torch.cat([images, from_zeros])
        decoded = self.model.decode(predict_from(self.model, latents, asked, targets))
        completed = completion_loss(
            decoded[:hinted], batch.depth_m[:hinted], hints, self.completion.gradient_matching
        )
        kept = decoded.new_zeros(())
        if hinted < len(pixels) and self.completion.kept > 0:
            kept = (decoded[hinted:].float() - self._said_before(pixels[hinted:])).abs().mean()
        total = completed + self.completion.kept * kept
        return Losses(total, {"completion_loss": completed, "kept_loss": kept})

    def _hints(self, batch: Batch, count: int, number: int) -> list[Hint | None]:
        hints: list[Hint | None] = []
        for index in range(count):
            rng = np.random.default_rng((self._seed, number, index, 1))
            depth_m = batch.depth_m[index].cpu().numpy()
            image = batch.images[index].permute(1, 2, 0).contiguous().cpu().numpy()
            drawn = draw_training_samples(depth_m, image, self.completion.samples, rng)
            size = depth_m.shape[0], depth_m.shape[1]
            hints.append(None if drawn is None else hint_from_samples(*drawn, size))
        return hints

    def _pixels(self, hints: list[Hint | None], like: Tensor) -> Tensor:
        stacked = [
            like.new_zeros(like.shape[1:]) if hint is None else torch.from_numpy(hint.pixels).to(like)
            for hint in hints
        ]
        return torch.stack(stacked)

    @torch.no_grad()
    def _said_before(self, pixels: Tensor) -> Tensor:
        """Return what the start decodes, (2 B, 3, h, w): depth of each image, then normals."""
        before = self._before[0].to(pixels.device)
        latents = before.encode(pixels).repeat(2, 1, 1, 1)
        asked = [Task.DEPTH] * len(pixels) + [Task.NORMALS] * len(pixels)
        return before.decode(before.predict(latents, asked)).float()


def predict_from(model: LatentNetwork, images: Tensor, tasks: list[Task], targets: Tensor) -> Tensor:
    """Predict in one step from given latents of the target, (B, L, h, w) each."""
    step = model.sampler.step  # type: ignore[attr-defined]
    timestep = torch.full((), step.timestep, device=images.device)
    output = model.unet_output(torch.cat([images, targets], dim=1), timestep, model.prompts(tasks))
    return step(output)  # type: ignore[no-any-return]


def completion_loss(decoded: Tensor, depth_m: Tensor, hints: list[Hint | None], matching: float) -> Tensor:
    """Mean absolute error of log depth, and of its differences between neighbours.

    Args:
        decoded: (B, 3, H, W), in units of each hint's range.
        depth_m: (B, H, W), metres; 0 where unknown.
        hints: Of each image; None leaves it out.
        matching: Weight of the differences.

    Returns:
        A scalar; 0 without any valid pixel.
    """
    with torch.autocast(decoded.device.type, enabled=False):
        prediction = decoded.float().mean(dim=1)
        given = prediction.new_tensor([hint is not None for hint in hints])
        centre = prediction.new_tensor([hint.centre if hint else 0.0 for hint in hints])
        half_range = prediction.new_tensor([hint.half_range if hint else 1.0 for hint in hints])
        weight = (depth_m > 0) * given[:, None, None]
        log_depth = torch.where(weight > 0, depth_m, 1.0).log()
        error = (prediction * half_range[:, None, None] + centre[:, None, None] - log_depth) * weight
        # A far background beyond all samples must not rule.
        error = error.clamp(-1, 1)
        loss = error.abs().sum() / weight.sum().clamp(min=1)
        return loss + matching * gradient_matching(error, weight)
