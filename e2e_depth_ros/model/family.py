"""Which family a checkpoint belongs to: told from its configs alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from e2e_depth_ros.core.errors import CheckpointError

TARGET_NOISES = ("zeros", "gaussian", "pyramid")
"""What a network of one step may start from."""

_TASK_CODE_SIZE = 4  # sine and cosine of two numbers
_TASK_AND_DOMAIN_CODE_SIZE = 10  # and of three more


class Family(Enum):
    """How a network comes from an image to its prediction."""

    ONE_STEP = "one deterministic step (E2E-FT)"
    DIFFUSION = "diffusion from noise (Marigold)"
    CONSISTENCY = "latent consistency from noise (Marigold LCM)"
    JOINT_ONE_STEP = "depth and normals together, one deterministic step (GeoWizard E2E-FT)"
    JOINT_DIFFUSION = "depth and normals together, diffusion from noise (GeoWizard)"

    @property
    def is_one_step(self) -> bool:
        """Whether it answers in one step from zero, so that nothing is random."""
        return self in (Family.ONE_STEP, Family.JOINT_ONE_STEP)

    @property
    def is_joint(self) -> bool:
        """Whether it predicts depth and normals together."""
        return self in (Family.JOINT_ONE_STEP, Family.JOINT_DIFFUSION)


_STEPS_WHERE_UNSAID = {Family.DIFFUSION: 4, Family.JOINT_DIFFUSION: 10}


def family_of(
    index: Mapping[str, Any], scheduler_config: Mapping[str, Any], unet_config: Mapping[str, Any]
) -> Family:
    """Tell the family.

    The classes that configs name don't decide: E2E-FT's checkpoints name StableDiffusionPipeline. What does:
    only GeoWizard's UNet is told its task as a class; only consistency models are distilled from a number of
    original steps; one step by default is what
    E2E-FT trains; where the index is silent, E2E-FT's schedulers are saved with "trailing", Marigold's
    old ones with "leading".

    Args:
        index: Of model_index.json.
        scheduler_config: Of scheduler_config.json.
        unet_config: Of the UNet's config.json.
    """
    is_joint = unet_config.get("class_embed_type") == "projection"
    if not is_joint and scheduler_config.get("original_inference_steps") is not None:
        return Family.CONSISTENCY
    steps = index.get("default_denoising_steps")
    trailing = scheduler_config.get("timestep_spacing") == "trailing"
    if steps == 1 or (steps is None and trailing):
        return Family.JOINT_ONE_STEP if is_joint else Family.ONE_STEP
    return Family.JOINT_DIFFUSION if is_joint else Family.DIFFUSION


def sees_image_by_clip(unet_config: Mapping[str, Any]) -> bool:
    """Tell GeoWizard's version 1, which is given the image's CLIP embedding and a code of the domain.

    Version 2 is told the domain by the prompt, "indoor geometry". The size of the code tells them apart.

    Raises:
        CheckpointError: It is neither.
    """
    size = unet_config.get("projection_class_embeddings_input_dim")
    if size not in (_TASK_CODE_SIZE, _TASK_AND_DOMAIN_CODE_SIZE):
        raise CheckpointError(
            "expected GeoWizard's UNet with projection_class_embeddings_input_dim "
            f"{_TASK_AND_DOMAIN_CODE_SIZE} (version 1) or {_TASK_CODE_SIZE} (version 2), got {size!r}"
        )
    return bool(size == _TASK_AND_DOMAIN_CODE_SIZE)


def default_steps(index: Mapping[str, Any], family: Family) -> int:
    """Return the denoising steps that a checkpoint is used with, unless the user says otherwise."""
    steps = index.get("default_denoising_steps")
    return steps if isinstance(steps, int) and steps > 0 else _STEPS_WHERE_UNSAID.get(family, 1)
