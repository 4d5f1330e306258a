import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.aligning import transforms
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms, pose_from_numbers
from helpers.tf import import_tf2_ros

tf2_ros = import_tf2_ros()


def test_pose_equals_scipys_rotation():
    quaternion = np.array([0.3, -0.5, 0.1, 0.7])
    pose = pose_from_numbers([1, 2, 3, *(2.5 * quaternion)])
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_quat(quaternion).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(pose[:, 3], [1, 2, 3, 1])


def test_lidar_forward_becomes_camera_z():
    """The usual turn from a body frame (x forward, y left, z up) to an optical one."""
    pose = pose_from_numbers([0, 0, 0, 0.5, -0.5, 0.5, 0.5])
    np.testing.assert_allclose(pose[:3, :3] @ [1, 0, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ [0, 1, 0], [-1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ [0, 0, 1], [0, -1, 0], atol=1e-12)


@pytest.mark.parametrize("numbers", [[0.0] * 7, [1.0] * 6, [np.nan] * 7, [0, 0, np.inf, 0, 0, 0, 1]])
def test_impossible_pose_is_refused(numbers):
    with pytest.raises(InvalidInputError, match="x y z qx qy qz qw"):
        pose_from_numbers(numbers)


def test_same_frame_needs_no_tf():
    for name in ("camera", "/camera", ""):
        pose = Transforms().pose(Header(frame_id=name), Header(frame_id=name.lstrip("/")))
        np.testing.assert_array_equal(pose, np.eye(4))


def test_without_tf_the_parameter_is_named():
    with pytest.raises(TransformError, match=r"'lidar' to 'camera'.*sparse_extrinsics") as error:
        Transforms().pose(Header(frame_id="camera"), Header(frame_id="lidar"))
    assert not error.value.may_come


def at(time_s, frame_id="lidar"):
    sec, nanosec = divmod(round(time_s * 1e9), 10**9)
    return Header(stamp=Stamp(sec=sec, nanosec=nanosec), frame_id=frame_id)


def transform(parent, child, time_s, x_m):
    message = TransformStamped(header=at(time_s, parent), child_frame_id=child)
    message.transform.translation.x = x_m
    message.transform.rotation.w = 1.0
    return message


@pytest.fixture
def lookup(monkeypatch):
    """A robot that drives one metre from 10 s to 11 s, with a camera 0.5 m and a LiDAR 0.2 m ahead."""
    monkeypatch.setattr(transforms, "tf2_ros", tf2_ros)
    monkeypatch.setattr(transforms, "Time", Time, raising=False)
    lookup = Transforms()
    lookup._buffer = tf2_ros.Buffer()
    for message in (transform("base", "camera", 0, 0.5), transform("base", "lidar", 0, 0.2)):
        lookup._buffer.set_transform_static(message, "test")
    for message in (transform("odom", "base", 10, 0.0), transform("odom", "base", 11, 1.0)):
        lookup._buffer.set_transform(message, "test")
    return lookup


def x_of(pose):
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-9)
    return pytest.approx(pose[0, 3], abs=1e-6)


def test_tf_is_asked_at_the_stamp_of_the_image(lookup):
    assert x_of(lookup.pose(at(50, "camera"), at(40))) == -0.3
    assert x_of(lookup.pose(at(10.8, "camera"), at(10.2, "odom"))) == -1.3
    assert x_of(lookup.pose(at(0, "camera"), at(0, "odom"))) == -1.5  # without a stamp the newest


def test_slashes_before_frames_do_not_matter(lookup):
    assert x_of(lookup.pose(at(50, "/camera"), at(40, "/lidar"))) == -0.3
    moved = lookup.pose(at(10.8, "/camera"), at(10.2, "lidar"), fixed_frame="/odom")
    assert x_of(moved) == -0.9


def test_motion_between_the_stamps_shows_over_a_fixed_frame(lookup):
    assert x_of(lookup.pose(at(10.8, "camera"), at(10.2), fixed_frame="odom")) == -0.9
    assert x_of(lookup.pose(at(10.2, "camera"), at(10.8), fixed_frame="odom")) == 0.3
    assert x_of(lookup.pose(at(10.8, "camera"), at(10.2, "camera"), fixed_frame="odom")) == -0.6
    assert x_of(lookup.pose(at(99, "camera"), at(99), fixed_frame="odom")) == -0.3  # it did not move


@pytest.mark.parametrize(
    ("target", "source", "fixed_frame", "words", "may_come"),
    [
        (at(12, "camera"), at(12, "odom"), "", "'odom' to 'camera': .*into the future", True),
        (at(12, "camera"), at(10.5), "odom", "'lidar' to 'camera' over 'odom': .*into the future", True),
        (at(10.5, "camera"), at(10.5, "radar"), "", "'radar' to 'camera': .*does not exist", True),
        (at(10.5, "camera"), at(10.6), "map", "over 'map': .*does not exist", True),
        (at(10.5, "camera"), at(10.5, ""), "", "'' to 'camera', but a frame_id is empty", False),
        (at(10.5, "camera"), at(10.5, "//"), "", "but a frame_id is empty", False),
    ],
)
def test_what_tf_does_not_know_is_told(lookup, target, source, fixed_frame, words, may_come):
    with pytest.raises(TransformError, match=words) as error:
        lookup.pose(target, source, fixed_frame=fixed_frame)
    assert error.value.may_come is may_come


def test_when_time_went_back_tf_takes_what_is_older(lookup):
    lookup._buffer.set_transform(transform("odom", "base", 100, 9.0), "test")
    lookup.forget()
    lookup._buffer.set_transform(transform("odom", "base", 10, 7.0), "test")
    assert x_of(lookup.pose(at(10, "camera"), at(10, "odom"))) == -7.5
    assert x_of(lookup.pose(at(10, "camera"), at(10))) == -0.3  # static ones stay
