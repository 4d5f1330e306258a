"""Sparse depth becomes samples of the frame it was measured for, or says why not."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.alignment.result import AlignmentState
from helpers.aligning import DEPTH_M, SIZE, Robot, error


def test_time_of_flight_of_low_resolution_measures_the_frame():
    robot = Robot()
    robot.sense()
    alignment = robot.look()
    assert (alignment.state, alignment.source) == (AlignmentState.FRESH, "sparse_depth")
    assert error(alignment) < 0.02
    assert alignment.samples_used > 500


def test_more_samples_than_wanted_are_thinned_and_counted():
    robot = Robot(max_samples=100)
    robot.sense()
    alignment = robot.look()
    assert alignment.samples_used < 150
    assert alignment.samples_dropped["surplus"] > 1000
    assert error(alignment) < 0.02


def test_samples_beyond_their_range_are_dropped_whatever_points_may_hold():
    robot = Robot(sparse_max_depth=3.0, max_depth=50.0)
    robot.sense()
    assert robot.look().samples_dropped["too_far"] == np.count_nonzero(
        DEPTH_M.reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4).mean(axis=(1, 3)) > 3.0
    )


def test_a_sensor_whose_clock_runs_ahead_is_named_before_it_is_refused():
    robot = Robot(fresh_duration=0.1)
    robot.sense()
    robot.look()
    for _ in range(5):
        robot.sense(offset_ns=30 * 10**9)
        alignment = robot.look()
    assert alignment.state is AlignmentState.HELD
    assert alignment.reason.endswith("what waits of sparse_depth is 29.868 s newer than the image")
    assert not robot.refusals
    for _ in range(5):
        robot.sense(offset_ns=30 * 10**9)
        alignment = robot.look()
    assert "sparse_depth: stale stamp" in alignment.reason


def test_depth_of_another_frame_is_not_registered():
    robot = Robot()
    robot.sense(frame_id="tof")
    alignment = robot.look()
    assert [refusal.reason for refusal in robot.refusals] == ["sparse_depth: frame"]
    assert "expected the image's frame_id 'camera', got 'tof'" in alignment.reason
    robot.sense(frame_id="")
    assert robot.look().depth is not None
