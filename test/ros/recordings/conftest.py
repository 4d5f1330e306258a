"""A recording made once, with the truth of the tiny network."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task
from helpers import bags


@pytest.fixture(scope="package")
def estimator(tiny_checkpoint):
    return Estimator.load(tiny_checkpoint("embedded"), num_threads=1)


@pytest.fixture(scope="package")
def depth_of(estimator):
    """What the tiny network says of a picture, in metres of our choice."""

    def depth_of(rgb):
        return bags.SHIFT_M + bags.SCALE * estimator.estimate(rgb, tasks=[Task.DEPTH]).depth.values

    return depth_of


@pytest.fixture(scope="package")
def messages(depth_of):
    return bags.robot_messages(10, depth_of)


@pytest.fixture(scope="package")
def bag(messages, tmp_path_factory):
    return bags.write_bag(tmp_path_factory.mktemp("bags") / "robot", messages)
