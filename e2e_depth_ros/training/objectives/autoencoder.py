"""The latent space that a small diffusion needs: images and maps, and back again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.model.checkpoint.facts import down_factor_of
from e2e_depth_ros.model.checkpoint.prediction import MARIGOLD_AXES, signs_of
from e2e_depth_ros.model.checkpoint.writing import write_autoencoder
from e2e_depth_ros.model.decoded import depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.forward import pixels_from_images
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.architecture import build_autoencoder
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.datasets import Batch, batch_from_views
from e2e_depth_ros.training.objectives.base import Losses, Objective
from e2e_depth_ros.training.objectives.targets import target_images
from e2e_depth_ros.training.recipe import Recipe
from e2e_depth_ros.training.target_noise import NOISE, batch_generator
from e2e_depth_ros.training.validation import Predicted

_SIGNS = signs_of(MARIGOLD_AXES)


class Autoencoder(Objective):
    """Pass images and maps through latents, and compare what comes back.

    Args:
        recipe: All of the training; of the network only the autoencoder is read.
    """

    def __init__(self, recipe: Recipe) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = build_autoencoder(recipe.model.autoencoder)
        super().__init__(model, down_factor_of(model.config))
        if recipe.model.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        self.reconstruction = recipe.reconstruction
        self.seed = recipe.seed
        self.normals_signs: Tensor
        self.register_buffer("normals_signs", torch.tensor(_SIGNS), persistent=False)

    def forward(self, batch: Batch, number: int) -> Losses:
        """See `Objective.forward`."""
        recipe = self.reconstruction
        kinds = {"image": recipe.image, "depth": recipe.depth, "normals": recipe.normals}
        wanted = {name: weight for name, weight in kinds.items() if weight > 0}
        truth = torch.cat([self._truth(batch, name) for name in wanted])
        latents = self.encode(truth)
        noise = torch.randn(latents.shape, generator=batch_generator(self.seed, number, NOISE))
        decoded = self.decode(latents + recipe.noise * noise.to(latents)).float()
        errors = (decoded - truth).abs().chunk(len(wanted))
        parts = {f"{name}_loss": error.mean() for name, error in zip(wanted, errors, strict=True)}
        moments = moments_loss(latents.float())
        total = recipe.moments * moments
        for name, weight in wanted.items():
            total = total + weight * parts[f"{name}_loss"]
        return Losses(total, {**parts, "moments_loss": moments})

    @torch.inference_mode()
    def predict(self, views: Sequence[View]) -> list[Predicted]:
        """Return what comes back of the truth: no network on these latents can do much better."""
        predicted = []
        for view in views:
            height, width = (side // self.down_factor * self.down_factor for side in view.depth_m.shape)
            batch = batch_from_views([view])
            device = self.normals_signs.device
            batch = batch._replace(depth_m=batch.depth_m.to(device), normals=batch.normals.to(device))
            maps: dict[str, Tensor] = {}
            for name in ("depth", "normals") if self.reconstruction.normals > 0 else ("depth",):
                truth = self._truth(batch, name)
                decoded = truth.clone()  # a border that is no whole latent stays as it is
                decoded[..., :height, :width] = self.decode(self.encode(truth[..., :height, :width]))
                maps[name] = decoded
            predicted.append(_read(maps))
        return predicted

    def write(self, folder: Path) -> Path:
        """See `Objective.write`."""
        return write_autoencoder(folder, self.model)

    def encode(self, images: Tensor) -> Tensor:
        """Return latents, as `LatentNetwork.encode` of a network with this autoencoder does."""
        encoded = self.model.encode(images)
        latents: Tensor = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return images of latents."""
        decoded: Tensor = self.model.decode(latents, return_dict=False)[0]
        return decoded

    def _truth(self, batch: Batch, name: str) -> Tensor:
        if name == "image":
            return pixels_from_images(batch.images)
        return target_images(batch, Task(name), self.normals_signs)


def _read(decoded: Mapping[str, Tensor]) -> Predicted:
    """Read the maps of one view, each (1, 3, H, W)."""
    depth = depth_from_decoded(decoded["depth"])[0].cpu().numpy()
    depth_map = DepthMap(depth, np.ones(depth.shape, np.bool_), DepthKind.AFFINE_INVARIANT)
    if "normals" not in decoded:
        return Predicted(depth_map)
    normals = normals_from_decoded(decoded["normals"], _SIGNS)[0].cpu().numpy()
    return Predicted(depth_map, NormalMap.from_vectors(normals.transpose(1, 2, 0)))


def moments_loss(latents: Tensor) -> Tensor:
    """Return how far each channel's mean is from 0 and its variance from 1, squared, on average.

    Args:
        latents: (B, L, h, w); the moments are over B, h and w.
    """
    mean = latents.mean(dim=(0, 2, 3))
    variance = latents.var(dim=(0, 2, 3))
    return (mean.square() + (variance - 1).square()).mean()
