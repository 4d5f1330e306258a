"""The single-step forward. Inference and training share it, so they can't drift apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.denoising import DenoisingStep
from e2e_depth_ros.model.latent_network import LatentNetwork, in_batches
from e2e_depth_ros.model.noise import pyramid_noise
from e2e_depth_ros.model.task import Task


class OneStepModel(LatentNetwork):
    """A latent diffusion network that answers in one deterministic step (E2E-FT, arXiv 2409.11355).

    Where the UNet also reads a target, it is zero: no noise, so nothing is random. (The zero half costs next
    to nothing, so conv_in isn't cut down for inference: one set of weights serves both.) Networks that were
    trained from noise in that place, as in E2E-FT's ablations, start from it. Gradients flow through all
    three parts unless the caller freezes parameters.

    Args:
        unet: See `LatentNetwork`.
        vae: See `LatentNetwork`.
        prompt_embeddings: See `LatentNetwork`.
        step: From the network's output to latents.
        target_noise: What it starts from: "zeros", "gaussian" or "pyramid".
    """

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module,
        prompt_embeddings: Mapping[Task, Tensor],
        step: DenoisingStep,
        target_noise: str = "zeros",
    ) -> None:
        super().__init__(unet, vae, prompt_embeddings)
        self.step = step
        self.target_noise = target_noise
        self.starts_from_noise = target_noise != "zeros"

    def forward(self, images: Tensor, tasks: Task | Sequence[Task]) -> Tensor:
        """Predict in pixel space, unclamped.

        Args:
            images: (B, 3, h, w), RGB in [-1, 1]; h and w multiples of the VAE's factor.
            tasks: What to predict, for all images or for each.

        Returns:
            (B, 3, h, w) as decoded, about [-1, 1]; see `depth_from_decoded` and `normals_from_decoded`.
        """
        return self.decode(self.predict(self.encode(images), tasks))

    def predict(
        self, image_latents: Tensor, tasks: Task | Sequence[Task], start: Tensor | None = None
    ) -> Tensor:
        """Return the predicted latents, (B, L, h / f, w / f), for those of the images.

        Args:
            image_latents: (B, L, h / f, w / f).
            tasks: What to predict, for all images or for each.
            start: What the target's latents start from in a training with noise; None for zeros.
        """
        batch = image_latents.shape[0]
        wanted = [tasks] * batch if isinstance(tasks, Task) else list(tasks)
        if len(wanted) != batch:
            raise InvalidInputError(f"expected a task for each of {batch} images, got {len(wanted)}")
        return self._step(image_latents, self.prompts(wanted), start)

    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
        tokens: Tensor | None = None,  # noqa: ARG002 - the image is seen in its latents alone
        generator: torch.Generator | None = None,  # noqa: ARG002 - nothing is drawn
        batch: int | None = None,
    ) -> Tensor:
        """See `LatentNetwork.denoise`."""
        if (start is not None) != self.starts_from_noise:
            expected = f"{self.target_noise} noise" if self.starts_from_noise else "no noise"
            raise InvalidInputError(f"expected {expected}: this network starts from {self.target_noise}")
        inputs = [image_latents.repeat(len(tasks), 1, 1, 1)]
        inputs.append(self.prompts([task for task in tasks for _ in image_latents]))
        if start is not None:
            inputs.append(start)
        return in_batches(self._step, batch, *inputs)

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """See `LatentNetwork.draw_noise`."""
        if self.target_noise == "pyramid":
            return pyramid_noise(shape, generator).to(dtype)
        return super().draw_noise(shape, generator, dtype)

    def enable_gradient_checkpointing(self) -> None:
        """Trade time for memory in training: recompute activations of the UNet and VAE going backward."""
        self.unet.enable_gradient_checkpointing()
        self.vae.enable_gradient_checkpointing()

    def _step(self, image_latents: Tensor, prompts: Tensor, start: Tensor | None = None) -> Tensor:
        if self.unet.config.in_channels == 2 * image_latents.shape[1]:
            target = torch.zeros_like(image_latents) if start is None else start
            unet_input = torch.cat([image_latents, target], dim=1)
        elif start is not None:
            raise InvalidInputError("expected no noise: this network reads the image alone")
        else:
            unet_input = image_latents
        timestep = torch.tensor(self.step.timestep, device=image_latents.device)
        output: Tensor = self.unet(unet_input, timestep, prompts, return_dict=False)[0]
        return self.step(output, start)
