"""Read back by the fields that PCL documents; test_depth_formats.py has Open3D where it is installed."""

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.pcd import save_pcd

rng = np.random.default_rng(0)


def test_points_and_colours_are_where_pcl_looks_for_them(tmp_path):
    points = rng.uniform(-5, 5, (6, 9, 3))
    colours = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    points[2, 3, 1] = np.nan
    save_pcd(tmp_path / "x.pcd", points, colours)
    header, _, body = (tmp_path / "x.pcd").read_bytes().partition(b"DATA binary\n")
    lines = dict(line.split(" ", 1) for line in header.decode().splitlines() if line[0] != "#")
    assert (lines["FIELDS"], lines["SIZE"], lines["TYPE"]) == ("x y z rgb", "4 4 4 4", "F F F U")
    assert (lines["POINTS"], lines["WIDTH"], lines["HEIGHT"]) == ("53", "53", "1")
    records = np.frombuffer(
        body, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("b", "u1"), ("g", "u1"), ("r", "u1"), ("a", "u1")]
    )
    known = np.isfinite(points).all(axis=-1)
    np.testing.assert_array_equal(
        np.stack([records[n] for n in "xyz"], axis=-1), points[known].astype(np.float32)
    )
    np.testing.assert_array_equal(np.stack([records[n] for n in "rgb"], axis=-1), colours[known])
    assert not records["a"].any()


@pytest.mark.parametrize("shape", [(4,), (4, 2)])
def test_what_is_no_points_is_refused(tmp_path, shape):
    with pytest.raises(InvalidInputError, match="expected points"):
        save_pcd(tmp_path / "x.pcd", np.ones(shape), np.ones(shape, np.uint8))
    with pytest.raises(InvalidInputError, match="expected colours"):
        save_pcd(tmp_path / "x.pcd", np.ones((4, 3)), np.ones((5, 3), np.uint8))
