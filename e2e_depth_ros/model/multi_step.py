"""From noise to the prediction in any number of steps: Marigold and its consistency models."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.latent_network import LatentNetwork, in_batches
from e2e_depth_ros.model.task import Task


class MultiStepModel(LatentNetwork):
    """A latent diffusion network that denoises (Marigold, Ke et al., arXiv 2312.02145).

    diffusers' own schedulers take the steps, in the order of its Marigold pipelines, so that the same noise
    gives the same latents to the last bit.

    Args:
        unet: diffusers' UNet2DConditionModel; it reads 2 L channels: image, then target.
        vae: See `LatentNetwork`.
        prompt_embeddings: See `LatentNetwork`.
        scheduler: Of diffusers, see `ddim_scheduler` and `consistency_scheduler`.
        steps: How many it takes.

    Raises:
        InvalidInputError: The scheduler can't take so many steps.
        CheckpointError: The UNet reads no target.
    """

    starts_from_noise = True

    def __init__(
        self,
        unet: Any,
        vae: nn.Module,
        prompt_embeddings: Mapping[Task, Tensor],
        scheduler: Any,
        steps: int,
    ) -> None:
        super().__init__(unet, vae, prompt_embeddings)
        self.scheduler = scheduler
        self.steps = steps
        if unet.config.in_channels != 2 * unet.config.out_channels:
            raise CheckpointError(
                f"expected a UNet that reads image and target, {2 * unet.config.out_channels} channels, to "
                f"denoise in steps; got one of {unet.config.in_channels}"
            )
        try:
            scheduler.set_timesteps(steps)
        except ValueError as error:
            known = scheduler.config.get("original_inference_steps") or scheduler.config.num_train_timesteps
            raise InvalidInputError(f"expected 1 to {known} denoising steps, got {steps}") from error

    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
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
        latents = start
        self.scheduler.set_timesteps(self.steps)
        for timestep in self.scheduler.timesteps:  # on the CPU: the scheduler's tables are, and needn't wait
            output = self._output(images, latents, prompts, timestep.to(latents.device), batch)
            latents = self.scheduler.step(output, timestep, latents, generator=generator).prev_sample
        return latents

    def _output(
        self, images: Tensor, latents: Tensor, prompts: Tensor, timestep: Tensor, batch: int | None
    ) -> Tensor:
        def predict(images: Tensor, latents: Tensor, prompts: Tensor) -> Tensor:
            unet_input = torch.cat([images, latents], dim=1)  # (b, 2 L, h / f, w / f)
            output: Tensor = self.unet(unet_input, timestep, prompts, return_dict=False)[0]
            return output

        return in_batches(predict, batch, images, latents, prompts)


def ddim_scheduler(config: Mapping[str, Any], spacing: str) -> Any:
    """Make diffusers' DDIM scheduler of a saved config, of whichever scheduler class.

    Args:
        config: With zero terminal SNR where it says so.
        spacing: Of the timesteps; the saved one is ignored.
    """
    from diffusers.schedulers import DDIMScheduler  # noqa: PLC0415 - slow

    return _scheduler(DDIMScheduler, {**config, "timestep_spacing": spacing})


def consistency_scheduler(config: Mapping[str, Any]) -> Any:
    """Make diffusers' scheduler of latent consistency models (Luo et al., arXiv 2310.04378)."""
    from diffusers.schedulers import LCMScheduler  # noqa: PLC0415 - slow

    return _scheduler(LCMScheduler, config)


def _scheduler(scheduler_class: Any, config: Mapping[str, Any]) -> Any:
    known = inspect.signature(scheduler_class.__init__).parameters
    try:
        return scheduler_class(**{key: value for key, value in config.items() if key in known})
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"diffusers can't build a {scheduler_class.__name__} of this config ({error})"
        ) from error
