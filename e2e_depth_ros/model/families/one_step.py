"""One deterministic step from zero to the prediction: E2E-FT (Garcia et al., arXiv 2409.11355)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.model.checkpoint.configs import check_prediction
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts
from e2e_depth_ros.model.checkpoint.layout import Configs
from e2e_depth_ros.model.checkpoint.prediction import MARIGOLD_AXES
from e2e_depth_ros.model.families.family import NetworkFamily, Predict
from e2e_depth_ros.model.families.noise import gaussian_noise, pyramid_noise
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

ONE_STEP_SCHEDULER: Mapping[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,
    "clip_sample": False,
    "steps_offset": 1,
}
"""The scheduler of checkpoints that this project trains: Stable Diffusion 2's noise, ending at x0 exactly."""


@dataclass(frozen=True)
class DenoisingStep:
    """One DDIM step from latents that are zero, or noise, to the predicted latents.

    Both halves of the step (Song et al., arXiv 2010.02502, equation 12, sigma = 0) are linear in the
    network's output and in x_T, so no scheduler runs: x0 = `x0_factor` * output + `start_in_x0` * x_T,
    eps = `noise_factor` * output + `start_in_noise` * x_T, and the result is
    `final_signal` * x0 + `final_noise` * eps. By default the output is x0, but for a factor.

    Convention:
        (`final_signal`, `final_noise`) is (1, 0) where the saved scheduler sets `set_alpha_to_one`: the
        result is x0, what E2E-FT reads. Otherwise they belong to timestep 0, as in diffusers' pipelines:
        with Stable Diffusion's schedule the latents then are 0.24 % smaller. The saved config decides, so
        that a checkpoint gives here what it gives in diffusers.

    Attributes:
        timestep: The one timestep the network is told: the last, T - 1. It is the first step of the
            "trailing" spacing. Whatever spacing was saved is ignored: with "leading" the network would be
            told "hardly any noise" (Lin et al., arXiv 2305.08891; Garcia et al., arXiv 2409.11355).
        x0_factor: See above.
        noise_factor: See above.
        start_in_x0: See above.
        start_in_noise: See above.
        final_signal: See above.
        final_noise: See above.
        clip: x0 is clamped to [-clip, clip]; None where the scheduler doesn't.
    """

    timestep: int
    x0_factor: float
    noise_factor: float = 0.0
    start_in_x0: float = 0.0
    start_in_noise: float = 0.0
    final_signal: float = 1.0
    final_noise: float = 0.0
    clip: float | None = None

    def __call__(self, output: Tensor, start: Tensor | None = None) -> Tensor:
        """Turn the network's output into the predicted latents.

        Args:
            output: (B, L, h, w).
            start: x_T, of the same shape; None for zeros.

        Returns:
            (B, L, h, w).
        """
        # Not folded into one factor: so it rounds as diffusers' scheduler does, to the last bit.
        x0, noise = output * self.x0_factor, output * self.noise_factor
        if start is not None:
            x0, noise = x0 + start * self.start_in_x0, noise + start * self.start_in_noise
        if self.clip is not None:
            x0 = x0.clamp(-self.clip, self.clip)
        return x0 * self.final_signal + noise * self.final_noise


def denoising_step(scheduler_config: Mapping[str, Any]) -> DenoisingStep:
    """Derive the step from a saved scheduler config, of whichever scheduler class.

    Keys that are absent have the values of diffusers' DDIMScheduler.

    Raises:
        CheckpointError: The config asks for something that has no such step.
    """
    alpha_bar = check_prediction(scheduler_config)
    signal, noise = _signal_and_noise(alpha_bar[-1])
    to_one = scheduler_config.get("set_alpha_to_one", True)
    final_signal, final_noise = (1.0, 0.0) if to_one else _signal_and_noise(alpha_bar[0])
    prediction_type = scheduler_config.get("prediction_type", "epsilon")
    if prediction_type == "v_prediction":  # v = signal * eps - noise * x0
        x0_factor, noise_factor = -noise, signal
        start_in_x0, start_in_noise = signal, noise
    elif prediction_type == "sample":
        x0_factor, noise_factor = 1.0, -signal / noise
        start_in_x0, start_in_noise = 0.0, 1 / noise
    else:  # epsilon
        x0_factor, noise_factor = -noise / signal, 1.0
        start_in_x0, start_in_noise = 1 / signal, 0.0
    clips = scheduler_config.get("clip_sample", True)
    return DenoisingStep(
        timestep=len(alpha_bar) - 1,
        x0_factor=x0_factor,
        noise_factor=noise_factor,
        start_in_x0=start_in_x0,
        start_in_noise=start_in_noise,
        final_signal=final_signal,
        final_noise=final_noise,
        clip=float(scheduler_config.get("clip_sample_range", 1.0)) if clips else None,
    )


def _signal_and_noise(alpha_bar: Tensor) -> tuple[float, float]:
    return float(alpha_bar.sqrt()), float((1 - alpha_bar).sqrt())


class OneStepSampler:
    """E2E-FT's: one deterministic step from zero (arXiv 2409.11355), or from noise in its ablations.

    Args:
        step: From the network's output to latents.
        target_noise: What it starts from: "zeros", "gaussian" or "pyramid".
    """

    def __init__(self, step: DenoisingStep, target_noise: str = "zeros") -> None:
        self.step = step
        self.target_noise = target_noise
        self.starts_from_noise = target_noise != "zeros"
        self.steps = 1

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """See `Sampler`."""
        if self.target_noise == "pyramid":
            return pyramid_noise(shape, generator).to(dtype)
        return gaussian_noise(shape, generator, dtype)

    def __call__(
        self,
        predict: Predict,
        start: Tensor,
        generator: torch.Generator | None = None,  # noqa: ARG002 - nothing is drawn
    ) -> Tensor:
        """See `Sampler`."""
        timestep = torch.full((), self.step.timestep, device=start.device)  # made there: nothing is copied
        output = predict(start, timestep)
        return self.step(output, start if self.starts_from_noise else None)


class OneStep(NetworkFamily):
    """Networks that answer in one step, each task asked for by the prompt."""

    def recognises(self, configs: Configs) -> bool:
        """See `NetworkFamily.recognises`."""
        return (configs.is_of_marigold or configs.is_of_e2e_ft) and configs.answers_in_one_step

    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> OneStepSampler:  # noqa: ARG002 - no choice
        """See `NetworkFamily.sampler`."""
        return OneStepSampler(denoising_step(facts.scheduler_config), facts.target_noise)


ONE_STEP = OneStep("one deterministic step (E2E-FT)", is_one_step=True)


def facts_of_new_model(
    name: str, unet: Any, vae: Any, *, tasks: Collection[Task], processing_resolution: int
) -> CheckpointFacts:
    """Describe a network that starts its training: the scheduler of one step, Marigold's axes of normals.

    Args:
        name: What the checkpoint will be called.
        unet: diffusers' UNet2DConditionModel.
        vae: diffusers' AutoencoderKL or AutoencoderTiny.
        tasks: What it learns to predict.
        processing_resolution: Longer edge, pixels, that it is meant for.
    """
    return CheckpointFacts(
        name=name,
        folder=None,
        tasks=frozenset(tasks),
        unet_config=dict(unet.config),
        vae_config=dict(vae.config),
        scheduler_config=ONE_STEP_SCHEDULER,
        processing_resolution=processing_resolution,
        family=ONE_STEP,
        normals_axes=MARIGOLD_AXES,
    )
