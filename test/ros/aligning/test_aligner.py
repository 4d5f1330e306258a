"""What makes a frame metric, when sensors come and go, with the network's answer given."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.aligning.aligner import Aligner
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms, pose_from_numbers
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.images import message_from_array

SIZE = (120, 176)
CAMERA = Camera(SIZE, np.array([[150.0, 0, 80], [0, 145, 50], [0, 0, 1]]))
HEIGHT_M, TILT_DEG, WALL_M = 0.8, 10.0, 4.0
PERIOD_NS = 33_000_000


def down():
    tilt = np.deg2rad(TILT_DEG)
    return np.array([0.0, np.cos(tilt), np.sin(tilt)])


def room():
    """Depth of a floor with a wall at its end, seen from above the floor: metres."""
    x, y = CAMERA.normalized_grid
    along = x * down()[0] + y * down()[1] + down()[2]
    return np.minimum(HEIGHT_M / np.maximum(along, 1e-3), WALL_M).astype(np.float32)


DEPTH_M = room()
SCALE, SHIFT_M = float(np.ptp(DEPTH_M)), float(DEPTH_M.min())
RELATIVE = DepthMap((DEPTH_M - SHIFT_M) / SCALE, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)


class KnownTransforms(Transforms):
    """TF that knows one pose."""

    def __init__(self, **poses):
        super().__init__()
        self.poses = poses

    def pose(self, target, source, *, fixed_frame=""):  # noqa: ARG002 - its own signature
        if source.frame_id not in self.poses:
            raise TransformError(f"{source.frame_id!r} is unknown", may_come=False)
        return self.poses[source.frame_id]


class Robot:
    """Feeds an aligner frame by frame."""

    def __init__(self, transforms=None, **parameters):
        self.aligner = Aligner(transforms or Transforms())
        self.parameters = Parameters(**parameters)
        self.frame = 0

    def header(self, frame_id="camera", offset_ns=0):
        sec, nanosec = divmod(10**12 + self.frame * PERIOD_NS + offset_ns, 10**9)
        return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)

    def sense(self, values=DEPTH_M, frame_id="camera", offset_ns=0):
        """A low-resolution depth camera: every fourth pixel of the view."""
        header = self.header(frame_id, offset_ns)
        coarse = values.reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4).mean(axis=(1, 3))
        self.aligner.sparse.depth.put(message_from_array(coarse.astype(np.float32), "32FC1", header))

    def look(self, relative=RELATIVE, camera=CAMERA, count=1):
        for _ in range(count):
            view = FrameView(np.zeros((*SIZE, 3), np.uint8), camera)
            alignment, self.refusals = self.aligner.align(relative, self.header(), view, self.parameters)
            self.frame += 1
        return alignment


def error(alignment):
    return float(np.mean(np.abs(alignment.depth_m / DEPTH_M - 1)))


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


def test_camera_height_gives_the_scale():
    robot = Robot(camera_height=HEIGHT_M)
    alignment = robot.look()
    assert alignment.source == "ground plane"
    assert alignment.state in {AlignmentState.FRESH, AlignmentState.DEGRADED}
    assert error(alignment) < 0.05
    assert error(robot.look(count=10)) < 0.05


def test_tf_gives_height_and_tilt():
    """The ground frame: z up, below the camera, and somewhere else and turned about z."""
    up = -down()
    forward = np.array([0, 0, 1.0]) - up * up[2]
    forward /= np.linalg.norm(forward)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(up, forward), -forward, up], axis=1)
    pose[:3, 3] = HEIGHT_M * down() + 3.0 * forward
    robot = Robot(KnownTransforms(base_footprint=pose), ground_frame="base_footprint")
    alignment = robot.look()
    assert alignment.source == "ground plane"
    assert error(alignment) < 0.02
    upside_down = KnownTransforms(ceiling=pose @ pose_from_numbers([0, 0, 2, 1, 0, 0, 0]))
    lost = Robot(upside_down, ground_frame="ceiling").look()
    assert lost.state is AlignmentState.LOST


def test_why_there_is_no_ground_is_told():
    wall = DepthMap(np.flipud(RELATIVE.values), RELATIVE.valid, RELATIVE.kind)
    assert "no ground is seen" in Robot(camera_height=HEIGHT_M).look(wall).reason
    assert "camera_info" in Robot(camera_height=HEIGHT_M).look(camera=None).reason
    assert "'base' is unknown" in Robot(KnownTransforms(), ground_frame="base").look().reason
    below = np.eye(4)
    below[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # z up
    below[1, 3] = -0.3  # the frame's origin is 0.3 m above the camera
    reason = Robot(KnownTransforms(shelf=below), ground_frame="shelf").look().reason
    assert "0.300 m below shelf" in reason


def test_the_ground_is_sought_now_and_then_only():
    robot = Robot(camera_height=HEIGHT_M)
    looked = [robot.look().age_s == 0 for _ in range(15)]
    assert 2 <= sum(looked) <= 4
    assert looked[0]


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


def test_given_scale_of_disparity():
    disparity = DepthMap(1 / (1 + DEPTH_M), RELATIVE.valid, DepthKind.AFFINE_INVARIANT_DISPARITY)
    alignment = Robot(fixed_scale=2.0, fixed_shift=0.1).look(disparity)
    np.testing.assert_allclose(alignment.depth_m, 1 / (0.1 + 2 / (1 + DEPTH_M)), rtol=1e-5)


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


def test_depth_of_another_frame_is_not_registered():
    robot = Robot()
    robot.sense(frame_id="tof")
    alignment = robot.look()
    assert [refusal.reason for refusal in robot.refusals] == ["sparse_depth: frame"]
    assert "expected the image's frame_id 'camera', got 'tof'" in alignment.reason
    robot.sense(frame_id="")
    assert robot.look().depth is not None


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
