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
