"""`e2e-depth view` saves what Rerun's own tool reads back."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytest.importorskip("rerun", reason="rerun-sdk needs numpy 2")

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.ros.messages.images import message_from_array
from helpers import bags


def stored(path):
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_bag_with_outputs_becomes_what_the_viewer_opens(tmp_path):
    messages = [one for one in bags.robot_messages(3, lambda rgb: rgb[..., 0] / 99 + 1) if "/left" in one[0]]
    for index in range(3):
        log_ns = bags.START_NS + index * bags.FRAME_NS + 20_000_000
        depth = message_from_array(np.full(bags.SIZE, 2, np.float32), "32FC1", bags.header(log_ns, "left"))
        messages.append(("/left/depth/image_rect", log_ns, depth))
    bag = bags.write_bag(tmp_path / "robot", sorted(messages, key=lambda one: one[1]))
    out = tmp_path / "x.rrd"
    assert main(["view", str(bag), "--namespace", "left", "--output", str(out)]) == 0
    found = stored(out)
    assert "/camera/depth" in found
    assert "/camera/image" in found
    assert "/world/points" not in found


def test_a_bag_without_outputs_is_one_line(tmp_path, capsys):
    bag = bags.write_bag(tmp_path / "robot", bags.robot_messages(1, lambda rgb: rgb[..., 0] / 99 + 1))
    assert main(["view", str(bag), "--output", str(tmp_path / "x.rrd")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected outputs such as /depth/image_rect" in error
