"""A saved file is read back by Rerun's own tool."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rerun", reason="rerun-sdk needs numpy 2")

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.offline.viewer import Viewer

SIZE = (30, 44)
CAMERA = Camera(SIZE, np.array([[50.0, 0, 20], [0, 52, 16], [0, 0, 1]]))
rng = np.random.default_rng(0)


def printed(path):
    """What is in a file, chunk by chunk."""
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"cannot write .*nowhere.x\.rrd"):
        Viewer(tmp_path / "nowhere" / "x.rrd")


def test_all_that_is_shown_is_in_the_file(tmp_path):
    depth_m = rng.uniform(1, 5, SIZE).astype(np.float32)
    depth_m[3, 5] = np.nan
    points_m = rng.uniform(-1, 1, (*SIZE, 3)).astype(np.float32)
    with Viewer(tmp_path / "x.rrd") as viewer:
        for index in range(3):
            viewer.at(1_700_000_000_000_000_000 + index * 33_000_000)
            viewer.camera(CAMERA)
            viewer.image(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
            viewer.depth(depth_m)
            viewer.relative(rng.uniform(0, 1, SIZE).astype(np.float32))
            viewer.normals(np.broadcast_to(np.float32([0, 0, -1]), (*SIZE, 3)))
            viewer.points(points_m, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
            viewer.samples(np.array([3.0, 9]), np.array([4.0, 5]), np.array([1.5, 2]))
            viewer.status(1, "held: no samples", {"scale": "2.5", "shift_m": "0.1", "residual": "nan"})
    found = printed(tmp_path / "x.rrd")
    for entity in (
        "/camera",
        "/camera/image",
        "/camera/depth",
        "/camera/relative",
        "/camera/normals",
        "/camera/samples",
        "/world/points",
        "/status",
        "/alignment/scale",
    ):
        assert f"{entity} " in found or f"{entity}\n" in found or f'{entity}"' in found, (
            f"{entity}: {found[:2000]}"
        )
    assert "/alignment/residual" not in found
    assert "stamp" in found


def test_several_cameras_lie_below_their_names(tmp_path):
    with Viewer(tmp_path / "x.rrd") as viewer:
        left, right = viewer.of("/robot/left"), viewer.of("right")
        for one in (left, right):
            one.at(1_700_000_000_000_000_000)
            one.points(np.ones((2, 3), np.float32))
        left.image(np.zeros((*SIZE, 3), np.uint8))
    found = printed(tmp_path / "x.rrd")
    for entity in ("/robot/left/camera/image", "/robot/left/world/points", "/right/world/points"):
        assert entity in found
    assert "/right/camera/image" not in found
