"""The sampler against diffusers', and where it differs on purpose."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
)

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.instruct.ancestral import noise_levels, sample_ancestral


def scheduler() -> EulerAncestralDiscreteScheduler:
    return EulerAncestralDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


ALPHA_BAR = scheduler().alphas_cumprod


@pytest.mark.parametrize("steps", [4, 10, 28])
def test_levels_are_those_of_diffusers_where_times_are_whole(steps):
    reference = scheduler()
    reference.set_timesteps(steps)
    levels = noise_levels(ALPHA_BAR, steps)
    assert [level.timestep for level in levels] == pytest.approx(reference.timesteps.tolist())
    assert [level.sigma for level in levels] == pytest.approx(reference.sigmas[:-1].tolist(), rel=1e-5)


def test_levels_between_timesteps_are_interpolated_in_the_logarithm():
    levels = noise_levels(ALPHA_BAR, 7)  # 999, 832.5, 666, 499.5, ...
    assert levels[1].timestep == 832.5
    around = [math.sqrt((1 - a) / a) for a in ALPHA_BAR[832:834].double().tolist()]
    assert levels[1].sigma == pytest.approx(math.sqrt(around[0] * around[1]), rel=1e-6)
    assert noise_levels(ALPHA_BAR, 1)[0].timestep == 999
    for steps in (0, 1001):
        with pytest.raises(InvalidInputError, match="expected 1 to 1000 denoising steps"):
            noise_levels(ALPHA_BAR, steps)


def test_steps_are_those_of_diffusers():
    def network(latents, timestep):
        return torch.sin(3 * latents) + float(timestep) / 1000

    reference = scheduler()
    reference.set_timesteps(10)
    start = torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(4))
    expected, generator = start * reference.init_noise_sigma, torch.Generator().manual_seed(5)
    for timestep in reference.timesteps:
        output = network(reference.scale_model_input(expected, timestep), timestep)
        expected = reference.step(output, timestep, expected, generator=generator).prev_sample
    seen: list[int] = []
    found = sample_ancestral(
        network, start, noise_levels(ALPHA_BAR, 10), torch.Generator().manual_seed(5), seen.append
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert seen == list(range(10))
