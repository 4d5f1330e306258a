"""What makes images from noise: no depth comes of it, but trainings start from it (Stable Diffusion)."""

from __future__ import annotations

from typing import NoReturn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import STABLE_DIFFUSION, Configs
from e2e_depth_ros.model.families.family import NetworkFamily
from e2e_depth_ros.model.sampling import Sampling

_VERSIONS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2"}


class ImageGenerator(NetworkFamily):
    """Stable Diffusion of version 1 or 2, and what is fine-tuned from it to make images."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`."""
        return (
            configs.pipeline == STABLE_DIFFUSION
            and configs.reads_image_alone
            and configs.unet.get("class_embed_type") is None
            and configs.unet.get("addition_embed_type") is None
            and not configs.is_of_marigold
        )

    def refusal(self, configs: Configs) -> str:
        """Say what such a checkpoint is, and what to do with it."""
        version = _VERSIONS.get(configs.unet.get("cross_attention_dim", 0), "Stable Diffusion")
        return (
            f"{version}: an image generator; fine-tune it with e2e_ft_stable_diffusion_depth.yaml or "
            "e2e_ft_stable_diffusion_normals.yaml"
        )

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> NoReturn:  # noqa: ARG002 - there is none
        """See `NetworkFamily.sampler`."""
        raise CheckpointError(f"{facts.name}: expected a network that predicts, got an image generator")


IMAGE_GENERATOR = ImageGenerator("images from noise and a text (Stable Diffusion)")
