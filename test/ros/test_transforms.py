from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros import transforms
from e2e_depth_ros.ros.refusal import RefusedMessageError
from e2e_depth_ros.ros.transforms import Transforms, pose_from_numbers


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
    np.testing.assert_array_equal(Transforms().pose("camera", "camera", None), np.eye(4))


def test_a_leading_slash_makes_no_other_frame():
    np.testing.assert_array_equal(Transforms().pose("/camera", "camera", None), np.eye(4))


def test_without_tf_the_parameter_is_named():
    with pytest.raises(RefusedMessageError, match=r"'lidar' to 'camera'.*sparse_extrinsics"):
        Transforms().pose("camera", "lidar", None)


class _FakeTf:
    """Stands for tf2_ros, which is not on PyPI: the calls that this package makes, no more."""

    class TransformException(Exception):  # noqa: N818 - its name there
        pass

    class Buffer:
        def lookup_transform(self, target_frame, source_frame, time):
            if source_frame != "lidar":
                raise _FakeTf.TransformException(f'"{source_frame}" does not exist')
            assert (target_frame, time) == ("camera", "time of now")
            vector = SimpleNamespace(x=1.0, y=2.0, z=3.0)
            quaternion = SimpleNamespace(x=0.0, y=0.0, z=1.0, w=0.0)
            return SimpleNamespace(transform=SimpleNamespace(translation=vector, rotation=quaternion))

    class TransformListener:
        def __init__(self, buffer, node):
            assert (type(buffer), node) == (_FakeTf.Buffer, "node")


def test_tf_is_asked_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(transforms, "tf2_ros", _FakeTf)
    monkeypatch.setattr(transforms, "Time", SimpleNamespace(from_msg=lambda stamp: f"time of {stamp}"), False)
    lookup = Transforms("node")
    np.testing.assert_allclose(lookup.pose("camera", "lidar", "now") @ [1, 0, 0, 1], [0, 2, 3, 1])
    # tf2 itself refuses a leading slash.
    np.testing.assert_allclose(lookup.pose("/camera", "/lidar", "now") @ [1, 0, 0, 1], [0, 2, 3, 1])
    with pytest.raises(RefusedMessageError, match=r"'radar' to 'camera'.*does not exist"):
        lookup.pose("camera", "radar", "now")
