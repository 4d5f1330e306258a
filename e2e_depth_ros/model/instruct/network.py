"""The network that paints by instruction (InstructDiffusion, Geng et al., arXiv 2309.03895)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.facts import down_factor_of
from e2e_depth_ros.model.families.family import in_batches
from e2e_depth_ros.model.instruct.ancestral import noise_levels, sample_ancestral
from e2e_depth_ros.model.limits import halvings_of


@dataclass(frozen=True)
class Guidance:
    """How strongly text and image pull. The constants are those that its authors recommend.

    Attributes:
        text: s_T, away from what the image alone would give.
        image: s_I, away from what the text alone would give.
    """

    text: float
    image: float


EDITING = Guidance(5.0, 1.25)
SEGMENTATION = Guidance(7.5, 1.5)
KEYPOINTS = Guidance(6.0, 0.5)


def guided_noise(full: Tensor, image_only: Tensor, text_only: Tensor, guidance: Guidance) -> Tensor:
    """Combine three passes as InstructDiffusion does.

    Convention:
        Unlike InstructPix2Pix, no pass is without both conditions: the passes with one of them share its
        place. The weights add up to 1, so it is the same for noise and for denoised latents.

    Args:
        full: The network's noise with image and text.
        image_only: With the image and the empty text.
        text_only: With the text and zeros for the image.
        guidance: The weights.
    """
    middle = 0.5 * (image_only + text_only)
    return middle + guidance.text * (full - image_only) + guidance.image * (full - text_only)


class InstructNetwork(nn.Module):
    """Latent diffusion that is conditioned on an image and an instruction.

    Convention:
        The UNet reads [noisy target, image], the other way round than Marigold's. The image's latents are the
        mode of the VAE's posterior, *without* the scaling factor that the target's latents have.
        Whatever dtype UNet and VAE have, what goes in and out is float32, and so are the steps.

    Args:
        unet: diffusers' UNet2DConditionModel, of 2 L input channels, that predicts noise.
        vae: diffusers' AutoencoderKL.
        alpha_bar: (T,), share of signal variance at each timestep.

    Raises:
        CheckpointError: The UNet reads another number of channels.
    """

    def __init__(self, unet: Any, vae: Any, alpha_bar: Tensor) -> None:
        super().__init__()
        expected = 2 * vae.config.latent_channels
        if unet.config.in_channels != expected or unet.config.out_channels * 2 != expected:
            raise CheckpointError(
                f"expected a UNet from {expected} channels (target, image) to {expected // 2}, "
                f"got one from {unet.config.in_channels} to {unet.config.out_channels}"
            )
        self.unet = unet
        self.vae = vae
        self.alpha_bar = alpha_bar

    @property
    def halvings(self) -> int:
        """How often autoencoder and UNet halve an image."""
        return halvings_of(down_factor_of(self.vae.config), len(self.unet.config.block_out_channels))

    @property
    def multiple(self) -> int:
        """What height and width of an image must be divisible by."""
        return int(2**self.halvings)

    def encode(self, images: Tensor) -> Tensor:
        """Return the unscaled latents of images, (B, 3, h, w) in [-1, 1] -> (B, L, h / f, w / f)."""
        latents: Tensor = self.vae.encode(images.to(self.vae.dtype)).latent_dist.mode()
        return latents.float()

    def reconstruct(self, image_latents: Tensor) -> Tensor:
        """Return what the VAE makes of an image: what an unpainted pixel looks like, at best."""
        images: Tensor = self.vae.decode(image_latents.to(self.vae.dtype), return_dict=False)[0]
        return images.float()

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of sampled latents, (B, L, h / f, w / f) -> (B, 3, h, w), unclamped."""
        return self.reconstruct(latents / self.vae.config.scaling_factor)

    def predict_noise(
        self,
        latents: Tensor,
        timestep: float,
        image_latents: Tensor,
        instructions: Tensor,
        empty: Tensor,
        guidance: Guidance,
        *,
        batch: int | None = None,
    ) -> Tensor:
        """Predict the noise in latents by three passes.

        Args:
            latents: (B, L, h, w), of unit variance.
            timestep: 0..T - 1.
            image_latents: (B, L, h, w), see `encode`.
            instructions: (B, n, d), embedded.
            empty: (1, n, d), the empty text embedded.
            guidance: See `guided_noise`.
            batch: How many passes at once; None for all 3 B.

        Returns:
            (B, L, h, w).
        """
        no_text = empty.expand_as(instructions)
        targets = latents.repeat(3, 1, 1, 1)
        images = torch.cat([image_latents, image_latents, torch.zeros_like(image_latents)])
        texts = torch.cat([instructions, no_text, instructions])
        time = torch.tensor(timestep, device=latents.device)

        def one_pass(targets: Tensor, images: Tensor, texts: Tensor) -> Tensor:
            unet_input = torch.cat([targets, images], dim=1).to(self.unet.dtype)  # (b, 2 L, h, w)
            output: Tensor = self.unet(unet_input, time, texts.to(self.unet.dtype), return_dict=False)[0]
            return output.float()

        full, image_only, text_only = in_batches(one_pass, batch, targets, images, texts).chunk(3)
        return guided_noise(full, image_only, text_only, guidance)

    def sample(
        self,
        image_latents: Tensor,
        instructions: Tensor,
        empty: Tensor,
        *,
        steps: int,
        guidance: Guidance,
        generator: torch.Generator,
        batch: int | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Paint: from noise to the latents of the painted images.

        Args:
            image_latents: See `predict_noise`.
            instructions: See `predict_noise`.
            empty: See `predict_noise`.
            steps: How many; its authors take 100.
            guidance: See `guided_noise`.
            generator: Of all noise; on the CPU.
            batch: See `predict_noise`.
            on_step: See `sample_ancestral`.

        Returns:
            (B, L, h, w), for `decode`.
        """
        start = torch.randn(image_latents.shape, generator=generator)

        def predict(latents: Tensor, timestep: float) -> Tensor:
            return self.predict_noise(
                latents, timestep, image_latents, instructions, empty, guidance, batch=batch
            )

        levels = noise_levels(self.alpha_bar, steps)
        return sample_ancestral(predict, start.to(image_latents.device), levels, generator, on_step)
