"""A robot around nodes, and checkpoints for them."""

import os

import pytest

from e2e_depth_ros.ros.deployment.middleware import local_environment
from helpers.robot import Robot

# All is set before any participant comes to be; the domain is test/conftest.py's.
os.environ.update(local_environment())


@pytest.fixture
def context():
    """A ROS context of its own, for nodes within the process of the tests."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from rclpy.context import Context

    context = Context()
    context.init(args=[])
    yield context
    context.try_shutdown()


@pytest.fixture(scope="module")
def robot():
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    robot = Robot()
    yield robot
    robot.close()


@pytest.fixture(scope="session")
def painter_folder(tmp_path_factory):
    """A tiny random checkpoint that paints by instruction."""
    import torch

    from e2e_depth_ros.model.instruct.conversion import convert_checkpoint
    from helpers.ldm_tiny import make_ldm_checkpoint, write_tokenizer

    folder = tmp_path_factory.mktemp("painter")
    torch.save({"state_dict": make_ldm_checkpoint().tensors}, folder / "tiny.ckpt")
    tokenizer = write_tokenizer(folder / "clip")
    return convert_checkpoint(folder / "tiny.ckpt", folder / "tiny-painter", tokenizer=tokenizer).folder


@pytest.fixture(scope="session")
def model_folder(tiny_checkpoint):
    return tiny_checkpoint("embedded")
