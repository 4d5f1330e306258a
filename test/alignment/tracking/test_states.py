"""Every case in which samples don't determine scale and shift has its state, and names its reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, AlignmentTracker, TrackerSettings, align
from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.verdict import FitCase
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracking.states import Agreement, state_with, state_without
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind


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


def told(age_s=0.0, ratio=1.0, image_ratio=1.0, missing=None, **fit):
    """The state, and its reason, of an alignment that good samples gave, but for what is said."""
    rng = np.random.default_rng(0)
    values = rng.random(200)
    good = fit_affine(values, 1 + 3 * values, DepthKind.AFFINE_INVARIANT)
    assert good.case is FitCase.WELL_POSED
    agreement = Agreement(200, ratio, image_ratio)
    return state_with(replace(good, **fit), agreement, age_s, missing, "no lidar", TrackerSettings())


def test_the_state_follows_age_and_quality_at_their_limits():
    settings = TrackerSettings()
    fresh, hold = settings.fresh_duration_s, settings.hold_duration_s
    states = [told(age_s)[0] for age_s in (0, fresh, fresh + 0.01, hold, hold + 0.01)]
    assert [state.value for state in states] == ["fresh", "fresh", "held", "held", "lost"]
    assert told(ratio=settings.min_inlier_ratio)[0] is AlignmentState.FRESH
    state, reason = told(ratio=0.62)
    assert (state, "62%" in reason) == (AlignmentState.DEGRADED, True)
    assert told(image_ratio=settings.min_image_ratio)[0] is AlignmentState.FRESH
    state, reason = told(image_ratio=0.71)
    assert (state, "71% of the image" in reason) == (AlignmentState.DEGRADED, True)
    state, reason = told(sigma=0.41)
    assert (state, "41%" in reason) == (AlignmentState.DEGRADED, True)


@pytest.mark.parametrize("correction", [False, True])
def test_a_crowd_does_not_outvote_samples_of_the_rest_of_the_image(scene, correction):
    """The network is right in one corner, where nine tenths of the samples are, and wrong elsewhere."""
    rng = np.random.default_rng(2)
    height, width = scene.relative.size
    u = np.append(rng.uniform(0, width / 3, 450), rng.uniform(width / 3, width - 1, 50))
    v = np.append(rng.uniform(0, height / 2, 450), rng.uniform(0, height - 1, 50))
    depth_m = scene.depth_m[v.astype(int), u.astype(int)] * np.where(u < width / 3, 1, 1.5)
    settings = TrackerSettings(correction=correction)
    alignment = AlignmentTracker(settings).update(scene.relative, 0, Samples(u, v, depth_m))
    assert alignment.inlier_ratio > settings.min_inlier_ratio
    assert alignment.state is AlignmentState.DEGRADED
    assert "of the image that they see" in alignment.reason


def test_a_scale_that_jumps_while_the_image_stands_still_has_to_be_confirmed(scene):
    tracker = AlignmentTracker()
    for index in range(5):
        before = tracker.update(scene.relative, index * 100_000_000, scene.samples(200, seed=index))
    assert before.state is AlignmentState.FRESH
    doubled = replace(scene.samples(200, seed=6), depth_m=2 * scene.samples(200, seed=6).depth_m)
    for index in range(5, 15):
        alignment = tracker.update(scene.relative, index * 100_000_000, doubled)
        assert alignment.state is (AlignmentState.DEGRADED if index < 10 else AlignmentState.FRESH)
        assert ("jumped" in alignment.reason) == (index < 10)
        np.testing.assert_allclose(alignment.depth_m, 2 * scene.depth_m, rtol=0.02)


def test_an_image_of_another_size_is_refused(scene):
    with pytest.raises(InvalidInputError, match="expected an image of uint8"):
        align(scene.relative, [1.0], [2.0], [3.0], image=np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize("wrong", ["image.png", [[[0, 0, 0]]]])
def test_what_is_no_image_is_refused(scene, wrong):
    with pytest.raises(InvalidInputError, match=f"expected an image of uint8 .*, got {type(wrong).__name__}"):
        align(scene.relative, [1.0], [2.0], [3.0], image=wrong)


def test_samples_of_this_frame_that_are_useless_hold_what_others_gave():
    state, reason = told(missing=FitCase.FLIPPED)
    assert state is AlignmentState.HELD
    assert FitCase.FLIPPED.value in reason
    assert told(missing=FitCase.UNEXPLAINED)[0] is AlignmentState.FRESH  # they are of use
    assert "no lidar" in told(age_s=1.0, missing=FitCase.NO_SAMPLES)[1]  # why there are none says more
    assert state_without(None, "no lidar")[0] is AlignmentState.LOST
    assert "no lidar" in state_without(None, "no lidar")[1]


@pytest.mark.parametrize("name", ["fresh_duration_s", "hold_duration_s", "reset_gap_s", "drift"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_durations_and_drifts_are_positive(name, value):
    with pytest.raises(InvalidInputError, match=f"{name} > 0"):
        TrackerSettings(**{name: value})
