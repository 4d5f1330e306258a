"""Every case in which samples don't determine scale and shift, from the sensor to the published state."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, AlignmentTracker, TrackerSettings, align
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.verdict import FitCase
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import abs_rel, draw, metric_from, scene_relative, smooth_error


def poor_samples(scene, case):
    """Measurements of which scale and shift can't be found, or hardly."""
    few = {FitCase.NO_SAMPLES: 0, FitCase.ONE_SAMPLE: 1, FitCase.FEW_SAMPLES: 4}
    samples = scene.samples(few.get(case, 200))
    u, v, depth_m = samples.u_px, samples.v_px, samples.depth_m
    rng = np.random.default_rng(7)
    if case is FitCase.NO_SPREAD:  # a small patch
        rows, columns = np.mgrid[70:80, 90:100]
        u, v, depth_m = columns.ravel(), rows.ravel(), scene.depth_m[rows, columns].ravel()
    elif case is FitCase.OUTLIERS:
        depth_m = np.exp(rng.uniform(np.log(0.5), np.log(20), 200))
    elif case is FitCase.FLIPPED:
        depth_m = 6 - depth_m
    elif case is FitCase.UNEXPLAINED:  # depth varies by 13 %, of which the image sees hardly anything
        depth_m = 3 * np.exp(0.13 * rng.normal(size=200)) * (depth_m / 3) ** 0.05
    return Samples(u, v, depth_m)


@pytest.mark.parametrize("case", [case for case in FitCase if case is not FitCase.WELL_POSED])
def test_every_poor_case_has_its_state_and_names_its_reason(scene, case):
    samples = poor_samples(scene, case)
    alignment = align(scene.relative, samples.u_px, samples.v_px, samples.depth_m, correction=True)
    assert case.value in alignment.reason
    if case.is_rejected:
        assert alignment.state is AlignmentState.LOST
        assert alignment.depth is None
        assert alignment.std_m is None
        assert np.isnan(alignment.depth_m).all()
        assert np.isnan([alignment.scale, alignment.shift_m]).all()
        assert alignment.samples_used == 0
    else:
        assert alignment.state is AlignmentState.DEGRADED
        assert alignment.depth.kind is DepthKind.METRIC
        assert (alignment.depth_m > 0).all()


@pytest.mark.parametrize("case", [case for case in FitCase if case.is_rejected])
def test_rejected_samples_leave_a_known_alignment_held(scene, case):
    tracker = AlignmentTracker(TrackerSettings(correction=True))
    tracker.update(scene.relative, 0, scene.samples(200, seed=1))
    alignment = tracker.update(scene.relative, 100_000_000, poor_samples(scene, case))
    assert alignment.state is AlignmentState.HELD
    assert case.value in alignment.reason
    np.testing.assert_allclose(alignment.depth_m, scene.depth_m, rtol=5e-3)


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
