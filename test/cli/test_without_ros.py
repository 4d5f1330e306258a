"""Without a ROS installation everything but node and demo works, and these two say what is missing.

Each test runs a process in which no ROS package can be imported, whatever is installed here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

PRELUDE = """
import json, sys

class NoRos:
    # the packages of a distribution, and the wheels that stand in for them
    NAMES = {"rclpy", "cv_bridge", "tf2_ros", "sensor_msgs_py", "rosbags", "ament_index_python", "launch_ros"}

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in self.NAMES or top.endswith(("_msgs", "_srvs", "_interfaces")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoRos())
"""


def run_without_ros(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def data(tmp_path, write_frame):
    v, u = np.mgrid[0:40, 0:56]
    depth = 1 / (0.3 + 0.004 * v - 0.001 * u)
    for number in range(2):
        write_frame(tmp_path / "data" / "set" / str(number), depth=(number + 1) * depth)
    return tmp_path / "data"


def write_recipe(path):
    """Write a recipe of the smallest training, on the gallery's renders; return its path."""
    shards = str(Path(__file__).parents[2] / "docs" / "gallery" / "*.npz")
    recipe = {
        "model": {
            "processing_resolution": 48,
            "autoencoder": {"channels": [16] * 2, "blocks": [0, 1], "latent_channels": 4},
            "unet": {
                "channels": [16],
                "attention": [False],
                "heads": [1],
                "prompt_channels": 16,
                "norm_groups": 4,
            },
        },
        "data": {
            "train": [{"shards": shards}],
            "validation": [{"shards": shards, "limit": 1}],
            "sizes": [{"height": 32, "width": 48}],
            "batch_size": 2,
            "workers": 0,
        },
        "optimiser": {"steps": 2, "warmup_steps": 1},
        "run": {"device": "cpu", "threads": 1},
    }
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def test_every_offline_command_works(data, tmp_path):
    """From training to scores: each command works on what the one before it made."""
    recipe = write_recipe(tmp_path / "recipe.yaml")
    run, out, scores = (tmp_path / name for name in ("run", "out", "scores.json"))
    model = run / "checkpoint"
    commands = [
        ["train", recipe, "--output", run],
        ["checkpoint", "inspect", model],
        ["checkpoint", "verify", model],
        ["predict", data, "--output", out, "--model", model, "--normals"],
        ["evaluate", data, "--predictions", out, "--json", scores],
        ["evaluate", data, "--model", model],
        ["benchmark", "--model", model, "--size", "48x64", "--frames", "1"],
    ]
    code = """
from e2e_depth_ros.cli.main import main
codes = [main(command) for command in json.loads(sys.argv[1])]
print(json.dumps({"codes": codes, "ros": "rclpy" in sys.modules}))
"""
    result = run_without_ros(code, json.dumps([[str(word) for word in command] for command in commands]))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {"codes": [0] * len(commands), "ros": False}
    assert np.load(out / "set" / "1" / "depth.npy").shape == (40, 56)
    assert 0 < json.loads(scores.read_text(encoding="utf-8"))["mean"]["abs_rel"] < 1


@pytest.mark.parametrize(
    "code",
    [
        "from e2e_depth_ros.cli.main import main; sys.exit(main(['demo', '--output', sys.argv[1]]))",
        "from e2e_depth_ros.ros.depth_node import main; main()",
        "from e2e_depth_ros.ros.mask_node import main; main()",
    ],
    ids=["demo", "depth_node", "mask_node"],
)
def test_what_needs_ros_says_in_one_line_what_to_install(code, tmp_path):
    result = run_without_ros(code, tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert 'pip install "e2e_depth_ros[ros,demo]"' in result.stderr
