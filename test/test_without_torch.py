"""The embedded model runs where torch can't be imported: as a library and as a command.

test/ros/nodes/test_node_without_torch.py starts the node so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.without_torch import WITHOUT_TORCH


def _run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("engine", ["auto", "onnx", "openvino"])
def test_the_library_estimates(engine: str) -> None:
    code = """
import json
import numpy as np
from e2e_depth_ros import Estimator
from e2e_depth_ros.model.task import Task
estimator = Estimator.load(engine=sys.argv[1], device="cpu")
image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
estimate = estimator.estimate(image, tasks=tuple(Task))
estimate.outlined_depth
print(json.dumps([estimator.place.engine, *estimate.depth.size, *estimate.normals.values.shape]))
"""
    result = _run(code, engine)
    assert result.returncode == 0, result.stderr
    expected = "onnx" if engine == "auto" else engine
    assert json.loads(result.stdout) == [expected, 60, 90, 60, 90, 3]


def test_the_command_line_predicts(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "image.png"), image)
    code = "from e2e_depth_ros.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    arguments = (
        "predict",
        tmp_path / "image.png",
        "--output",
        tmp_path / "out",
        "--normals",
        "--device",
        "cpu",
    )
    result = _run(code, *arguments)
    assert result.returncode == 0, result.stderr
    assert np.load(tmp_path / "out" / "image" / "depth.npy").shape == (40, 56)
    # What needs torch says so, in one line.
    result = _run(code, *arguments[:-2], "--engine", "torch")
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].endswith("found none: pip install torch")
    assert "Traceback" not in result.stderr
