"""One scene can't have two scales: what the tracker says of samples that fit and yet can't be right."""

from dataclasses import replace

import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, AlignmentTracker, TrackerSettings
from e2e_depth_ros.alignment.evidence.doubt import Doubt
from e2e_depth_ros.alignment.samples import Samples, joined
from helpers.known_scene import SIZE, as_map, draw, metric_from, scene_relative

PERIOD_NS = 100_000_000
FRESH, DEGRADED = AlignmentState.FRESH, AlignmentState.DEGRADED


def view(index, step=0.0):
    """A network's map of a scene that a camera moves through, and the true depth."""
    relative = np.roll(scene_relative(), round(step * index), axis=1)
    return as_map(relative), metric_from(relative)


def image_of(index, step=0.0):
    """What the camera sees: texture that moves along."""
    coarse = np.random.default_rng(0).integers(0, 255, (SIZE[0] // 6, SIZE[1] // 6, 3), np.uint8)
    return np.roll(coarse.repeat(6, axis=0).repeat(6, axis=1), round(step * index), axis=1)


def follow(frames, step=0.0, factor=lambda _: 1.0, sensors=lambda _: ("lidar",), count=200):
    tracker, found = AlignmentTracker(), []
    for index in range(frames):
        relative, truth_m = view(index, step)
        parts = []
        for name in sensors(index):
            u, v, z, _ = draw(
                truth_m * factor(index), count, np.random.default_rng([index, len(name)]), noise=0.02
            )
            parts.append(Samples(u, v, z, source=name))
        samples = joined(parts) if parts else None
        found.append(tracker.update(relative, index * PERIOD_NS, samples, image=image_of(index, step)))
    return found


@pytest.mark.parametrize("step", [0.0, 2.0])
def test_honest_samples_raise_no_doubt(step):
    assert {one.state for one in follow(60, step)} == {FRESH}


def test_a_scale_that_jumps_while_the_camera_moves_is_doubted_until_more_samples_confirm_it():
    found = follow(30, 2.0, factor=lambda index: 1.0 if index < 10 else 2.0)
    assert {one.state for one in found[:10]} == {FRESH}
    assert {(one.state, one.reason) for one in found[10:15]} == {
        (DEGRADED, "the samples' scale jumped by a factor of 2")
    }
    assert np.median(found[9].log_std) < 0.1
    assert min(np.median(one.log_std) for one in found[10:15]) > 0.65  # log 2 is 0.69
    assert {one.state for one in found[15:]} == {FRESH}


def test_a_network_that_jumps_is_no_fault_of_the_samples():
    """The same depth in metres, and a map that is stretched from one frame to the next."""
    tracker, states = AlignmentTracker(), []
    for index in range(20):
        values = np.roll(scene_relative(), 2 * index, axis=1)
        relative = as_map(values if index < 10 else values**2)
        u, v, z, _ = draw(metric_from(values), 400, np.random.default_rng(index), noise=0.02)
        states.append(tracker.update(relative, index * PERIOD_NS, Samples(u, v, z)).reason)
    assert not [reason for reason in states if "jumped" in reason]


def test_sensors_that_take_turns_and_contradict_each_other_are_never_believed():
    found = follow(
        80, 2.0, factor=lambda index: 1 + index % 2, sensors=lambda index: (("lidar", "tof")[index % 2],)
    )
    assert {one.state for one in found[1:]} == {DEGRADED}


def test_a_scale_that_drifts_while_the_image_stands_still_is_doubted():
    found = follow(300, factor=lambda index: 1.01 ** (index / 10))
    assert found[20].state is FRESH
    assert found[-1].state is DEGRADED
    assert found[-1].reason.startswith("the samples' scale drifted by +")
    moved = follow(300, 2.0, factor=lambda index: 1.01 ** (index / 10))
    assert {one.state for one in moved} == {FRESH}  # nothing tells it from another scene


def test_measurements_that_stay_the_same_while_the_camera_moves_are_doubted():
    tracker, (_, truth_m) = AlignmentTracker(), view(0)
    u, v, z, _ = draw(truth_m, 200, np.random.default_rng(0), noise=0.02)
    stuck = Samples(u, v, z, source="lidar")

    def state(tracker, step, image):
        return [
            tracker.update(view(index, step)[0], index * PERIOD_NS, stuck, image=image(index)).state
            for index in range(12)
        ]

    moving = state(tracker, 0.5, lambda index: image_of(index, 0.5))
    assert (moving[0], moving[-1]) == (FRESH, DEGRADED)
    # A simulation without noise, in which much of the image changes while the camera stands still.
    assert set(state(AlignmentTracker(), 0.0, lambda index: image_of(index, 3.0))) == {FRESH}
    # And one with noise: a network's map jitters, the image hardly does.
    assert set(state(AlignmentTracker(), 0.5, lambda _: image_of(0))) == {FRESH}


def test_the_deviation_of_another_scene_is_wide_until_it_is_measured():
    tracker = AlignmentTracker()
    relative, truth_m = view(0)
    u, v, z, _ = draw(truth_m, 200, np.random.default_rng(0), noise=0.02)
    before = tracker.update(relative, 0, Samples(u, v, z))
    other = tracker.update(as_map(1 - scene_relative()), PERIOD_NS, None)
    assert np.median(other.log_std) > 0.25 > 2 * np.median(before.log_std)
    u, v, z, _ = draw(truth_m, 200, np.random.default_rng(1), noise=0.02)
    again = tracker.update(relative, 2 * PERIOD_NS, Samples(u, v, z))
    assert again.state is FRESH
    assert np.median(again.log_std) < 0.1


def test_sensors_that_come_and_go_are_no_drift():
    """Each has a bias of its own; the scale follows whichever measures."""
    biased = follow(
        40,
        factor=lambda index: 1.0 if index < 20 else 1.2,
        sensors=lambda index: ("lidar",) if index < 20 else ("tof",),
    )
    assert {one.state for one in biased} == {FRESH}


def test_what_samples_bring_along_counts():
    relative, truth_m = view(0)
    u, v, z, _ = draw(truth_m, 200, np.random.default_rng(0), noise=0.02)
    plain = AlignmentTracker().update(relative, 0, Samples(u, v, z))
    doubtful = AlignmentTracker().update(
        relative, 0, replace(Samples(u, v, z), doubt=Doubt("of another size", 0.3))
    )
    assert (doubtful.state, doubtful.reason) == (DEGRADED, "of another size")
    assert np.median(doubtful.log_std) > 0.3
    common = AlignmentTracker().update(relative, 0, replace(Samples(u, v, z), common_log_std=0.15))
    np.testing.assert_allclose(np.square(common.log_std), np.square(plain.log_std) + 0.15**2, rtol=5e-3)
    assert common.log_std.shape == SIZE


def test_two_sensors_that_contradict_each_other_are_never_fresh():
    relative, truth_m = view(0)
    u, v, z, _ = draw(truth_m, 3000, np.random.default_rng(0), noise=0.02)
    tof = Samples(u[:2800], v[:2800], 2 * z[:2800], source="sparse_depth")
    lidar = Samples(u[2800:], v[2800:], z[2800:], source="sparse_points")
    found = AlignmentTracker().update(relative, 0, joined([lidar, tof]))
    assert found.state is DEGRADED
    assert found.reason == "sparse_depth measures 2 times the depth that sparse_points does"
    assert np.median(found.log_std) > 0.65


def test_where_samples_contradict_a_good_network_the_deviation_is_wide():
    """A mirror: the sensor measures twice the depth, all over it, and the correction follows."""
    relative, truth_m = view(0)
    mirror = np.zeros(SIZE, bool)
    mirror[10:45, 60:110] = True
    measured = np.where(mirror, 2 * truth_m, truth_m)
    found = {}
    for name, depth_m in (("honest", truth_m), ("mirror", measured)):
        u, v, z, _ = draw(depth_m, 600, np.random.default_rng(0), noise=0.02)
        found[name] = AlignmentTracker(TrackerSettings(correction=True)).update(relative, 0, Samples(u, v, z))
    error = np.abs(np.log(found["mirror"].depth_m / truth_m))
    wrong = error > 0.3
    assert wrong[mirror].mean() > 0.5
    assert (error < 3 * found["mirror"].log_std)[wrong].mean() > 0.8
    assert np.median(found["mirror"].log_std[~mirror]) < 0.15
    assert np.median(found["honest"].log_std) < 0.1


def test_no_sensor_is_as_exact_as_many_samples_let_it_seem():
    relative, truth_m = view(0)
    u, v, z, _ = draw(truth_m, 5000, np.random.default_rng(0))
    exact = AlignmentTracker(TrackerSettings(correction=True)).update(relative, 0, Samples(u, v, z))
    assert exact.log_std.min() >= 0.01
