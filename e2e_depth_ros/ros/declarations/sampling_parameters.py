"""The parameters that control how a network that starts from noise samples; see `declaration`."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_depth_ros.model.limits import DEFAULT_BATCH_MEMORY_MB
from e2e_depth_ros.model.sampling import DOMAINS, SPACINGS, Sampling
from e2e_depth_ros.ros.declarations.declaration import (
    Changes,
    parameter,
    parameter_for,
    settings_from_parameters,
)
from e2e_depth_ros.ros.declarations.image_parameters import ImageParameters


@dataclass(frozen=True)
class SamplingParameters(ImageParameters):
    """The values of these parameters: checked, and read-only."""

    denoising_steps: int = parameter_for(
        Sampling,
        "steps",
        "Steps from noise to depth, for models of Marigold's kind; 0 for the checkpoint's own number. Models"
        " that answer in one step, such as the embedded one, refuse more than 1.",
        none=0,
        changes=Changes.UNCONFIGURED,
        bounds=(0, 1000),
    )
    timestep_spacing: str = parameter_for(
        Sampling,
        "spacing",
        "How the denoising steps are spaced; trailing suits a small number of them.",
        changes=Changes.UNCONFIGURED,
        choices=SPACINGS,
    )
    ensemble_size: int = parameter_for(
        Sampling,
        "ensemble_size",
        "Predictions per image that are merged into one, for models that start from noise. With 3 or more,"
        " their disagreement lowers confidence/image.",
        changes=Changes.UNCONFIGURED,
        bounds=(1, 100),
    )
    noise_seed: int = parameter_for(
        Sampling,
        "seed",
        "Seed of that noise, which is the same for every image; -1 draws new noise each time.",
        none=-1,
        changes=Changes.UNCONFIGURED,
        bounds=(-1, 2**31 - 1),
    )
    latent_carry: float = parameter_for(
        Sampling,
        "carry",
        "Share of the last image's result in what the next one starts from, for models that start from"
        " noise. Reduces flicker; 0.1 is usual, 0 turns it off. ~/reset_alignment and a clock that jumps"
        " back clear it.",
        changes=Changes.UNCONFIGURED,
        bounds=(0.0, 1.0),
    )
    scene_domain: str = parameter_for(
        Sampling,
        "domain",
        "Kind of scene, for models that need to know it (GeoWizard).",
        changes=Changes.UNCONFIGURED,
        choices=DOMAINS,
    )
    batch_memory: int = parameter(
        DEFAULT_BATCH_MEMORY_MB,
        "Approximate memory, in MB, that one pass of the network may use besides its weights; larger"
        " ensembles run in parts.",
        changes=Changes.UNCONFIGURED,
        bounds=(1, 1_000_000),
    )

    @property
    def sampling(self) -> Sampling:
        """How the network samples, if it starts from noise."""
        return settings_from_parameters(Sampling, self)
