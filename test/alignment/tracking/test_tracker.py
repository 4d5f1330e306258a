from dataclasses import replace

import cv2
import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, AlignmentTracker, TrackerSettings
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracking.track import FrameSamples
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import (
    SCALE,
    SHIFT_M,
    SIZE,
    abs_rel,
    as_map,
    draw,
    metric_from,
    scene_relative,
    smooth_error,
)

FRAME_NS = 33_000_000
FRESH, DEGRADED, HELD, LOST = (
    AlignmentState.FRESH,
    AlignmentState.DEGRADED,
    AlignmentState.HELD,
    AlignmentState.LOST,
)


class World:
    """A still camera with a network whose error is smooth, and a sensor."""

    def __init__(self, seed=0, gain=1.0):
        self.rng = np.random.default_rng(seed)
        self.values = scene_relative()
        self.relative = as_map(self.values)
        self.truth = metric_from(self.values) * np.exp(smooth_error(np.random.default_rng(1))) * gain

    def samples(self, count=300, *, noise=0.02, outliers=0.0):
        u, v, z, _ = draw(self.truth, count, self.rng, noise=noise, outliers=outliers)
        return Samples(u, v, z.astype(np.float32), source="lidar")


def run(tracker, world, frames, samples_of, start=0):
    return [
        tracker.update(world.relative, index * FRAME_NS, samples_of(index))
        for index in range(start, start + frames)
    ]


def test_life_of_an_alignment():
    world, tracker = (
        World(),
        AlignmentTracker(TrackerSettings(fresh_duration_s=0.5, hold_duration_s=2.0, correction=True)),
    )
    first = tracker.update(world.relative, 0, None)
    assert (first.state, first.depth, first.std_m) == (LOST, None, None)
    assert np.isnan(first.depth_m).all()
    assert first.depth_m.shape == SIZE
    assert "no alignment yet" in first.reason
    fresh = tracker.update(world.relative, FRAME_NS, world.samples())
    assert fresh.state is FRESH
    assert fresh.source == "lidar"
    assert fresh.age_s == 0
    assert abs_rel(fresh.depth_m, world.truth) < 0.03
    later = run(tracker, world, 80, lambda _: None, start=2)
    states = [one.state for one in later]
    assert [state for state, before in zip(states, [None, *states], strict=False) if state is not before] == [
        FRESH,
        HELD,
        LOST,
    ]
    ages = {state: [one.age_s for one in later if one.state is state] for state in (FRESH, HELD, LOST)}
    assert max(ages[FRESH]) <= 0.5 < min(ages[HELD])
    assert max(ages[HELD]) <= 2.0 < min(ages[LOST])
    assert "no samples" in later[30].reason
    spread = [float(one.log_std.mean()) for one in later if one.state is not LOST]
    assert (np.diff(spread) > 0).all()  # held with growing uncertainty
    again = tracker.update(world.relative, 90 * FRAME_NS, world.samples())
    assert again.state is FRESH


def test_a_still_scene_does_not_flicker():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    # A LiDAR at 10 Hz, a camera at 30 Hz.
    results = run(tracker, world, 90, lambda index: world.samples(150) if index % 3 == 0 else None)[30:]
    depth = np.stack([one.depth_m for one in results])
    change = np.abs(np.diff(depth, axis=0)) / depth[1:]
    assert {one.state for one in results} == {FRESH}
    assert change.mean(axis=(1, 2)).max() < 0.005
    alone = [
        AlignmentTracker(TrackerSettings(correction=True))
        .update(world.relative, 0, world.samples(150))
        .depth_m
        for _ in range(6)
    ]
    unfiltered = np.mean(np.abs(np.diff(alone, axis=0)) / alone[0])
    assert change[change.mean(axis=(1, 2)) > 0].mean() < 0.5 * unfiltered


def late(world, stamp_ns, samples=None):
    return FrameSamples(world.relative, stamp_ns, world.samples() if samples is None else samples)


@pytest.mark.parametrize("correction", [False, True])
def test_samples_that_come_late_count_as_if_they_had_come_in_time(correction):
    """Frames 10 and 13 are measured; in one case the samples come three frames later."""
    world = World()
    trackers = [AlignmentTracker(TrackerSettings(correction=correction)) for _ in range(2)]
    measured = {index: world.samples() for index in (0, 10, 13)}
    for index in range(17):
        relative = as_map(world.values * (1 + 0.001 * index))
        if index in measured:
            measured[index] = FrameSamples(relative, index * FRAME_NS, measured[index])
        at_once, of_old = measured.get(index), measured.get(index - 3)
        in_time = trackers[0].update(relative, index * FRAME_NS, at_once and at_once.samples)
        come_late = trackers[1].update(relative, index * FRAME_NS, None, late=[of_old] if of_old else [])
    assert come_late.state is FRESH
    assert come_late.age_s == in_time.age_s == pytest.approx(3 * FRAME_NS * 1e-9)
    assert come_late.samples_used == in_time.samples_used
    np.testing.assert_allclose(come_late.depth_m, in_time.depth_m, rtol=2e-3)
    np.testing.assert_allclose(come_late.log_std, in_time.log_std, rtol=0.1)
    assert come_late.inlier_ratio > 0.95  # the frame has no samples of its own; this is told of the late ones


def test_late_samples_start_an_alignment():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    tracker.update(world.relative, 0, None)
    result = tracker.update(world.relative, 10 * FRAME_NS, None, late=[late(world, 0)])
    assert (result.state, result.source) == (FRESH, "lidar")
    assert result.age_s == pytest.approx(10 * FRAME_NS * 1e-9)
    assert abs_rel(result.depth_m, world.truth) < 0.03


def test_late_samples_do_not_make_newer_ones_old():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    run(tracker, world, 10, lambda _: world.samples())
    result = tracker.update(world.relative, 10 * FRAME_NS, None, late=[late(world, 5 * FRAME_NS)])
    assert result.age_s == pytest.approx(FRAME_NS * 1e-9)
    assert abs_rel(result.depth_m, world.truth) < 0.03


def test_late_samples_that_lie_change_nothing_and_are_told():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    good = run(tracker, world, 5, lambda _: world.samples())[-1]
    lie = late(world, 3 * FRAME_NS, world.samples(outliers=1.0))
    result = tracker.update(world.relative, 5 * FRAME_NS, None, late=[lie])
    assert result.state is HELD
    assert "disagree" in result.reason
    assert result.age_s == pytest.approx(FRAME_NS * 1e-9)
    assert abs_rel(result.depth_m, good.depth_m) < 0.005
    assert tracker.update(world.relative, 6 * FRAME_NS, world.samples()).state is FRESH


@pytest.mark.parametrize("stamp_s", [-20.0, 1000.0])
def test_late_samples_of_another_time_are_left_alone(stamp_s):
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    before = run(tracker, world, 5, lambda _: world.samples())[-1]
    result = tracker.update(
        world.relative, 5 * FRAME_NS, None, late=[late(World(gain=3), int(stamp_s * 1e9))]
    )
    assert result.state is FRESH
    assert abs_rel(result.depth_m, before.depth_m) < 0.005


def test_late_samples_of_a_blind_frame_or_another_size_do_no_harm():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    run(tracker, world, 5, lambda _: world.samples())
    blind = FrameSamples(as_map(np.full(SIZE, np.nan)), 4 * FRAME_NS, world.samples())
    assert tracker.update(world.relative, 5 * FRAME_NS, None, late=[blind]).state is FRESH
    half = late(world, 5 * FRAME_NS)
    small = as_map(world.values[::2, ::2])
    result = tracker.update(small, 6 * FRAME_NS, None, late=[half])
    assert result.depth_m.shape == (45, 60)
    assert abs_rel(result.depth_m, world.truth[::2, ::2]) < 0.07


@pytest.mark.parametrize("gain", [0.7, 1.5])
def test_a_real_change_is_followed_at_once_and_believed_when_confirmed(gain):
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    run(tracker, world, 20, lambda _: world.samples())
    changed = World(gain=gain)
    result = tracker.update(world.relative, 21 * FRAME_NS, changed.samples())
    assert abs_rel(result.depth_m, changed.truth) < 0.03
    assert (result.state, "jumped" in result.reason) == (DEGRADED, True)
    result = tracker.update(world.relative, 22 * FRAME_NS, changed.samples())
    assert abs_rel(result.depth_m, changed.truth) < 0.03
    assert (result.state, "jumped" in result.reason) == (DEGRADED, True)
    for index in range(23, 27):
        result = tracker.update(world.relative, index * FRAME_NS, changed.samples())
    assert abs_rel(result.depth_m, changed.truth) < 0.03
    assert result.state is FRESH


def test_a_moving_camera_is_followed():
    tracker = AlignmentTracker(TrackerSettings(correction=True))
    world = World()
    for index in range(10):
        # Each frame the network picks another range for what it sees.
        world.relative = as_map(world.values * (1 + 0.05 * index) - 0.02 * index)
        result = tracker.update(world.relative, index * FRAME_NS, world.samples())
        assert abs_rel(result.depth_m, world.truth) < 0.035


@pytest.mark.parametrize(("step_s", "sign"), [(-1.0, "-1.0 s"), (9.0, "+9.0 s")])
def test_a_jump_in_time_starts_anew_and_says_so(step_s, sign):
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    now = 100 * 10**9
    tracker.update(world.relative, now, world.samples())
    jumped = tracker.update(world.relative, now + int(step_s * 1e9), None)
    assert jumped.state is LOST
    assert f"time jumped by {sign}" in jumped.reason
    again = tracker.update(world.relative, now + int(step_s * 1e9) + FRAME_NS, world.samples())
    assert again.state is FRESH
    assert "jumped" not in again.reason


def test_a_burst_of_outliers_is_told_and_withstood():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    run(tracker, world, 5, lambda _: world.samples())
    burst = tracker.update(world.relative, 6 * FRAME_NS, world.samples(outliers=0.35))
    assert burst.state is DEGRADED
    assert "of the samples agree" in burst.reason
    assert burst.inlier_ratio < 0.8
    assert burst.samples_dropped["disagree"] > 30
    assert abs_rel(burst.depth_m, world.truth) < 0.03


def test_a_lying_sensor_is_rejected_and_the_alignment_held():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    good = run(tracker, world, 5, lambda _: world.samples())[-1]
    lie = tracker.update(world.relative, 6 * FRAME_NS, world.samples(outliers=1.0))
    assert lie.state is HELD
    assert "disagree" in lie.reason
    assert abs_rel(lie.depth_m, good.depth_m) < 0.005


def test_samples_at_one_depth_move_the_scale_and_keep_the_shift():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    run(tracker, world, 5, lambda _: world.samples())
    brighter = World(gain=1.1)
    everything = brighter.samples(3000, noise=0.01)
    middle = everything.select(np.abs(everything.depth_m - 3.2) < 0.1, "elsewhere")
    assert len(middle) > 30
    result = tracker.update(world.relative, 6 * FRAME_NS, middle)
    assert result.state is DEGRADED
    assert "one depth" in result.reason
    assert result.condition < 0.1
    assert abs_rel(result.depth_m, brighter.truth) < 0.045
    fresh = AlignmentTracker(TrackerSettings(correction=True)).update(world.relative, 0, brighter.samples())
    assert result.shift_m / result.scale == pytest.approx(fresh.shift_m / fresh.scale, rel=0.3)


def test_one_sample_alone_is_degraded_and_right_at_its_pixel():
    world = World()
    one = Samples(np.float32([100]), np.float32([10]), np.float32([4.2]))
    result = AlignmentTracker(TrackerSettings(correction=True)).update(world.relative, 0, one)
    assert result.state is DEGRADED
    assert "one sample" in result.reason
    assert result.depth_m[10, 100] == pytest.approx(4.2, rel=1e-3)


def test_samples_on_invalid_pixels_are_counted():
    world = World()
    values = world.values.copy()
    values[:45] = np.nan
    result = AlignmentTracker(TrackerSettings(correction=True)).update(as_map(values), 0, world.samples())
    assert result.samples_dropped["no_relative_depth"] > 100
    assert np.isnan(result.depth_m[:45]).all()
    assert np.isfinite(result.depth_m[45:]).all()


def test_reset_forgets():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    tracker.update(world.relative, 0, world.samples())
    tracker.reset()
    assert tracker.update(world.relative, FRAME_NS, None).state is LOST


def test_frames_may_change_size_kind_and_validity():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    tracker.update(world.relative, 0, world.samples())
    small = tracker.update(as_map(world.values[::2, ::2]), FRAME_NS, None)
    assert small.depth_m.shape == (45, 60)
    assert abs_rel(small.depth_m, world.truth[::2, ::2]) < 0.07
    blind = tracker.update(as_map(np.full(SIZE, np.nan)), 2 * FRAME_NS, None)
    assert blind.depth is None or not blind.depth.valid.any()
    other = tracker.update(as_map(world.values, DepthKind.SCALE_INVARIANT), 3 * FRAME_NS, None)
    assert other.state is LOST
    assert "scale-invariant" in other.reason


def test_without_correction_depth_is_the_affine_map():
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=False))
    result = tracker.update(world.relative, 0, world.samples())
    np.testing.assert_allclose(result.depth_m, result.scale * world.values + result.shift_m, rtol=1e-4)
    assert result.scale == pytest.approx(SCALE, rel=0.1)
    assert result.shift_m == pytest.approx(SHIFT_M, rel=0.15)


def test_settings_are_checked_and_may_change_while_running():
    with pytest.raises(InvalidInputError, match="hold_duration_s > 0, got -1"):
        TrackerSettings(hold_duration_s=-1)
    world, tracker = World(), AlignmentTracker(TrackerSettings(correction=True))
    tracker.update(world.relative, 0, world.samples())
    tracker.settings = replace(tracker.settings, hold_duration_s=0.6)
    assert tracker.update(world.relative, 10**9, None).state is LOST


@pytest.mark.parametrize("at_edges", [0.5, 0.8])
def test_samples_at_blurred_edges_are_no_evidence_against_the_network(at_edges):
    """Corners of a SLAM crowd where depth jumps, and networks blur there: the rest must tell the scale."""
    size, count = (150, 210), 200
    row, column = np.indices(size)
    truth = np.where(column // 30 % 2 == 1, 1.5 + 0.3 * row / size[0], 3 + 2 * row / size[0])
    relative = as_map(((cv2.GaussianBlur(truth, (0, 0), 1.5) - 0.5) / 6).astype(np.float32))
    beside_edge = np.isin(column % 30, [29, 0, 1])
    rng = np.random.default_rng(5)
    chosen = [
        rng.choice(np.flatnonzero(where.ravel()), round(share * count), replace=False)
        for where, share in ((beside_edge, at_edges), (~beside_edge, 1 - at_edges))
    ]
    v, u = np.divmod(np.concatenate(chosen), size[1])
    measured = truth[v, u] * (1 + 0.01 * rng.standard_normal(count))
    samples = Samples(u.astype(np.float32), v.astype(np.float32), measured.astype(np.float32))
    alignment = AlignmentTracker(TrackerSettings(correction=False)).update(relative, 0, samples)
    assert alignment.state is FRESH
    assert alignment.residual < 0.05
    assert np.median(np.abs(alignment.depth_m / truth - 1)) < 0.01


def test_a_covered_lens_is_degraded_until_it_is_open():
    """The network invents depth of what it does not see, and samples of one wall would agree with it."""
    world, tracker = World(), AlignmentTracker()
    open_lens = np.zeros((*SIZE, 3), np.uint8)
    cv2.circle(open_lens, (SIZE[1] // 3, SIZE[0] // 2), SIZE[0] // 4, (180, 150, 90), -1)
    covered = np.random.default_rng(0).integers(0, 9, (*SIZE, 3), np.uint8)

    def state(index, image):
        samples = world.samples() if index % 2 == 0 else None
        result = tracker.update(world.relative, index * FRAME_NS, samples, image=image)
        return result.state, "lens" in result.reason

    assert state(0, open_lens) == (FRESH, False)
    assert state(1, covered) == (DEGRADED, True), "without new samples, too"
    assert state(2, covered) == (DEGRADED, True)
    assert state(3, open_lens) == (FRESH, False)
