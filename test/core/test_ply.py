"""A cloud comes back from its file, and only what is a point goes in."""

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ply import save_ply

POINTS = np.array(
    [[[1, 2, 3], [-4, 5.5, 6], [0, np.nan, 2]], [[7, 8, 9], [1, 1, np.inf], [-1, -2, 0.5]]], np.float32
)
COLOURS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) + 230
FINITE = np.array([[True, True, False], [True, False, True]])


def read(path):
    """The properties and the vertices of a binary PLY file."""
    header, body = path.read_bytes().split(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    kinds = {"float": "<f4", "uchar": "u1"}
    fields = [(name, kinds[kind]) for _, kind, name in (line.split() for line in lines[3:])]
    vertices = np.frombuffer(body, fields)
    assert lines[2] == f"element vertex {len(vertices)}"
    return vertices


def test_an_image_of_points_reads_back_without_those_that_are_not_finite(tmp_path):
    save_ply(tmp_path / "cloud.ply", POINTS, COLOURS)
    vertices = read(tmp_path / "cloud.ply")
    assert vertices.dtype.names == ("x", "y", "z", "red", "green", "blue")
    for axis, name in enumerate(("x", "y", "z")):
        np.testing.assert_array_equal(vertices[name], POINTS[FINITE][:, axis])
    for channel, name in enumerate(("red", "green", "blue")):
        np.testing.assert_array_equal(vertices[name], COLOURS[FINITE][:, channel])


def test_points_without_colours_and_without_order(tmp_path):
    points = POINTS.reshape(-1, 3).astype(np.float64)
    save_ply(str(tmp_path / "cloud.ply"), points)
    vertices = read(tmp_path / "cloud.ply")
    assert vertices.dtype.names == ("x", "y", "z")
    np.testing.assert_array_equal(vertices["y"], [2, 5.5, 8, -2])


def test_a_cloud_without_a_point_is_one_too(tmp_path):
    save_ply(tmp_path / "cloud.ply", np.full((2, 5, 3), np.nan))
    assert len(read(tmp_path / "cloud.ply")) == 0


@pytest.mark.parametrize(
    ("points", "colours"),
    [
        (np.zeros(3), None),
        (np.zeros((4, 2)), None),
        (POINTS, COLOURS[:, :2]),
        (POINTS, COLOURS.astype(np.float32) / 255),
    ],
)
def test_refuses_what_is_no_cloud(tmp_path, points, colours):
    with pytest.raises(InvalidInputError):
        save_ply(tmp_path / "cloud.ply", points, colours)
    assert not (tmp_path / "cloud.ply").exists()
