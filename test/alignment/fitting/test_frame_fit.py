"""A network may be wrong about a whole scene: samples that confirm each other are right all the same."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, align
from e2e_depth_ros.alignment.fitting.frame_fit import fit_frame, shares_of_cells
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior
from e2e_depth_ros.alignment.fitting.verdict import FitCase
from helpers.known_scene import abs_rel, draw


@pytest.mark.parametrize("near_share", [0.5, 0.6, 0.7])
def test_an_image_that_explains_nothing_leaves_no_part_of_it_far_off(near_share):
    """The network splits one wall in two; a fit to either alone is far off at the other."""
    size, rng = (60, 80), np.random.default_rng(3)
    near = np.arange(size[1]) < near_share * size[1]
    relative = np.where(near, rng.uniform(0, 0.07, size), rng.uniform(0.65, 0.8, size))
    relative[0, 0] = 1
    row, column = np.indices(size)
    depth_m = 2.4 * np.exp(0.12 * np.sin(column / 9) + 0.12 * np.cos(row / 7)) * np.where(near, 1, 1.05)
    place = rng.choice(relative.size, 400, replace=False)
    v, u = np.divmod(place, size[1])
    alignment = align(relative, u, v, depth_m[v, u] * (1 + 0.01 * rng.standard_normal(400)), correction=False)
    assert FitCase.UNEXPLAINED.value in alignment.reason
    assert np.abs(alignment.depth_m / depth_m - 1).mean() < 0.15


def test_a_wall_that_the_network_has_the_wrong_way_round_is_measured():
    """It takes the wall for a corridor. Samples that confirm each other are right all the same."""
    row, column = np.indices((60, 80))
    depth_m = 3 - 0.6 * column / 80 - 0.2 * row / 60
    relative = 0.5 * column / 80 + 0.5 * np.square(np.sin(column / 9))
    u, v, measured_m, _ = draw(depth_m, 400, np.random.default_rng(4), noise=0.01)
    alignment = align(relative, u, v, measured_m, correction=True)
    assert alignment.state is AlignmentState.DEGRADED
    assert FitCase.UNEXPLAINED.value in alignment.reason
    assert abs_rel(alignment.depth_m, depth_m) < 0.02


def test_a_hall_of_slopes_that_the_network_does_not_see_is_measured():
    """On slopes honest neighbours differ, too; still far more confirm each other than outliers would."""
    row, column = np.indices((60, 80))
    depth_m = 2 * np.exp(0.9 * np.sin(column / 14) + 0.6 * np.cos(row / 11))
    relative = np.where(row < 30, 0.75 + 0.2 * np.sin(column / 9), 0.06 + 0.05 * np.cos(column / 7))
    u, v, measured_m, _ = draw(depth_m, 400, np.random.default_rng(0), noise=0.01)
    alignment = align(relative, u, v, measured_m, correction=True)
    assert FitCase.UNEXPLAINED.value in alignment.reason
    assert abs_rel(alignment.depth_m, depth_m) < 0.02
    shuffled = align(relative, u, v, np.random.default_rng(1).permutation(measured_m), correction=True)
    assert FitCase.OUTLIERS.value in shuffled.reason


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_disparity_taken_for_depth_is_told_however_dense_the_samples(scene, noise):
    rng = np.random.default_rng(5)
    relative = (1 / scene.depth_m) * np.exp(noise * rng.standard_normal(scene.depth_m.shape))
    u, v, measured_m, _ = draw(scene.depth_m, 2000, rng, noise=0.01)
    alignment = align(relative, u, v, measured_m, correction=True)
    assert alignment.state is AlignmentState.LOST
    assert FitCase.FLIPPED.value in alignment.reason


def test_a_crowd_counts_little_more_than_one_alone():
    crowd = np.linspace(330, 370, 40, dtype=np.float32)  # in the fifth of eight columns
    u = np.append(crowd, np.float32(-0.4))
    v = np.append(np.full(40, 170, np.float32), np.float32(479.4))
    shares = shares_of_cells(u, v, 640)
    assert shares[-1] == 1
    assert shares[:-1].sum() == pytest.approx(2 * 40 / 41)
    np.testing.assert_allclose(shares_of_cells(u / 4, v / 4, 160), shares)


def test_far_from_all_samples_in_the_image_the_fit_is_less_certain(scene):
    samples = scene.samples(400)
    left = samples.select(samples.u_px < 0.25 * scene.relative.size[1], "right")
    values = scene.relative.values[left.v_px.astype(int), left.u_px.astype(int)].astype(np.float64)
    fit = fit_frame(scene.relative, left, values, (0.0, 1.0), OffsetPrior())
    assert fit.model is not None
    assert fit.remoteness is not None
    even = fit.model.log_depth(np.full(scene.relative.size, np.median(values)))
    variance = fit.left_variance(even, fit.model)

    assert fit.remoteness[:, 0].max() < 0.1
    assert fit.remoteness[:, -1].min() > 0.9
    assert variance[:, -1].min() > variance[:, 0].max() + 0.01
