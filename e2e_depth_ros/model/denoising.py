"""The one denoising step that leads from zero noise to the prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError

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
    `final_signal` * x0 + `final_noise` * eps.

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
    noise_factor: float
    start_in_x0: float
    start_in_noise: float
    final_signal: float
    final_noise: float
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
    alpha_bar = alpha_bars(scheduler_config)
    signal, noise = _signal_and_noise(alpha_bar[-1])
    to_one = scheduler_config.get("set_alpha_to_one", True)
    final_signal, final_noise = (1.0, 0.0) if to_one else _signal_and_noise(alpha_bar[0])
    prediction_type = scheduler_config.get("prediction_type", "epsilon")
    if scheduler_config.get("thresholding", False):
        raise CheckpointError(
            "expected a scheduler without thresholding, which is for pixels, not for latents"
        )
    if prediction_type == "v_prediction":  # v = signal * eps - noise * x0
        x0_factor, noise_factor = -noise, signal
        start_in_x0, start_in_noise = signal, noise
    elif prediction_type == "sample":
        x0_factor, noise_factor = 1.0, -signal / noise
        start_in_x0, start_in_noise = 0.0, 1 / noise
    elif prediction_type == "epsilon":
        if signal == 0:
            raise CheckpointError(
                "epsilon prediction says nothing at zero terminal SNR: expected v_prediction"
            )
        x0_factor, noise_factor = -noise / signal, 1.0
        start_in_x0, start_in_noise = 1 / signal, 0.0
    else:
        raise CheckpointError(
            "expected prediction_type v_prediction, epsilon or sample in the scheduler, "
            f"got {prediction_type!r}"
        )
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


def alpha_bars(config: Mapping[str, Any]) -> Tensor:
    """Return the share of signal variance at each timestep, (T,), in float32 as diffusers keeps it."""
    steps = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    schedule = config.get("beta_schedule", "linear")
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float32)
    elif schedule == "linear":
        betas = torch.linspace(start, end, steps)
    elif schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps) ** 2
    elif schedule == "squaredcos_cap_v2":  # Nichol and Dhariwal, arXiv 2102.09672, equation 17
        time = torch.arange(steps + 1, dtype=torch.float64) / steps
        cosine = ((time + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        betas = (1 - cosine[1:] / cosine[:-1]).clamp(max=0.999).float()
    else:
        raise CheckpointError(
            "expected beta_schedule linear, scaled_linear or squaredcos_cap_v2 in the scheduler, "
            f"got {schedule!r}"
        )
    alpha_bar = torch.cumprod(1 - betas, dim=0)
    if config.get("rescale_betas_zero_snr", False):  # Lin et al., arXiv 2305.08891, algorithm 1
        signal = alpha_bar.sqrt()
        alpha_bar = ((signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])) ** 2
    if not ((alpha_bar >= 0) & (alpha_bar <= 1)).all():  # NaN is neither
        raise CheckpointError(
            "expected a scheduler whose betas leave 0..1 of the signal at each timestep, "
            f"got {float(alpha_bar.min()):.3g} to {float(alpha_bar.max()):.3g}"
        )
    return alpha_bar
