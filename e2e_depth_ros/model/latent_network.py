"""What all families share: a VAE, a UNet on its latents, and prompts that ask for a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.task import Task


class LatentNetwork(nn.Module, ABC):
    """A network that predicts the latents of a map from the latents of an image.

    The image's latents are the *mean* of the VAE's posterior: nothing is drawn there.

    Args:
        unet: diffusers' UNet2DConditionModel; it reads L or 2 L channels for latents of L channels.
        vae: diffusers' AutoencoderKL or AutoencoderTiny.
        prompt_embeddings: (1, n, d) for each task the network serves, all of the same n.
    """

    unet: Any  # diffusers has no type information
    vae: Any

    starts_from_noise: bool
    """Whether `denoise` wants noise to start from."""

    def __init__(self, unet: nn.Module, vae: nn.Module, prompt_embeddings: Mapping[Task, Tensor]) -> None:
        super().__init__()
        self.unet = unet
        self.vae = vae
        self.tasks = frozenset(prompt_embeddings)
        for task, embedding in prompt_embeddings.items():
            self.register_buffer(_buffer_name(task), embedding)

    @abstractmethod
    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
        tokens: Tensor | None = None,
        generator: torch.Generator | None = None,
        batch: int | None = None,
    ) -> Tensor:
        """Predict latents for each task.

        Args:
            image_latents: (M, L, h / f, w / f), see `encode`.
            tasks: T of them.
            start: (T * M, L, h / f, w / f), noise, task by task; None where the network starts from zero.
            tokens: (M, n, d), see `image_tokens`.
            generator: Of noise that is added between steps; on the CPU.
            batch: How many items the UNet may see at once; None for all.

        Returns:
            (T * M, L, h / f, w / f), task by task.
        """

    def prompt_embedding(self, task: Task) -> Tensor:
        """Return the text embedding that asks for a task, (1, n, d)."""
        if task not in self.tasks:
            raise InvalidInputError(
                f"expected a task among {sorted(t.value for t in self.tasks)}, got {task.value!r}"
            )
        embedding: Tensor = getattr(self, _buffer_name(task))
        return embedding

    def prompts(self, tasks: Sequence[Task]) -> Tensor:
        """Return the embeddings of a batch's tasks, (B, n, d)."""
        return torch.cat([self.prompt_embedding(task) for task in tasks])

    def image_tokens(self, images: Tensor) -> Tensor | None:  # noqa: ARG002 - most have none
        """Return what the UNet attends to of each image, (B, 3, h, w) -> (B, n, d); mostly None."""
        return None

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw what `denoise` starts from, (M, L, h / f, w / f), on the CPU."""
        return torch.randn(tuple(shape), generator=generator, dtype=dtype)

    def encode(self, images: Tensor) -> Tensor:
        """Return the latents of images, (B, 3, h, w) in [-1, 1] -> (B, L, h / f, w / f)."""
        encoded = self.vae.encode(images)
        latents: Tensor = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        scaled: Tensor = latents * self.vae.config.scaling_factor
        return scaled

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of latents, (B, L, h / f, w / f) -> (B, 3, h, w), unclamped."""
        decoded: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return decoded


def in_batches(function: Callable[..., Tensor], batch: int | None, *tensors: Tensor) -> Tensor:
    """Apply a function to parts of tensors along their first dimension, and join what it returns.

    Args:
        function: Of as many tensors as are given.
        batch: Largest first dimension that it sees; None for all at once.
        tensors: Of one first dimension.
    """
    items = len(tensors[0])
    size = batch or items
    results = [function(*(tensor[i : i + size] for tensor in tensors)) for i in range(0, items, size)]
    return results[0] if len(results) == 1 else torch.cat(results)


def _buffer_name(task: Task) -> str:
    return f"prompt_{task.value}"
