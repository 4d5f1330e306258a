"""A grid over image and log depth reads volumes without loss."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.fitting.grid import GridLayout
from helpers.known_scene import SIZE

RANGE = (np.log(1.0), np.log(6.0))


def layout(spacing=0.1, step=0.3):
    return GridLayout.covering(SIZE, spacing, RANGE, step)


def test_convention_corner_nodes_lie_on_corner_pixels():
    grid = layout()
    assert grid.column_nodes[0] == grid.row_nodes[0] == 0
    assert grid.column_nodes[-1] == pytest.approx(119 / 120)
    assert grid.row_nodes[-1] == pytest.approx(89 / 120)  # both in image widths
    np.testing.assert_allclose(grid.log_depth_nodes[[0, -1]], RANGE)


def linear_volume(grid):
    t, v, u = np.meshgrid(grid.log_depth_nodes, grid.row_nodes, grid.column_nodes, indexing="ij")
    return (0.5 * t - 2 * v + 3 * u).astype(np.float32)


def test_reading_a_linear_volume_is_exact():
    grid = layout()
    rng = np.random.default_rng(0)
    log_depth = rng.uniform(*RANGE, SIZE).astype(np.float32)
    v, u = np.mgrid[: SIZE[0], : SIZE[1]] / SIZE[1]
    # Places among the nodes are rounded to 1/32 of a node by OpenCV.
    np.testing.assert_allclose(
        grid.read(linear_volume(grid), log_depth), 0.5 * log_depth - 2 * v + 3 * u, atol=0.012
    )


def test_reading_beyond_the_layers_takes_the_nearest_and_leaves_the_input_alone():
    grid = layout()
    volume = np.broadcast_to(np.arange(grid.shape[0], dtype=np.float32)[:, None, None], grid.shape)
    log_depth = np.full(SIZE, -5.0, dtype=np.float32)
    log_depth[:, 60:] = 50.0
    log_depth[0, 0] = np.nan
    before = log_depth.copy()
    read = grid.read(volume, log_depth)
    np.testing.assert_allclose(read[:, :60], 0)
    np.testing.assert_allclose(read[:, 60:], grid.shape[0] - 1, atol=1e-3)
    np.testing.assert_array_equal(log_depth, before)


def test_reading_at_places_is_reading_at_pixels():
    grid = layout()
    rng = np.random.default_rng(1)
    place = rng.uniform([0, 0, RANGE[0]], [119 / 120, 89 / 120, RANGE[1]], (40, 3))
    read = grid.at(linear_volume(grid), place)
    np.testing.assert_allclose(read, 0.5 * place[:, 2] - 2 * place[:, 1] + 3 * place[:, 0], atol=0.012)
    beyond = grid.at(linear_volume(grid), np.array([[0.5, 2.0, 0.5], [0.5, 89 / 120, 0.5]]))
    assert beyond[0] == pytest.approx(beyond[1])  # and not of the next layer


def test_an_image_of_another_size_is_read_as_well():
    grid = layout()
    volume = linear_volume(grid)
    log_depth = np.full(SIZE, 0.8, np.float32)
    small = grid.read(volume, log_depth[:30, :40])
    np.testing.assert_allclose(
        small[[0, 0, -1], [0, -1, 0]], grid.read(volume, log_depth)[[0, 0, -1], [0, -1, 0]]
    )
