"""One step that mixes no noise in: GenPercept (Xu et al., arXiv 2403.06090)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import STABLE_DIFFUSION, Configs
from e2e_depth_ros.model.checkpoint.prediction import MARIGOLD_AXES
from e2e_depth_ros.model.families.family import NetworkFamily
from e2e_depth_ros.model.families.one_step import DenoisingStep, OneStepSampler
from e2e_depth_ros.model.sampling import Sampling

PIPELINE = "GenPerceptPipeline"
"""The class that an index of such a checkpoint names."""

SCHEDULER: Mapping[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 1.0,
    "beta_end": 1.0,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
    "set_alpha_to_one": False,
    "clip_sample": False,
    "steps_offset": 1,
}
"""The published schedule: betas of 1 leave no signal at any timestep."""

RESOLUTION = 768
"""Longer edge, pixels, that such networks are trained for."""

# Without signal v is -x0; the one step of their "leading" spacing, offset by 1, is timestep 1.
_OUTPUT_IS_MINUS_X0 = DenoisingStep(timestep=1, x0_factor=-1.0)


class GenPercept(NetworkFamily):
    """UNets that read the image's latents where Stable Diffusion reads noise."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`."""
        betas = configs.scheduler.get("beta_start"), configs.scheduler.get("beta_end")
        return (
            configs.pipeline in {"", STABLE_DIFFUSION, PIPELINE}
            and configs.reads_image_alone
            and betas == (1, 1)
            and configs.scheduler.get("prediction_type") == "v_prediction"
        )

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> OneStepSampler:  # noqa: ARG002 - no choice
        """See `NetworkFamily.sampler`."""
        return OneStepSampler(_OUTPUT_IS_MINUS_X0)


GENPERCEPT = GenPercept(
    "one step without noise (GenPercept)",
    is_one_step=True,
    normals_axes=MARIGOLD_AXES,
    default_resolution=RESOLUTION,
)
