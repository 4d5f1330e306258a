"""TF that comes after the image, as it does by nature: frames never wait for it, and clouds are not lost.

A robot drives through a room, with time played: what a frame knows is what would have arrived by its end.
"""

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.aligning import transforms
from e2e_depth_ros.ros.aligning.aligner import Aligner
from e2e_depth_ros.ros.aligning.transforms import Transforms
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array
from helpers.robot import picture
from helpers.tf import import_tf2_ros

tf2_ros = import_tf2_ros()

SIZE = (96, 128)
CAMERA = Camera(SIZE, np.array([[110.0, 0, 63.5], [0, 110, 47.5], [0, 0, 1]]))
START_NS = 1_000 * 10**9
FRAME_S, NETWORK_S = 1 / 30, 0.025
SCALE, SHIFT_M = 8.0, 0.5
OPTICAL = Rotation.from_quat([-0.5, 0.5, -0.5, 0.5])  # of the camera in its body: x right, y down, z forward
ROOM_M = np.array([[-4.0, 9.0], [-3.0, 3.0], [-0.6, 2.0]])  # x forward, y left, z up, from the start
CAMERA_M, LIDAR_M, BASE_HEIGHT_M = np.array([0.2, 0, 0.1]), np.array([0.0, 0.1, 0.3]), 0.6


def header(time_s, frame_id):
    sec, nanosec = divmod(START_NS + round(time_s * 1e9), 10**9)
    return Header(stamp=Stamp(sec=sec, nanosec=nanosec), frame_id=frame_id)


def body_at(time_s, speed, turn_rate):
    """(3,), metres, and rotation of the robot's body in the room."""
    turn = turn_rate * np.sin(2 * time_s) / 2
    return np.array([speed * time_s, 0.0, 0.0]), Rotation.from_euler("z", turn)


def distance(origin_m, directions):
    """How far (N,), in lengths of the directions (N, 3), it is to the walls of the room."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = (ROOM_M.T[:, None] - origin_m) / directions
    return np.where(hits > 0, hits, np.inf).min(axis=(0, 2))


def transform(parent, child, time_s, move, turn):
    message = TransformStamped(header=header(time_s, parent), child_frame_id=child)
    shift, rotation = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z = (float(value) for value in move)
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in turn.as_quat())
    return message


class Played(Transforms):
    """TF whose messages arrive when the time has come."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(transforms, "tf2_ros", tf2_ros)
        monkeypatch.setattr(transforms, "Time", Time, raising=False)
        super().__init__()
        self._buffer = tf2_ros.Buffer()
        self.coming = []

    def play(self, time_s):
        while self.coming and self.coming[0][0] <= time_s:
            _, message = self.coming.pop(0)
            self._buffer.set_transform(message, "test")

    def fix(self, message):
        self._buffer.set_transform_static(message, "test")


class Robot:
    """A camera and a LiDAR on a body that moves in `odom`; a network that is right up to scale and shift."""

    def __init__(self, monkeypatch, *, speed=0.5, turn_rate=0.2, tf_hz=30, tf_late_s=0.05, **parameters):
        self.motion = {"speed": speed, "turn_rate": turn_rate}
        self.tf = Played(monkeypatch)
        self.tf.fix(transform("body", "camera", 0, CAMERA_M, OPTICAL))
        self.tf.fix(transform("body", "lidar", 0, LIDAR_M, Rotation.identity()))
        self.tf.fix(transform("floor", "odom", 0, [0, 0, BASE_HEIGHT_M], Rotation.identity()))
        for index in range(-2, 8 * tf_hz):
            time_s = index / tf_hz + 0.007
            message = transform("odom", "body", time_s, *body_at(time_s, **self.motion))
            self.tf.coming.append((time_s + tf_late_s, message))
        self.aligner = Aligner(self.tf)
        self.parameters = Parameters(**parameters)
        self.draw = np.random.default_rng(0)
        self.refusals = []

    def camera_at(self, time_s):
        move, turn = body_at(time_s, **self.motion)
        return move + turn.apply(CAMERA_M), turn * OPTICAL

    def true_depth(self, time_s):
        x, y = np.broadcast_arrays(*CAMERA.normalized_grid)
        origin_m, turn = self.camera_at(time_s)
        directions = turn.apply(np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3))
        return distance(origin_m, directions).reshape(SIZE).astype(np.float32)

    def scan(self, time_s, frame_id, count=300):
        """Points (N, 3) that the LiDAR measures, in its own frame or in that of the room."""
        ahead = self.draw.uniform([-0.7, -0.5], [0.7, 0.5], (count, 2))
        directions = np.column_stack([np.ones(count), ahead])
        move, turn = body_at(time_s, **self.motion)
        origin_m = move + turn.apply(LIDAR_M)
        ranges = distance(origin_m, turn.apply(directions))[:, None]
        points_m = directions * ranges
        if frame_id == "odom":
            points_m = origin_m + turn.apply(points_m)
        cloud, written = allocate_cloud(np.zeros((1, count, 3), np.uint8), header(time_s, frame_id))
        written[0] = points_m
        return cloud

    def drive(self, seconds, *, frame_id="odom", period=3, lead_s=0.0, start_s=0.0):
        """Take frames at 30 Hz, with a scan before every `period`-th; return (time, alignment) of each."""
        results = []
        for index in range(round(seconds / FRAME_S)):
            time_s = start_s + index * FRAME_S
            if period and index % period == 0:
                self.aligner.sparse.points.put(self.scan(time_s - lead_s, frame_id))
            self.tf.play(time_s + NETWORK_S)
            truth = self.true_depth(time_s)
            relative = DepthMap((truth - SHIFT_M) / SCALE, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)
            view = FrameView(picture(SIZE), CAMERA)
            alignment, refused = self.aligner.align(relative, header(time_s, "camera"), view, self.parameters)
            self.refusals += [str(refusal) for refusal in refused]
            results.append((time_s, alignment))
        return results

    def errors(self, results):
        return [float(np.mean(np.abs(one.depth_m / self.true_depth(time_s) - 1))) for time_s, one in results]


LATE = [(30, 0.05), (10, 0.2), (100, 0.01), (30, 0.5)]


@pytest.mark.parametrize(("tf_hz", "tf_late_s"), LATE)
@pytest.mark.parametrize("fixed_frame", ["", "odom"])
def test_every_frame_is_metric_though_tf_comes_after_it(monkeypatch, tf_hz, tf_late_s, fixed_frame):
    robot = Robot(monkeypatch, tf_hz=tf_hz, tf_late_s=tf_late_s, fixed_frame=fixed_frame, fresh_duration=1.0)
    start, rest = robot.drive(1.0), robot.drive(2.0, start_s=1.0)
    if tf_late_s > NETWORK_S:
        assert start[0][1].state is AlignmentState.LOST
        assert (
            "wait for TF: sparse_points: expected a transform from 'odom' to 'camera'" in start[0][1].reason
        )
    assert {one.state for _, one in rest} == {AlignmentState.FRESH}
    assert max(robot.errors(rest)) < 0.02
    assert not robot.refusals
    assert {one.source for _, one in rest} == {"sparse_points"}
    oldest_s = max(one.age_s for _, one in rest)
    assert oldest_s < tf_late_s + 1 / tf_hz + 4 * FRAME_S + 0.01


def test_each_scan_is_used_once_and_in_its_turn(monkeypatch):
    robot = Robot(monkeypatch, tf_hz=10, tf_late_s=0.2)
    used = [time_s - one.age_s for time_s, one in robot.drive(3.0) if np.isfinite(one.age_s)]
    times, counts = np.unique(np.round(used, 4), return_counts=True)
    np.testing.assert_allclose(np.diff(times), 3 * FRAME_S, atol=1e-3)
    assert counts[1:-1].max() <= 2 * 3  # each serves until the next is known


def test_scans_at_the_rate_of_the_camera_are_all_used_in_the_end(monkeypatch):
    robot = Robot(monkeypatch, tf_hz=10, tf_late_s=0.2)
    results = robot.drive(3.0, period=1)
    used = {round(time_s - one.age_s, 3) for time_s, one in results if np.isfinite(one.age_s)}
    assert len(used) > 0.4 * len(
        results
    )  # two in a frame where TF comes in bursts, of which the newer is told
    assert not robot.refusals
    assert results[-1][1].age_s < 0.4


def test_a_scan_that_waits_in_vain_is_refused_with_the_reason(monkeypatch):
    robot = Robot(monkeypatch, tf_late_s=2.0, transform_timeout=0.3)
    results = robot.drive(1.0)
    assert {one.state for _, one in results} == {AlignmentState.LOST}
    assert len(robot.refusals) == pytest.approx((1.0 - 0.3) / (3 * FRAME_S), abs=1.5)
    assert robot.refusals[0].startswith(
        "sparse_points: transform: expected a transform from 'odom' to 'camera'"
    )
    assert "transform_timeout is 0.3 s" in robot.refusals[0]
    assert robot.refusals[-1] in results[-1][1].reason


def test_no_time_to_wait_refuses_at_once(monkeypatch):
    robot = Robot(monkeypatch, transform_timeout=0.0)
    robot.drive(0.3)
    assert len(robot.refusals) == 3


def test_a_frame_nobody_knows_is_refused_and_takes_no_memory(monkeypatch):
    robot = Robot(monkeypatch)
    robot.drive(3.0, frame_id="elsewhere", period=1)
    reasons = {refusal.split(": expected")[0] for refusal in robot.refusals}
    assert reasons == {"sparse_points: transform", "sparse_points: waiting"}
    assert len(robot.aligner._waiting._waiting) <= 16


class Turning(Robot):
    """It turns by 70 degrees a second, TF is in time, and all is measured 50 ms before or after the image."""

    TIME_S = 1.6

    def __init__(self, monkeypatch, **parameters):
        super().__init__(monkeypatch, speed=1.5, turn_rate=1.2, **parameters)
        self.tf.play(9.0)

    def sample_error(self):
        """Mean relative error of the samples of the image, and how many there are."""
        view = FrameView(picture(SIZE), CAMERA)
        sensed = self.aligner.sparse.sense(header(self.TIME_S, "camera"), view, self.parameters)
        assert not sensed.refusals
        assert not sensed.waiting
        samples = sensed.samples
        x, y = CAMERA.normalized_from_pixels(samples.u_px, samples.v_px)
        origin_m, turn = self.camera_at(self.TIME_S)
        truth = distance(origin_m, turn.apply(np.column_stack([x, y, np.ones_like(x)])))
        return float(np.mean(np.abs(samples.depth_m / truth - 1))), len(samples)


@pytest.mark.parametrize("lead_s", [0.05, -0.05])
@pytest.mark.parametrize("way", ["TF", "sparse_extrinsics", "sparse_depth"])
def test_motion_between_the_stamps_is_taken_out_over_a_fixed_frame(monkeypatch, lead_s, way):
    parameters = {}
    if way == "sparse_extrinsics":
        pose = OPTICAL.inv()
        numbers = [*pose.apply(LIDAR_M - CAMERA_M), *pose.as_quat()]
        parameters["sparse_extrinsics"] = tuple(float(value) for value in numbers)
    errors = {}
    for fixed_frame in ("", "odom"):
        robot = Turning(monkeypatch, fixed_frame=fixed_frame, **parameters)
        then_s = robot.TIME_S - lead_s
        if way == "sparse_depth":
            depth = robot.true_depth(then_s)
            robot.aligner.sparse.depth.put(message_from_array(depth, "32FC1", header(then_s, "camera")))
        else:
            robot.aligner.sparse.points.put(robot.scan(then_s, "lidar"))
        errors[fixed_frame], count = robot.sample_error()
        assert count > 100
    assert errors["odom"] < 1e-3
    assert errors[""] > 0.012


def test_given_extrinsics_need_no_tf_without_a_fixed_frame(monkeypatch):
    pose = OPTICAL.inv()
    numbers = [*pose.apply(LIDAR_M - CAMERA_M), *pose.as_quat()]
    robot = Robot(monkeypatch, tf_late_s=100, sparse_extrinsics=tuple(float(value) for value in numbers))
    assert robot.drive(0.1, frame_id="lidar")[0][1].state is AlignmentState.FRESH


def test_what_has_the_stamp_of_the_image_needs_no_fixed_frame(monkeypatch):
    robot = Robot(monkeypatch, tf_late_s=100, fixed_frame="odom")
    robot.aligner.sparse.depth.put(message_from_array(robot.true_depth(0.0), "32FC1", header(0.0, "camera")))
    assert robot.drive(FRAME_S, period=0)[0][1].state is AlignmentState.FRESH


@pytest.mark.parametrize(("tf_hz", "tf_late_s"), LATE[:3])
def test_the_ground_is_found_though_tf_comes_after_the_image(monkeypatch, tf_hz, tf_late_s):
    robot = Robot(monkeypatch, tf_hz=tf_hz, tf_late_s=tf_late_s, ground_frame="floor", fresh_duration=1.0)
    start, rest = robot.drive(1.0, period=0), robot.drive(1.0, period=0, start_s=1.0)
    if tf_late_s > NETWORK_S:
        assert "ground_frame: transform: expected a transform from 'floor' to 'camera'" in start[0][1].reason
    assert {one.source for _, one in rest} == {"ground plane"}
    assert max(robot.errors(rest)) < 0.05


def test_a_sensor_goes_before_the_ground_when_both_are_late(monkeypatch):
    robot = Robot(monkeypatch, tf_hz=10, tf_late_s=0.2, ground_frame="floor")
    robot.drive(1.0)
    assert {one.source for _, one in robot.drive(1.0, start_s=1.0)} == {"sparse_points"}


def test_late_scans_are_joined_with_depth_that_comes_in_time(monkeypatch):
    robot = Robot(monkeypatch, tf_hz=10, tf_late_s=0.2)
    sources, results = set(), []
    for index in range(40):
        time_s = index * FRAME_S
        if index % 3 == 0:
            robot.aligner.sparse.points.put(robot.scan(time_s, "odom"))
        if index % 2 == 0:
            depth = cv2.resize(
                robot.true_depth(time_s), (SIZE[1] // 4, SIZE[0] // 4)
            )  # at the centres of pixels
            robot.aligner.sparse.depth.put(message_from_array(depth, "32FC1", header(time_s, "camera")))
        results += robot.drive(FRAME_S, period=0, start_s=time_s)
        sources.add(results[-1][1].source)
    assert sources == {"sparse_depth", "sparse_points"}
    assert max(robot.errors(results)) < 0.02
    assert max(one.age_s for _, one in results) < 0.1
    assert not robot.refusals


def test_a_recording_that_begins_again_forgets_the_transforms_and_scans_of_the_run_before(monkeypatch):
    """TF takes nothing older than ten seconds before its newest."""
    robot = Robot(monkeypatch, speed=0.05)
    robot.drive(1.0, start_s=5.0)
    again = Robot(monkeypatch, speed=0.05)
    robot.tf.coming = [(time_s - 100, message) for time_s, message in again.tf.coming]
    for _, message in robot.tf.coming:
        message.header.stamp.sec -= 100
    robot.motion = {"speed": 0.0, "turn_rate": 0.0}
    results = robot.drive(1.5, start_s=-100.0)
    assert "time jumped" in results[0][1].reason
    assert results[-1][1].state is AlignmentState.FRESH


def test_a_reset_lets_go_of_what_waits(monkeypatch):
    robot = Robot(monkeypatch)
    robot.drive(0.2, period=1)
    robot.aligner.reset()
    after = robot.drive(0.3, period=0, start_s=0.2)
    assert {one.state for _, one in after} == {AlignmentState.LOST}
