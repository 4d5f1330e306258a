"""From noise to the prediction in any number of steps: Marigold and its consistency models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.latent_network import LatentNetwork, in_batches
from e2e_depth_ros.model.samplers import Sampler
from e2e_depth_ros.model.task import Task


class MultiStepModel(LatentNetwork):
    """A latent diffusion network that denoises (Marigold, Ke et al., arXiv 2312.02145).

    Args:
        unet: diffusers' UNet2DConditionModel; it reads 2 L channels: image, then target.
        vae: See `LatentNetwork`.
        prompt_embeddings: See `LatentNetwork`.
        sampler: From noise to the prediction.

    Raises:
        CheckpointError: The UNet reads no target.
    """

    starts_from_noise = True

    def __init__(
        self, unet: Any, vae: nn.Module, prompt_embeddings: Mapping[Task, Tensor], sampler: Sampler
    ) -> None:
        super().__init__(unet, vae, prompt_embeddings)
        self.sampler = sampler
        if unet.config.in_channels != 2 * unet.config.out_channels:
            raise CheckpointError(
                f"expected a UNet that reads image and target, {2 * unet.config.out_channels} channels, to "
                f"denoise in steps; got one of {unet.config.in_channels}"
            )

    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
        tokens: Tensor | None = None,  # noqa: ARG002 - the image is seen in its latents alone
        generator: torch.Generator | None = None,
        batch: int | None = None,
    ) -> Tensor:
        """See `LatentNetwork.denoise`.

        Each step takes all items before the next begins: noise between steps is drawn for all at once, and
        the result doesn't depend on `batch`.
        """
        items = len(tasks) * len(image_latents)
        if start is None or len(start) != items:
            found = "none" if start is None else str(len(start))
            raise InvalidInputError(f"expected noise for each of {items} predictions, got {found}")
        images = image_latents.repeat(len(tasks), 1, 1, 1)
        prompts = self.prompts([task for task in tasks for _ in image_latents])

        def predict(latents: Tensor, timestep: Tensor) -> Tensor:
            def part(images: Tensor, latents: Tensor, prompts: Tensor) -> Tensor:
                unet_input = torch.cat([images, latents], dim=1)  # (b, 2 L, h / f, w / f)
                output: Tensor = self.unet(unet_input, timestep, prompts, return_dict=False)[0]
                return output

            return in_batches(part, batch, images, latents, prompts)

        return self.sampler(predict, start, generator)
