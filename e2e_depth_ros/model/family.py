"""Which family a checkpoint belongs to: told from its configs alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any


class Family(Enum):
    """How a network comes from an image to its prediction."""

    ONE_STEP = "one deterministic step (E2E-FT)"
    DIFFUSION = "diffusion from noise (Marigold)"
    CONSISTENCY = "latent consistency from noise (Marigold LCM)"


_STEPS_WHERE_UNSAID = {Family.ONE_STEP: 1, Family.DIFFUSION: 4, Family.CONSISTENCY: 1}


def family_of(index: Mapping[str, Any], scheduler_config: Mapping[str, Any]) -> Family:
    """Tell the family.

    The classes that configs name don't decide: E2E-FT's checkpoints name StableDiffusionPipeline. What does:
    only consistency models are distilled from a number of original steps; one step by default is what
    E2E-FT trains; where the index is silent, E2E-FT's schedulers are saved with "trailing", Marigold's
    old ones with "leading".

    Args:
        index: Of model_index.json.
        scheduler_config: Of scheduler_config.json.
    """
    if scheduler_config.get("original_inference_steps") is not None:
        return Family.CONSISTENCY
    steps = index.get("default_denoising_steps")
    if steps is None:
        trailing = scheduler_config.get("timestep_spacing") == "trailing"
        return Family.ONE_STEP if trailing else Family.DIFFUSION
    return Family.ONE_STEP if steps == 1 else Family.DIFFUSION


def default_steps(index: Mapping[str, Any], family: Family) -> int:
    """Return the denoising steps that a checkpoint is used with, unless the user says otherwise."""
    steps = index.get("default_denoising_steps")
    return steps if isinstance(steps, int) and steps > 0 else _STEPS_WHERE_UNSAID[family]
