"""What makes a frame metric, when sensors come and go, with the network's answer given."""

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")


from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from helpers.aligning import (
    DEPTH_M,
    HEIGHT_M,
    RELATIVE,
    SCALE,
    SHIFT_M,
    SIZE,
    KnownTransforms,
    Robot,
    down,
    error,
)


def test_a_sensor_goes_before_the_ground_which_serves_when_it_rests():
    """The sensor says that all is twice as large, so that one can tell them apart."""
    robot = Robot(camera_height=HEIGHT_M, fresh_duration=0.3)
    for _ in range(5):
        robot.sense(2 * DEPTH_M)
        alignment = robot.look()
    assert (alignment.source, alignment.scale) == ("sparse_depth", pytest.approx(2 * SCALE, rel=0.02))
    assert robot.look(count=5).source == "sparse_depth"
    alignment = robot.look(count=40)
    assert (alignment.source, alignment.scale) == ("ground plane", pytest.approx(SCALE, rel=0.1))
    for _ in range(5):
        robot.sense(2 * DEPTH_M)
        alignment = robot.look()
    assert (alignment.source, alignment.scale) == ("sparse_depth", pytest.approx(2 * SCALE, rel=0.02))


def test_the_ground_serves_when_all_samples_are_wrong():
    robot = Robot(camera_height=HEIGHT_M)
    draw = np.random.default_rng(0)
    for _ in range(8):
        robot.sense(np.kron(draw.uniform(0.3, 9, (SIZE[0] // 4, SIZE[1] // 4)), np.ones((4, 4))))
        alignment = robot.look()
    assert alignment.source == "ground plane"
    assert error(alignment) < 0.05


def test_a_given_scale_serves_where_nothing_measures_it_and_says_so():
    robot = Robot(fixed_scale=2.5, fixed_shift=0.5)
    alignment = robot.look()
    assert (alignment.state, alignment.source) == (AlignmentState.HELD, "fixed scale")
    assert (alignment.scale, alignment.shift_m) == (2.5, 0.5)
    assert alignment.reason.startswith("scale and shift are given, not measured: ")
    np.testing.assert_allclose(alignment.depth_m, 0.5 + 2.5 * RELATIVE.values, rtol=1e-6)
    assert alignment.std_m.shape == SIZE
    robot.sense()
    assert robot.look().source == "sparse_depth"
    # Until it is lost, what was measured is worth more than what is given.
    assert robot.look(count=80).source == "sparse_depth"
    assert robot.look(count=20).source == "fixed scale"


def measured_then_given(scale, shift_m, *, sensed=DEPTH_M, **parameters):
    """What is given comes after what was measured."""
    robot = Robot(hold_duration=0.5, **parameters)
    for _ in range(3):
        robot.sense(sensed)
        robot.look()
    robot.parameters = replace(robot.parameters, fixed_scale=scale, fixed_shift=shift_m)
    return robot, robot.look(count=50)


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.1, 3.0])
def test_a_given_scale_that_was_measured_to_be_wrong_is_uncertain(factor):
    robot, alignment = measured_then_given(factor * SCALE, factor * SHIFT_M)
    assert (alignment.state, alignment.source) == (AlignmentState.HELD, "fixed scale")
    assert error(alignment) == pytest.approx(abs(factor - 1), rel=0.05)
    assert np.all(np.abs(alignment.depth_m - DEPTH_M) < 2 * alignment.std_m)
    assert ("by those measured last, depth is off by" in alignment.reason) == (factor != 1.1)
    robot.aligner.reset()
    assert "measured last" not in robot.look().reason


def test_a_given_shift_that_was_measured_to_be_wrong_is_uncertain_where_it_is():
    _, alignment = measured_then_given(0.3 * SCALE, SHIFT_M + 0.3 * SCALE)
    wrong = np.abs(alignment.depth_m / DEPTH_M - 1)
    assert np.all(np.abs(alignment.depth_m - DEPTH_M) < 2 * alignment.std_m)
    log_std = alignment.std_m / alignment.depth_m
    assert np.median(log_std[wrong < 0.05]) < 0.15
    assert log_std[wrong > 0.4].min() > 0.3


def test_a_given_scale_that_was_measured_to_be_right_is_believed():
    _, alignment = measured_then_given(SCALE, SHIFT_M, fixed_scale=3 * SCALE)
    assert np.median(alignment.std_m / alignment.depth_m) == pytest.approx(0.1, abs=0.01)
    assert "measured last" not in alignment.reason


def test_degraded_samples_contradict_a_given_scale_too():
    corner = np.where(np.arange(SIZE[1]) < SIZE[1] // 8, DEPTH_M, np.nan).astype(np.float32)
    _, alignment = measured_then_given(3 * SCALE, 3 * SHIFT_M, sensed=corner)
    assert "measured last" in alignment.reason
    assert np.median(alignment.std_m / alignment.depth_m) > 0.5


def test_given_scale_of_disparity():
    disparity = DepthMap(1 / (1 + DEPTH_M), RELATIVE.valid, DepthKind.AFFINE_INVARIANT_DISPARITY)
    alignment = Robot(fixed_scale=2.0, fixed_shift=0.1).look(disparity)
    np.testing.assert_allclose(alignment.depth_m, 1 / (0.1 + 2 / (1 + DEPTH_M)), rtol=1e-5)


def test_a_refusal_of_some_frames_is_remembered_for_a_second():
    robot = Robot(fresh_duration=0.1)
    robot.sense()
    robot.look()
    robot.sense(offset_ns=-400_000_000)
    robot.look(count=20)
    alignment = robot.look()
    assert not robot.refusals
    assert "0.400 s older" in alignment.reason
    assert "no samples from sparse_points or sparse_depth" in robot.look(count=20).reason
    robot.sense()
    robot.look()
    assert "older" not in robot.look(count=10).reason


def test_reset_forgets_sensor_ground_and_refusal():
    robot = Robot(camera_height=HEIGHT_M)
    robot.sense(frame_id="tof")
    robot.look()
    robot.aligner.reset()
    alignment = robot.look()
    assert (alignment.source, alignment.age_s) == ("ground plane", 0)
    assert "tof" not in alignment.reason


def test_a_sensor_that_sees_nothing_gives_no_scale():
    robot = Robot()
    robot.sense(np.zeros(SIZE, np.float32))
    alignment = robot.look()
    assert (alignment.state, alignment.source) == (AlignmentState.LOST, "sparse_depth")


@pytest.mark.parametrize("knows", ["camera_height", "ground_frame"])
@pytest.mark.parametrize("unit", [0.5, 2.0])
def test_samples_that_contradict_the_height_of_the_camera_are_degraded(knows, unit):
    """A sensor in other units, or a height measured wrong: nobody can tell which, so both are doubted."""
    pose = np.eye(4)  # of the frame on the ground in the optical frame
    up = -down()
    pose[:3, :3] = np.stack([np.cross([1.0, 0, 0], up), [1.0, 0, 0], up], axis=1)
    pose[:3, 3] = HEIGHT_M * down()
    transforms = KnownTransforms(floor=pose, camera=np.eye(4))
    robot = Robot(transforms, **{knows: HEIGHT_M if knows == "camera_height" else "floor"})
    robot.sense()
    assert (robot.look().state, robot.refusals) == (AlignmentState.FRESH, [])
    robot.aligner.reset()
    robot.sense(unit * DEPTH_M)
    alignment = robot.look()
    assert alignment.state is AlignmentState.DEGRADED
    told = re.search(r"([\d.]+) m above the ground, not 0.80 m", alignment.reason)
    assert float(told[1]) == pytest.approx(unit * HEIGHT_M, rel=0.05)
    assert alignment.source == "sparse_depth"


def test_the_ground_does_not_confirm_itself_against_what_a_sensor_said():
    robot = Robot(camera_height=2 * HEIGHT_M, fresh_duration=0.3)
    for _ in range(5):
        robot.sense()
        measured = robot.look()
    assert "m above the ground, not 1.60 m" in measured.reason
    assert np.median(measured.log_std) < 0.1  # the sensor may well be right
    found = [robot.look() for _ in range(200)]
    by_ground = [one for one in found if one.source == "ground plane"]
    assert len(by_ground) > 150
    assert AlignmentState.FRESH not in {one.state for one in by_ground}
    last = by_ground[-1]
    assert last.state is AlignmentState.DEGRADED
    assert last.reason.startswith("when a sensor measured last: by the samples the camera is ")
    assert np.median(last.log_std) > 0.6  # about log 2
    robot.parameters = Robot(camera_height=HEIGHT_M).parameters  # mended, and a sensor agrees
    robot.sense()
    robot.look()
    assert "when a sensor" not in robot.look(count=30).reason


def test_reset_forgets_what_a_sensor_said_of_the_ground():
    robot = Robot(camera_height=2 * HEIGHT_M)
    robot.sense()
    robot.look()
    robot.aligner.reset()
    assert "when a sensor" not in robot.look().reason


def test_what_was_measured_grows_old_without_stamps_too():
    robot = Robot(stamps=False)
    for _ in range(2):
        robot.sense()
        assert robot.look().state is AlignmentState.FRESH
    states = [robot.look().state for _ in range(110)]
    assert states[10] is AlignmentState.FRESH
    assert states[30] is AlignmentState.HELD
    assert states[-1] is AlignmentState.LOST
    ground = Robot(stamps=False, camera_height=HEIGHT_M)
    assert {ground.look().source for _ in range(110)} == {"ground plane"}
