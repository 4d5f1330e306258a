"""The tree against tf2 where it is installed, else against what stands for it; scipy turns."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rclpy.time import Time
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from e2e_depth_ros.ros.aligning.transform_tree import TransformTree
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms, pose_from_numbers
from helpers.bags import header, pose, transform
from helpers.tf import import_tf2_ros

SECOND = 1_000_000_000
rng = np.random.default_rng(3)


def turned(angles):
    return Rotation.from_euler("xyz", angles)


@pytest.fixture(scope="module")
def both():
    """A robot that drives and turns for 8 s, sampled unevenly, known to both."""
    tree, buffer = TransformTree(), import_tf2_ros().Buffer()
    for message in (
        transform("base", "mast", 0, [0.1, 0.2, 1.0], turned([0.1, 0.2, -0.3])),
        transform("mast", "camera", 0, [0.0, 0.1, 0.05], turned([-1.5, 0.1, -1.5])),
        transform("/base", "/lidar", 0, [0.3, 0.0, 0.8], turned([0, 0.1, 2.0])),
    ):
        tree.put(message, is_static=True)
        message.header.frame_id = message.header.frame_id.lstrip("/")
        buffer.set_transform_static(message, "test")
    for at in np.sort(rng.uniform(1, 9, 40)):
        message = transform("odom", "base", int(at * SECOND), [at, np.sin(at), 0], turned([0.1, 0, 2 * at]))
        tree.put(message, is_static=False)
        buffer.set_transform(message, "test")
    return tree, buffer


def numbers_of(found):
    shift, turn = found.transform.translation, found.transform.rotation
    return pose_from_numbers((shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w))


@pytest.mark.parametrize(("target", "source"), [("camera", "lidar"), ("camera", "odom"), ("odom", "camera")])
def test_poses_are_those_of_tf2(both, target, source):
    tree, buffer = both
    for at_ns in rng.integers(2 * SECOND, 8 * SECOND, 20):
        theirs = numbers_of(buffer.lookup_transform(target, source, Time(nanoseconds=int(at_ns))))
        np.testing.assert_allclose(tree.pose(target, int(at_ns), source, 0), theirs, atol=1e-7)
    newest = numbers_of(buffer.lookup_transform(target, source, Time()))
    np.testing.assert_allclose(tree.pose(target, 0, source, 0), newest, atol=1e-7)


def test_motion_over_a_fixed_frame_is_that_of_tf2(both):
    tree, buffer = both
    at, then = 3 * SECOND + 1234567, 4 * SECOND + 7654321
    times = Time(nanoseconds=at), Time(nanoseconds=then)
    theirs = numbers_of(buffer.lookup_transform_full("camera", times[0], "lidar", times[1], "odom"))
    np.testing.assert_allclose(tree.pose("camera", at, "lidar", then, "odom"), theirs, atol=1e-7)


def test_rotations_between_stamps_lie_on_the_great_circle():
    tree = TransformTree()
    far = Rotation.from_rotvec([0.0, 1.2, 0.4])
    tree.put(transform("a", "b", SECOND, [0, 0, 0], Rotation.identity()), is_static=False)
    turn = transform("a", "b", 2 * SECOND, [2, 4, 6], far)
    rotation = turn.transform.rotation  # the same turn with the other sign
    rotation.x, rotation.y, rotation.z, rotation.w = (-value for value in far.as_quat())
    tree.put(turn, is_static=False)
    expected = pose([0.5, 1, 1.5], Rotation.from_rotvec([0.0, 0.3, 0.1]))
    np.testing.assert_allclose(tree.pose("a", SECOND + SECOND // 4, "b", 0), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("at_ns", "source", "words"),
    [
        (10 * SECOND, "odom", "extrapolation into the future"),
        (SECOND // 2, "odom", "extrapolation into the past"),
        (3 * SECOND, "radar", "'radar' does not exist"),
        (3 * SECOND, "island", "unconnected"),
    ],
)
def test_what_is_not_known_may_come(both, at_ns, source, words):
    tree, _ = both
    tree.put(transform("sea", "island", 0, [0, 0, 0], turned([0, 0, 0])), is_static=True)
    with pytest.raises(TransformError, match=words) as error:
        Transforms(source=tree).pose(header(at_ns, "camera"), Header(frame_id=source))
    assert error.value.may_come
    assert f"from {source!r} to 'camera'" in str(error.value)


def test_what_is_ten_seconds_old_is_forgotten_and_what_stands_still_is_not():
    tree = TransformTree()
    tree.put(transform("base", "camera", 0, [0, 0, 1], turned([0, 0, 0])), is_static=True)
    for at in range(1, 31):
        tree.put(transform("odom", "base", at * SECOND, [at, 0, 0], turned([0, 0, 0])), is_static=False)
    assert tree.pose("odom", 21 * SECOND, "camera", 0)[0, 3] == 21
    with pytest.raises(TransformError, match="past"):
        tree.pose("odom", 19 * SECOND, "camera", 0)
    assert len(tree._links["base"]._stamps_ns) == 11
    tree.forget()
    np.testing.assert_allclose(tree.pose("base", 5 * SECOND, "camera", 0)[:3, 3], [0, 0, 1])
    with pytest.raises(TransformError, match="does not exist"):
        tree.pose("odom", 25 * SECOND, "camera", 0)


def test_what_is_no_pose_or_a_circle_does_no_harm():
    tree = TransformTree()
    bad = transform("a", "b", 0, [0, 0, np.nan], turned([0, 0, 0]))
    tree.put(bad, is_static=True)
    tree.put(transform("a", "a", 0, [0, 0, 0], turned([0, 0, 0])), is_static=True)
    assert not tree._links
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        tree.put(transform(parent, child, 0, [0, 0, 1], turned([0, 0, 0])), is_static=True)
    tree.put(transform("elsewhere", "d", 0, [0, 0, 1], turned([0, 0, 0])), is_static=True)
    with pytest.raises(TransformError, match="unconnected"):
        tree.pose("a", 0, "d", 0)
