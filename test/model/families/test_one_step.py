from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER, denoising_step

_STABLE_DIFFUSION = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "clip_sample": False,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"set_alpha_to_one": True},
        {"timestep_spacing": "leading", "steps_offset": 1},
        {"prediction_type": "epsilon"},
        {"prediction_type": "sample"},
        {"clip_sample": True, "clip_sample_range": 0.5},
        {"rescale_betas_zero_snr": True},
        {"beta_schedule": "linear", "num_train_timesteps": 500},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.01, 0.1, 0.3]},
    ],
)
def test_equals_one_trailing_ddim_step_from_zero(changes: dict[str, object]) -> None:
    config = {**_STABLE_DIFFUSION, **changes}
    trained_betas = config.get("trained_betas")
    known = {"num_train_timesteps": len(trained_betas)} if isinstance(trained_betas, list) else {}
    scheduler = DDIMScheduler(**{**config, **known, "timestep_spacing": "trailing"})
    scheduler.set_timesteps(1)
    output = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = scheduler.step(output, scheduler.timesteps[0], torch.zeros_like(output)).prev_sample
    step = denoising_step(config)
    assert step.timestep == int(scheduler.timesteps[0])
    torch.testing.assert_close(step(output), expected, rtol=3e-6, atol=1e-6)


def test_v_prediction_of_stable_diffusion_has_the_published_factor() -> None:
    step = denoising_step(ONE_STEP_SCHEDULER)
    assert step.timestep == 999
    assert float(step(torch.ones(1))) == pytest.approx(-0.997667, abs=1e-6)
    previous = denoising_step(_STABLE_DIFFUSION)
    x0, eps = -0.997667, 0.068265
    assert float(previous(torch.ones(1))) == pytest.approx(0.99915**0.5 * x0 + 0.00085**0.5 * eps, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction_type": "flow"}, "prediction_type.*'flow'"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule.*'sigmoid'"),
        ({"thresholding": True}, "thresholding"),
        ({"prediction_type": "epsilon", "rescale_betas_zero_snr": True}, "zero terminal SNR"),
    ],
)
def test_refuses_what_has_no_such_step(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        denoising_step({**_STABLE_DIFFUSION, **changes})
