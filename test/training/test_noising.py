"""Noisy latents are those of diffusers' schedulers; the noise has the scales it should."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER
from e2e_depth_ros.training.noising import Noising
from e2e_depth_ros.training.recipe import DiffusionRecipe

CLEAN = torch.randn(6, 4, 12, 20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon", "sample"])
def test_is_what_diffusers_schedulers_do(prediction_type, rescale):
    config = {
        **ONE_STEP_SCHEDULER,
        "prediction_type": prediction_type,
        "rescale_betas_zero_snr": rescale,
    }
    if rescale and prediction_type == "epsilon":
        with pytest.raises(InvalidInputError, match="zero_terminal_snr: expected false"):
            Noising(DiffusionRecipe(), config, 3)
        return
    noising = Noising(DiffusionRecipe(), config, 3)
    noised = noising(CLEAN, 7)
    timesteps = noising.timesteps(6, 7)
    noise = noising.noise(CLEAN.shape, timesteps, 7)
    for scheduler in (DDIMScheduler.from_config(config), DDPMScheduler.from_config(config)):
        expected = scheduler.add_noise(CLEAN, noise, timesteps)
        torch.testing.assert_close(noised.latents, expected, rtol=1e-5, atol=1e-6)
        answer = {
            "v_prediction": scheduler.get_velocity(CLEAN, noise, timesteps)
            if hasattr(scheduler, "get_velocity")
            else None,
            "epsilon": noise,
            "sample": CLEAN,
        }[prediction_type]
        torch.testing.assert_close(noised.output, answer, rtol=1e-5, atol=1e-6)
    assert torch.equal(noised.timesteps, timesteps)


def test_the_right_answer_leads_back_to_the_clean_latents():
    noised = Noising(DiffusionRecipe(), ONE_STEP_SCHEDULER, 3)(CLEAN, 0)
    scheduler = DDIMScheduler.from_config(ONE_STEP_SCHEDULER)
    scheduler.set_timesteps(1000)
    for index, timestep in enumerate(noised.timesteps):
        one = slice(index, index + 1)
        step = scheduler.step(noised.output[one], int(timestep), noised.latents[one])
        torch.testing.assert_close(step.pred_original_sample, CLEAN[one], rtol=1e-3, atol=2e-3)


def test_zero_terminal_snr_leaves_nothing_but_noise_at_the_end():
    config = {**ONE_STEP_SCHEDULER, "rescale_betas_zero_snr": True}
    noising = Noising(DiffusionRecipe(noise="gaussian"), config, 0)
    last = torch.full((6,), 999)
    noising.timesteps = lambda *_: last
    noised = noising(CLEAN, 0)
    torch.testing.assert_close(noised.latents, noising.noise(CLEAN.shape, last, 0))
    torch.testing.assert_close(noised.output, -CLEAN)


def test_batch_decides_and_nothing_else():
    noising = Noising(DiffusionRecipe(), ONE_STEP_SCHEDULER, 3)
    one = noising(CLEAN, 4)
    torch.manual_seed(1)
    again = Noising(DiffusionRecipe(), ONE_STEP_SCHEDULER, 3)(CLEAN, 4)
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    for other in (noising(CLEAN, 5), Noising(DiffusionRecipe(), ONE_STEP_SCHEDULER, 4)(CLEAN, 4)):
        assert not torch.equal(one.timesteps, other.timesteps)
        assert not torch.equal(one.latents, other.latents)


def test_timesteps_are_all_alike():
    noising = Noising(DiffusionRecipe(), ONE_STEP_SCHEDULER, 0)
    drawn = torch.cat([noising.timesteps(16, number) for number in range(500)])
    counts = torch.histc(drawn.float(), 10, 0, 1000)
    assert (drawn.min(), drawn.max()) == (0, 999)
    assert (counts - 800).abs().max() < 5 * 800**0.5


def smoothness(noise):
    """Correlation of neighbours 8 apart, of each image."""
    return (noise[..., 8:] * noise[..., :-8]).mean(dim=(1, 2, 3))


def test_annealed_noise_is_gaussian_at_the_first_timestep_and_smooth_at_the_last():
    noising = Noising(DiffusionRecipe(strength=0.9), ONE_STEP_SCHEDULER, 0)
    timesteps = torch.tensor([0, 250, 500, 750, 999]).repeat_interleave(40)
    noise = torch.stack([noising.noise((200, 4, 32, 32), timesteps, number) for number in range(3)]).mean(0)
    correlations = smoothness(noise * 3**0.5).view(5, 40).mean(dim=1)
    assert correlations[0].abs() < 0.01
    assert correlations[1:].diff().min() > 0.005
    assert correlations[-1] > 0.1
    each = noising.noise((200, 4, 32, 32), timesteps, 0)
    torch.testing.assert_close(each.std(dim=(1, 2, 3)), torch.ones(200))
    # Twice the same grid at the start, each of variance 1: no correlation, and kurtosis of a normal.
    first = each[:40].flatten()
    assert first.pow(4).mean() == pytest.approx(3, abs=0.1)


def test_gaussian_is_never_smooth():
    noising = Noising(DiffusionRecipe(noise="gaussian"), ONE_STEP_SCHEDULER, 0)
    noise = noising.noise((40, 4, 32, 32), torch.full((40,), 999), 0)
    assert smoothness(noise).mean().abs() < 0.01
