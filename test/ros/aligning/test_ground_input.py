"""The ground gives the scale where no sensor does, by its height or by TF."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.aligning.transforms import pose_from_numbers
from helpers.aligning import HEIGHT_M, RELATIVE, KnownTransforms, Robot, down, error


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


def test_the_ground_stays_where_tf_saw_it_last():
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # z up
    pose[1, 3] = HEIGHT_M
    transforms = KnownTransforms(base=pose)
    robot = Robot(transforms, ground_frame="base")
    ground = robot.aligner.ground_plane(robot.header(), robot.parameters)
    assert ground.height_m == pytest.approx(HEIGHT_M)
    np.testing.assert_allclose(ground.down, [0, 1, 0])
    transforms.poses.clear()
    assert robot.aligner.ground_plane(robot.header(), robot.parameters) is ground
    assert robot.aligner.ground_plane(robot.header(), Robot(camera_height=HEIGHT_M).parameters) is None
    unknowing = Robot(KnownTransforms(), ground_frame="base")
    assert unknowing.aligner.ground_plane(robot.header(), robot.parameters) is None
    pose[1, 3] = -HEIGHT_M
    below = Robot(KnownTransforms(base=pose), ground_frame="base")
    assert below.aligner.ground_plane(robot.header(), robot.parameters) is None


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
