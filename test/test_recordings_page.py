"""The commands of docs/recordings.md, as they stand there."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytest.importorskip("av", reason="PyAV is not installed")
pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
pytest.importorskip("rerun", reason="rerun-sdk needs numpy 2")

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.offline.videos import VideoWriter
from helpers import bags

PAGE = (Path(__file__).parents[1] / "docs" / "recordings.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line.partition("#")[0].strip() for line in BLOCKS.splitlines() if line.startswith("e2e-depth ")]
OPENS_A_WINDOW = {"e2e-depth view drive_depth"}


def is_of_the_left_camera(topic):
    return topic.startswith(("/left", "/lidar", "/tf"))


@pytest.fixture
def there(tmp_path, monkeypatch):
    """What the page speaks of: a bag, a video, photographs and a folder of TUM RGB-D."""
    monkeypatch.chdir(tmp_path)
    messages = bags.robot_messages(2, lambda rgb: 1 + rgb[..., 0].astype(np.float32) / 99)
    bags.write_bag(tmp_path / "drive", [one for one in messages if is_of_the_left_camera(one[0])])
    bags.write_bag(tmp_path / "robot", messages)
    with VideoWriter(tmp_path / "drive.mp4", 10) as writer:
        writer.write(bags.frame_picture(0))
        writer.write(bags.frame_picture(1))
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), bags.frame_picture(2))
    desk = tmp_path / "rgbd_dataset_freiburg1_desk"
    desk.mkdir()
    rgb = bags.frame_picture(0)
    depth_m = 1 + 3 * Estimator.load("embedded").estimate(rgb).depth.values
    cv2.imwrite(str(desk / "rgb.png"), rgb[..., ::-1])
    cv2.imwrite(str(desk / "depth.png"), np.rint(5000 * depth_m).astype(np.uint16))
    (desk / "rgb.txt").write_text("1.0 rgb.png\n")
    (desk / "depth.txt").write_text("1.01 depth.png\n")
    return tmp_path


def test_every_command_runs_as_it_is_pasted(there):
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        if command not in OPENS_A_WINDOW:
            assert main(shlex.split(command)[1:]) == 0, command
    made = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert {
        "drive_depth/drive_depth_0.mcap",
        "drive_copy/metadata.yaml",
        "robot_depth/robot_depth_0.mcap",
        "drive.rrd",
        "out/drive/000001/depth.npy",
        "out/drive/depth.mp4",
        "out/a/depth_color.png",
        "desk/rgbd_dataset_freiburg1_desk/rgb/depth_mm.png",
        "desk/rgbd_dataset_freiburg1_desk/rgb/points.ply",
    } <= made
