"""Measurements none of which is of use: the status says which mistake that usually is."""

import re

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.telling.silence import Silence
from helpers.aligning import CAMERA, DEPTH_M, RELATIVE, SIZE, Robot
from helpers.robot import picture

NONE = "lost: no alignment yet: "


class PointRobot(Robot):
    def measure(self, points_m):
        """A cloud in the camera's frame: (N, 3), metres."""
        cloud, points = allocate_cloud(np.zeros((1, len(points_m), 3), np.uint8), self.header())
        for axis in range(3):
            points[..., axis] = points_m[:, axis]
        self.aligner.sparse.points.put(cloud)

    def told(self):
        alignment = self.look()
        return f"{alignment.state.value}: {alignment.reason}"


def cloud(count=400):
    """Points on a wall that the camera sees, all in range: (N, 3), metres."""
    draw = np.random.default_rng(0)
    z = np.full(count, 5.0)
    u, v = draw.uniform(10, SIZE[1] - 10, count), draw.uniform(10, SIZE[0] - 10, count)
    x, y = CAMERA.normalized_from_pixels(u, v)
    return np.stack([x * z, y * z, z], axis=-1).astype(np.float32)


@pytest.mark.parametrize(
    ("points_m", "words"),
    [
        (np.empty((0, 3)), "0 points"),
        (cloud() * [1, 1, -1], "400 points, all behind the camera: is the frame optical?"),
        (cloud(308) * 1000, "all 308 samples beyond sparse_max_depth: millimetres?"),
        (cloud() + np.array([900, 0, 0]), "400 points, all outside the image: is the pose right?"),
        (cloud() * np.nan, "400 points, all NaN, infinite or 0"),
        (cloud() * 0.001, "all 400 samples nearer than sparse_min_depth"),
    ],
    ids=["empty", "behind", "millimetres", "outside", "NaN", "kilometres"],
)
def test_a_cloud_of_no_use_is_told_at_once_and_for_a_while(points_m, words):
    robot = PointRobot()
    robot.measure(points_m)
    assert robot.told().startswith(f"{NONE}sparse_points: {words}")
    assert robot.told().startswith(f"{NONE}sparse_points: {words}")  # between two clouds too
    assert robot.refusals == []
    robot.look(count=40)
    assert words not in robot.told()
    assert {"sparse_points", "sparse_depth"} <= {*re.findall(r"\w+", robot.told())}
    robot.measure(cloud())
    assert words not in robot.told()


def test_body_frame_taken_for_optical_is_a_mixture_with_its_largest_part_first():
    """x forward, y left, z up: about half of a level LiDAR's points have z < 0."""
    draw = np.random.default_rng(1)
    azimuth, height = draw.uniform(0, 2 * np.pi, 3000), draw.uniform(-1.5, -0.01, 3000)
    body = np.stack([10 * np.cos(azimuth), 10 * np.sin(azimuth), height], axis=-1)
    body[:20, 2] = 0.5
    robot = PointRobot()
    robot.measure(body)
    told = robot.told()
    assert told.startswith(
        f"{NONE}sparse_points: none of 3000 points is usable: 2980 behind the camera: is the"
    )
    assert told.endswith("; 20 outside the image")


def test_an_empty_cloud_ends_fresh_at_once():
    robot = PointRobot()
    robot.sense()
    assert robot.look().state is AlignmentState.FRESH
    robot.measure(np.empty((0, 3)))
    alignment = robot.look()
    assert alignment.state is AlignmentState.HELD
    assert alignment.reason.endswith("0.0 s: sparse_points: 0 points")


@pytest.mark.parametrize(
    ("values", "encoding", "words"),
    [
        (DEPTH_M * 1000, "32FC1", f"all {DEPTH_M.size} samples beyond sparse_max_depth: millimetres?"),
        (
            np.round(DEPTH_M),
            "16UC1",
            f"all {DEPTH_M.size} samples nearer than sparse_min_depth: metres where",
        ),
        (np.zeros(SIZE), "16UC1", "no pixel holds a measurement"),
        (np.full(SIZE, np.nan), "32FC1", "no pixel holds a measurement"),
    ],
    ids=["millimetres as metres", "metres as millimetres", "zero", "NaN"],
)
def test_a_depth_image_of_no_use_is_told(values, encoding, words):
    robot = PointRobot()
    kind = np.uint16 if encoding == "16UC1" else np.float32
    robot.aligner.sparse.depth.put(message_from_array(values.astype(kind), encoding, robot.header()))
    assert robot.told().startswith(f"{NONE}sparse_depth: {words}")


def test_samples_that_are_all_masked_are_told():
    robot = PointRobot(remove_masked_samples=True)
    robot.measure(cloud())
    view = FrameView(picture(SIZE), CAMERA, masked=np.ones(SIZE, bool))
    alignment, _ = robot.aligner.align(RELATIVE, robot.header(), view, robot.parameters)
    assert alignment.reason.endswith("sparse_points: 400 points, all masked")


def test_samples_where_the_image_shows_nothing_are_told():
    from e2e_depth_ros.core.maps import DepthMap

    valid = np.zeros(SIZE, bool)
    valid[:8, :8] = True
    robot = PointRobot()
    robot.measure(cloud())
    alignment = robot.look(DepthMap(RELATIVE.values, valid, RELATIVE.kind))
    assert "400 samples" in alignment.reason
    assert "relative depth" in alignment.reason


def test_all_faults_of_a_frame_are_told():
    robot = PointRobot()
    robot.measure(cloud()[:0])
    robot.sense(frame_id="tof")
    told = robot.told()
    assert "sparse_depth: frame: " in told
    assert told.endswith("; sparse_points: 0 points")


def test_why_there_is_no_calibration_is_told_with_the_points():
    robot = PointRobot()
    robot.measure(cloud())
    reason = robot.look(camera=None).reason
    assert reason.endswith("expected a usable camera_info to project points: none came yet")
    words = (
        "no camera_info on /cam: /driver publishes sensor_msgs/msg/Image, expected sensor_msgs/msg/CameraInfo"
    )
    robot.aligner.sparse.silences = {"camera_info": Silence(words, 9.0, 1, is_fault=True)}
    robot.measure(cloud())
    assert robot.look(camera=None).reason.endswith(words)
    robot.measure(cloud())
    refusal = RefusedMessageError("camera_info: calibration", "expected a known lens, got 'foo'")
    view = FrameView(picture(SIZE), refusal=refusal)
    alignment, _ = robot.aligner.align(RELATIVE, robot.header(), view, robot.parameters)
    assert alignment.reason.endswith("camera_info: calibration: expected a known lens, got 'foo'")


@pytest.mark.parametrize(
    ("silences", "words"),
    [
        ({}, ""),
        (
            {"sparse_points": Silence("no sparse_points on /a: it has no publisher", 9.0, 0, is_fault=False)},
            "",
        ),
        (
            {
                name: Silence(f"no {name} on /a: it has no publisher", 9.0, 0, is_fault=False)
                for name in ("sparse_points", "sparse_depth")
            },
            ": neither has a publisher",
        ),
        (
            {
                "sparse_points": Silence(
                    "no sparse_points on /a: /b publishes x, expected y", 9.0, 1, is_fault=True
                ),
                "sparse_depth": Silence("no sparse_depth on /a: it has no publisher", 9.0, 0, is_fault=False),
            },
            ": no sparse_points on /a: /b publishes x, expected y",
        ),
    ],
    ids=["all", "one", "neither", "fault"],
)
def test_what_the_graph_tells_of_absent_samples_is_told(silences, words):
    robot = PointRobot()
    robot.aligner.sparse.silences = silences
    assert robot.told().startswith(NONE)
    assert robot.told().endswith(f"sparse_points or sparse_depth{words}")
