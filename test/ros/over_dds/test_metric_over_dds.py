"""Metric depth over DDS: camera, LiDAR and node are processes of their own, the network is the embedded one.

The world is what the network believes it to be, in metres of our choice: so the truth is known.
"""

import os
import subprocess
import sys
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.training.shards import read_shard
from helpers import sensor_process
from helpers.robot import ROOT, NodeProcess, set_parameter, until

SIZE = (120, 160)
SCALE, SHIFT_M = 6.0, 1.5
TOLD_WITHIN_S = 1.0
HOLD_S = 1.2
# The LiDAR sits 10 cm behind the camera; its x is forward, y left, z up.
EXTRINSICS = [0.0, 0.0, -0.1, 0.5, -0.5, 0.5, 0.5]

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


class SensorProcess:
    """A camera or a LiDAR that measures when it is told to."""

    def __init__(self, kind, folder, robot):
        self.popen = subprocess.Popen(
            [sys.executable, sensor_process.__file__, kind, str(folder)],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        topic = {"camera": "image_raw", "lidar": "sparse_points"}[kind]
        others = 1  # the robot has publishers of all topics
        assert until(lambda: robot.node.count_publishers(topic) > others, 120, robot.spin)

    def measure(self, stamp_ns, mood="honest"):
        self.popen.stdin.write(f"{stamp_ns} {mood}\n".encode())
        self.popen.stdin.flush()

    def stop(self):
        self.popen.stdin.close()
        self.popen.wait(timeout=60)


class World:
    """Lets time go on: the camera at 30 Hz, the LiDAR at 10 Hz, each frame when the last one is answered."""

    def __init__(self, robot, camera):
        self.robot, self.camera, self.lidar = robot, camera, None
        self.mood = "stopped"
        self.stamp_ns = time.time_ns()
        self.frames = 0

    def step(self, output=Output.STATUS):
        """Take one frame, and wait until the node has answered it."""
        self.stamp_ns += 33_333_333
        if self.lidar is not None and self.frames % 3 == 0:
            self.lidar.measure(self.stamp_ns, self.mood)
        self.camera.measure(self.stamp_ns)
        self.frames += 1
        answers = len(self.robot.received.get(output, []))
        assert until(
            lambda: len(self.robot.received.get(output, [])) > answers, 60, lambda: self.robot.spin(0.002)
        ), self.robot.statuses

    def steps(self, count):
        """Take so many frames, and hear anew."""
        self.robot.received.clear()
        for _ in range(count):
            self.step()

    def status(self):
        """(state, message, values) of the last alignment/status."""
        message = self.robot.received[Output.STATUS][-1]
        values = {entry.key: entry.value for entry in message.values}
        return values["state"], message.message, values

    def until_told(self, state, *words, within_s=20.0):
        """Go on until the status says so; return how long it took, by the camera's clock."""
        self.robot.received.clear()
        start_ns = self.stamp_ns
        while (self.stamp_ns - start_ns) * 1e-9 < within_s:
            self.step()
            said = self.status()
            if said[0] == state and all(word in said[1] for word in words):
                return (self.stamp_ns - start_ns) * 1e-9
        raise AssertionError(f"expected {state} and {words} within {within_s} s, got {self.status()}")


@pytest.fixture(scope="module")
def street():
    (found,) = (one for one in read_shard(ROOT / "docs/gallery/shard-00000.npz") if one.kind == "street")
    return found


@pytest.fixture(scope="module")
def intrinsics(street):
    focal_px = street.focal_px * SIZE[1] / street.image.shape[1]
    return np.array([[focal_px, 0, 80.0], [0, focal_px, 59], [0, 0, 1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, street, intrinsics):
    folder = tmp_path_factory.mktemp("world")
    image = cv2.resize(street.image, SIZE[::-1], interpolation=cv2.INTER_AREA)
    sensor_process.write_world(folder, image=image, intrinsics=intrinsics)
    return folder


@pytest.fixture(scope="module")
def node(robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    # A small input is enough for a network that is always right, and leaves time to the others.
    parameters = {
        "sparse_extrinsics": str(EXTRINSICS),
        "hold_duration": HOLD_S,
        "processing_resolution": 64,
    }
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.output


@pytest.fixture(scope="module")
def blind_world(node, folder, robot):  # noqa: ARG001 - the node must run
    """A camera alone."""
    camera = SensorProcess("camera", folder, robot)
    world = World(robot, camera)
    robot.listen(Output.RELATIVE)

    def is_answered():
        world.stamp_ns += 33_333_333
        camera.measure(world.stamp_ns)
        robot.spin(0.2)
        return Output.RELATIVE in robot.received

    assert until(is_answered, 120, robot.spin), robot.statuses  # all have found each other
    robot.spin(1.0)
    yield world
    camera.stop()


@pytest.fixture(scope="module")
def true_depth(blind_world, robot):
    """(H, W), metres: what a perfect sensor would see, if the network were right."""
    robot.received.clear()
    for _ in range(7):
        blind_world.step(Output.RELATIVE)
    relative = [depth_from_message(message) for message in robot.received[Output.RELATIVE]]
    return SHIFT_M + SCALE * np.mean(relative, axis=0)


@pytest.fixture(scope="module")
def seeing_world(blind_world, true_depth, folder, intrinsics, robot):
    """A camera and a LiDAR of 16 lines of 40 points."""
    row, column = np.meshgrid(np.arange(3, SIZE[0], 7.5), np.arange(1.0, SIZE[1], 4), indexing="ij")
    z = true_depth[row.astype(int), column.astype(int)]
    x, y = Camera(SIZE, intrinsics).normalized_from_pixels(column.astype(int), row.astype(int))
    optical = np.stack([x * z, y * z, z], axis=-1).reshape(-1, 3)
    points_m = np.stack([optical[:, 2] + 0.1, -optical[:, 0], -optical[:, 1]], axis=-1)
    sensor_process.write_world(folder, points_m=points_m.astype(np.float32))
    blind_world.lidar = SensorProcess("lidar", folder, robot)
    yield blind_world
    blind_world.lidar.stop()


@pytest.fixture
def world(robot, seeing_world):
    """All is well: the LiDAR is honest, and the status says so."""
    robot.listen(Output.STATUS, Output.DEPTH, Output.POINTS)
    seeing_world.mood = "honest"
    robot.spin(0.5)  # subscriptions are found
    seeing_world.until_told("fresh")
    return seeing_world


def depths(robot):
    return [depth_from_message(message) for message in robot.received.get(Output.DEPTH, [])]


def count_metric(robot):
    return sum(len(robot.received.get(output, [])) for output in METRIC_OUTPUTS)


def error(depth_m, true_depth):
    return float(np.mean(np.abs(depth_m / true_depth - 1)))


def test_a_lidar_in_its_own_frame_makes_depth_metric_without_flicker(world, robot, true_depth):
    world.steps(45)
    state, _, values = world.status()
    assert (state, values["source"]) == ("fresh", "sparse_points")
    assert float(values["scale"]) == pytest.approx(SCALE, rel=0.03)
    assert int(values["samples_used"]) > 500
    seen = depths(robot)
    assert len(seen) >= 44
    assert max(error(depth_m, true_depth) for depth_m in seen) < 0.03
    flicker = [float(np.median(np.abs(after / before - 1))) for before, after in pairwise(seen)]
    print(f"flicker: median {np.median(flicker):.5f}, 95 % {np.percentile(flicker, 95):.5f}")
    assert np.percentile(flicker, 95) < 0.005
    points = points_from_message(robot.received[Output.POINTS][-1])
    assert np.isfinite(points[:, 2]).mean() > 0.3


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("stopped", ["no samples from sparse_points"]),
        ("ahead", ["sparse_points", "s newer"]),
        ("behind", ["sparse_points: stale stamp", "s older"]),
        ("late", ["sparse_points: stale stamp", "s older"]),
        ("elsewhere", ["sparse_points: frame", "'lidar'", "'other_lidar'"]),
    ],
)
def test_a_lidar_that_fails_is_named_held_for_a_while_and_then_lost(world, robot, true_depth, mood, words):
    world.mood = mood
    told_s = world.until_told("held", *words, within_s=TOLD_WITHIN_S)
    print(f"{mood}: told after {told_s:.2f} s: {world.status()[1]}")
    world.steps(3)
    assert Output.DEPTH in robot.received  # held: it goes on
    assert error(depths(robot)[-1], true_depth) < 0.03
    assert told_s + world.until_told("lost", *words) < HOLD_S + 0.1
    world.steps(5)
    assert count_metric(robot) == 0

    def is_lost_in_diagnostics():  # which come once a second: the last ones may be of another mood
        world.step()
        _, message, values = robot.statuses["depth: alignment"]
        return values.get("state") == "lost" and all(word in message for word in words)

    assert until(is_lost_in_diagnostics, 20, robot.spin), robot.statuses["depth: alignment"]
    level, _, values = robot.statuses["depth: alignment"]
    assert level == DiagnosticStatus.ERROR
    assert set(values) >= {"source", "scale", "samples_used", "inlier_ratio", "residual", "age_s"}


def test_a_lidar_that_lies_is_named_and_does_little_harm(world, robot, true_depth):
    world.mood = "lying"
    told_s = world.until_told("degraded", "of the samples agree", within_s=TOLD_WITHIN_S)
    print(f"lying: told after {told_s:.2f} s: {world.status()[1]}")
    world.steps(15)
    assert max(error(depth_m, true_depth) for depth_m in depths(robot)) < 0.03
    ratios = [
        float(entry.value)
        for message in robot.received[Output.STATUS]
        for entry in message.values
        if entry.key == "inlier_ratio"
    ]
    # Of the frames that a cloud came for; on a fast machine the last one may be answered before its own.
    np.testing.assert_allclose([ratio for ratio in ratios if np.isfinite(ratio)], 0.72, atol=0.1)
    assert np.isfinite(ratios).sum() >= 4


def test_what_is_published_when_degraded_is_a_parameter(world, robot):
    assert set_parameter(robot, "publish_degraded", value=False).successful
    try:
        world.mood = "lying"
        world.until_told("degraded")
        world.steps(6)
        assert world.status()[0] == "degraded"
        assert count_metric(robot) == 0
    finally:
        assert set_parameter(robot, "publish_degraded", value=True).successful


def test_time_of_flight_of_low_resolution(world, robot, true_depth):
    """15 x 20 pixels that share the camera's view."""
    world.mood = "stopped"
    world.until_told("lost")
    coarse = true_depth.reshape(15, 8, 20, 8).mean(axis=(1, 3)).astype(np.float32)

    def is_measured():
        head = sensor_process.header("camera", world.stamp_ns + 33_333_333)
        robot.publishers["sparse_depth"].publish(message_from_array(coarse, "32FC1", head))
        robot.spin(0.05)
        world.step()
        state, _, values = world.status()
        return (state, values["source"]) == ("fresh", "sparse_depth")

    assert until(is_measured, 60, lambda: None), world.status()
    world.steps(2)
    assert error(depths(robot)[-1], true_depth) < 0.03


def test_a_given_scale_is_used_and_named(world, robot, true_depth):
    world.mood = "stopped"
    world.until_told("lost")
    try:
        assert set_parameter(robot, "fixed_shift", SHIFT_M).successful
        assert set_parameter(robot, "fixed_scale", SCALE).successful
        world.until_told("held", "scale and shift are given, not measured", within_s=0.2)
        assert world.status()[2]["source"] == "fixed scale"
        world.steps(2)
        assert error(depths(robot)[-1], true_depth) < 0.02  # the camera's noise moves depth by about 0.01
    finally:
        assert set_parameter(robot, "fixed_scale", 0.0).successful


def test_camera_height_gives_the_scale_by_the_street(world, robot):
    world.mood = "stopped"
    world.until_told("lost")
    scales = {}
    try:
        for height_m in (0.6, 1.2):
            assert set_parameter(robot, "camera_height", height_m).successful
            robot.call(Trigger, "/depth/reset_alignment")
            world.steps(3)
            assert Output.DEPTH in robot.received
            assert world.status()[2]["source"] == "ground plane"
            scales[height_m] = float(world.status()[2]["scale"])
        print(f"scales by height: {scales}; {world.status()[1]}")
        assert scales[1.2] / scales[0.6] == pytest.approx(2, rel=0.1)
    finally:
        assert set_parameter(robot, "camera_height", 0.0).successful
    robot.call(Trigger, "/depth/reset_alignment")
    world.until_told("lost", "no alignment yet", within_s=0.2)
