"""Latent consistency models: diffusion distilled to few steps (Luo et al., arXiv 2310.04378)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import Configs
from e2e_depth_ros.model.families.family import NetworkFamily
from e2e_depth_ros.model.families.multi_step import ScheduleSampler, scheduler_from_config
from e2e_depth_ros.model.sampling import Sampling


class Consistency(NetworkFamily):
    """Networks that jump from any noise to the prediction, each task asked for by the prompt."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`: only these are distilled from a number of original steps."""
        distilled = configs.scheduler.get("original_inference_steps") is not None
        return configs.is_of_marigold and distilled

    def check_sampling(self, facts: CheckpointFacts, sampling: Sampling) -> None:
        """See `NetworkFamily.check_sampling`."""
        if sampling.spacing != Sampling.spacing:
            raise InvalidInputError(
                f"{facts.name} is a consistency model with timesteps of its own: expected spacing "
                f"{Sampling.spacing!r}, which it ignores, got {sampling.spacing!r}"
            )

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> ScheduleSampler:
        """See `NetworkFamily.sampler`."""
        return ScheduleSampler(consistency_scheduler(facts.scheduler_config), sampling.steps or facts.steps)


CONSISTENCY = Consistency("latent consistency from noise (Marigold LCM)")


def consistency_scheduler(config: Mapping[str, Any]) -> Any:
    """Make diffusers' scheduler of latent consistency models."""
    from diffusers.schedulers import LCMScheduler  # noqa: PLC0415 - slow

    return scheduler_from_config(LCMScheduler, config)
