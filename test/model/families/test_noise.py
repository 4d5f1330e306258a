"""Noise of many scales is smooth noise, of unit deviation in each image, and only the seed is random."""

import pytest
import torch

from e2e_depth_ros.model.families.noise import STRENGTH, gaussian_noise, pyramid_noise

SHAPE = (3, 4, 24, 40)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def steps(noise):
    """Mean square of the difference of neighbours, over twice the variance: 1 for noise without scale."""
    return (noise.diff(dim=-1).square().mean(dim=(1, 2, 3)) / 2).tolist()


def test_each_image_has_unit_deviation_and_the_seed_decides():
    noise = pyramid_noise(SHAPE, seeded())
    assert noise.shape == SHAPE
    assert noise.dtype == torch.float32
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.ones(3))
    assert torch.equal(noise, pyramid_noise(SHAPE, seeded()))
    assert not torch.equal(noise, pyramid_noise(SHAPE, seeded(1)))


def test_neighbours_are_alike_the_more_the_stronger_it_is():
    found = steps(pyramid_noise(SHAPE, seeded(), torch.tensor([0.0, 0.5, STRENGTH])))
    assert found[0] == pytest.approx(1, abs=0.25)  # level 0 is of full size twice
    assert found[0] > found[1] + 0.04
    assert found[1] > found[2] + 0.04


def test_a_strip_of_one_pixel_is_noise_too():
    assert torch.isfinite(pyramid_noise((1, 4, 1, 9), seeded())).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gaussian_noise_has_no_scale(dtype):
    noise = gaussian_noise(SHAPE, seeded(), dtype)
    assert noise.dtype == dtype
    assert noise.float().std().item() == pytest.approx(1, abs=0.03)
    assert steps(noise.float()) == pytest.approx([1, 1, 1], abs=0.06)
