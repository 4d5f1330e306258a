"""Sparse measured depth as an image."""

import numpy as np
import pytest

from e2e_depth_ros.core.hint import hint_from_samples

SIZE = (48, 72)


def measured(count, seed=3):
    """Samples at whole pixels, each once, of a wall that recedes to the right."""
    rng = np.random.default_rng(seed)
    v, u = np.unravel_index(rng.choice(SIZE[0] * SIZE[1], count, replace=False), SIZE)
    return u, v, 2 * np.exp(u / 72)


def test_it_holds_what_was_measured_where_it_was_measured():
    u, v, depth_m = measured(200)
    hint = hint_from_samples(u, v, depth_m, SIZE)
    assert hint.pixels.shape == (3, *SIZE)
    assert hint.pixels.dtype == np.float32
    nearest = hint.depth_m(hint.pixels[1, v, u])  # that is itself
    np.testing.assert_allclose(nearest, depth_m, rtol=1e-5)
    np.testing.assert_allclose(hint.depth_m(hint.pixels[0, v, u]), depth_m, rtol=0.03)
    assert hint.pixels[2, v, u].min() > 0.4
    assert hint.pixels[2, v, u].mean() > 0.95


def test_between_samples_it_goes_on_smoothly_and_tells_how_far_they_are():
    u, v, depth_m = measured(200)
    hint = hint_from_samples(u, v, depth_m, SIZE)
    truth = 2 * np.exp(np.arange(72) / 72)
    error = np.abs(np.log(hint.depth_m(hint.pixels[:2]) / truth))
    assert error[0].mean() < 0.03
    assert error[0].mean() < error[1].mean()
    right = hint_from_samples(u[u < 30], v[u < 30], depth_m[u < 30], SIZE)
    assert right.pixels[2, :, 60:].max() < -0.9


def test_its_range_is_that_of_trusted_samples_with_a_margin():
    u, v, depth_m = measured(300)
    clean = hint_from_samples(u, v, depth_m, SIZE)
    assert np.abs(clean.pixels[:2]).max() < 0.9
    wrong = np.arange(300) % 6 == 0
    depth_m[wrong] = np.geomspace(20, 60, wrong.sum())[np.random.default_rng(1).permutation(wrong.sum())]
    spoilt = hint_from_samples(u, v, depth_m, SIZE)
    assert spoilt.centre == pytest.approx(clean.centre, abs=0.1)
    assert spoilt.half_range == pytest.approx(clean.half_range, abs=0.1)
    assert np.median(spoilt.pixels[1, v[wrong], u[wrong]]) == pytest.approx(1.5)  # more is told no more
    # Hardly any trust is left in them, and they hardly move what is filled in.
    assert spoilt.pixels[2, v[wrong], u[wrong]].mean() < spoilt.pixels[2, v[~wrong], u[~wrong]].mean() - 1
    assert np.abs(spoilt.depth_m(spoilt.pixels[0]) / clean.depth_m(clean.pixels[0]) - 1).mean() < 0.1


def test_a_wall_from_the_front_still_has_a_range():
    hint = hint_from_samples([3, 40, 60], [5, 20, 40], [2.0, 2.0, 2.0], SIZE)
    assert (hint.centre, hint.half_range) == (pytest.approx(np.log(2)), pytest.approx(0.3))
    np.testing.assert_allclose(hint.pixels[:2], 0, atol=1e-6)


def test_one_sample_and_samples_beyond_the_border_are_enough():
    one = hint_from_samples([71.4], [-0.4], [5.0], SIZE)
    np.testing.assert_allclose(one.depth_m(one.pixels[:2]), 5, rtol=1e-5)
    assert np.unravel_index(one.pixels[2].argmax(), SIZE) == (0, 71)


def test_of_two_in_one_pixel_the_supported_one_stays():
    u, v, depth_m = measured(300)
    u, v, depth_m = np.append(u, u[:40]), np.append(v, v[:40]), np.append(depth_m, np.full(40, 30.0))
    twice = hint_from_samples(u, v, depth_m, SIZE)
    np.testing.assert_allclose(twice.depth_m(twice.pixels[1, v[:40], u[:40]]), depth_m[:40], rtol=1e-5)
