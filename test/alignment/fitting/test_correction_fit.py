"""Which samples the correction believes."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment import align
from helpers.known_scene import abs_rel, draw, metric_from, scene_relative, smooth_error


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_samples_that_mix_up_a_plant_and_what_is_behind_it_do_not_harm_the_rest(seed):
    """All corners of a picture may be leaves. The network sees one plant, a sensor also the wall between."""
    rng = np.random.default_rng(seed)
    row, column = np.indices((90, 120))
    crown = np.hypot(row - 30, column - 35) < 18
    behind_m = 3 + 1.5 * column / 120 - 1.8 * row / 90
    depth_m = np.where(crown, rng.uniform(0.8, behind_m), behind_m)
    relative = np.where(crown, 1.9, behind_m) * (1 + 0.03 * np.sin(column / 7))
    on_crown = np.argwhere(crown)
    v, u = on_crown[rng.choice(len(on_crown), 150, replace=False)].T
    corrected, fitted = (
        abs_rel(align(relative, u, v, depth_m[v, u], correction=correction).depth_m[~crown], depth_m[~crown])
        for correction in (True, False)
    )
    assert corrected <= 1.05 * fitted


@pytest.mark.parametrize("seed", [12, 14, 15])
def test_few_samples_of_which_some_disagree_are_followed_with_caution(seed):
    """Outliers that look honest may be among the rest, and few samples can't tell."""
    relative = scene_relative()
    rng = np.random.default_rng(seed)
    truth_m = metric_from(relative) * np.exp(smooth_error(rng))
    u, v, measured_m, _ = draw(truth_m, 20, rng, noise=0.01)
    measured_m[:3] *= 2.5

    def correction(chosen):
        samples = relative, u[chosen], v[chosen], measured_m[chosen]
        corrected, fitted = (align(*samples, correction=correction).depth_m for correction in (True, False))
        return float(np.abs(np.log(corrected / fitted)).mean())

    honest, mixed = correction(np.arange(3, 20)), correction(np.arange(20))
    assert honest > 0.02
    assert 0.2 * honest < mixed < 0.7 * honest


def test_samples_of_a_crowd_that_support_each_other_do_not_vouch_for_the_rest_of_the_image():
    """The network misses a board; samples crowd on and beside it."""
    relative = scene_relative()
    row, column = np.indices(relative.shape)
    truth_m = np.where((column < 22) & (row < 60), 0.55, 1) * metric_from(relative)
    rng = np.random.default_rng(4)
    u, v = rng.integers(0, 45, 300), rng.integers(0, relative.shape[0], 300)
    u, v = np.append(u, rng.integers(45, 120, 30)), np.append(v, rng.integers(0, 90, 30))
    shares = [
        align(relative, u, v, truth_m[v, u], correction=correction).inlier_ratio
        for correction in (True, False)
    ]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)
    assert shares[1] < 0.8
    # Where they are all over the image, they do.
    u, v = rng.integers(0, 120, 330), rng.integers(0, 90, 330)
    corrected = align(relative, u, v, truth_m[v, u], correction=True)
    assert corrected.inlier_ratio > 0.95
