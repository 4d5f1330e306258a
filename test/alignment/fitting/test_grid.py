"""A grid over image and log depth reads, splats and moves volumes without loss."""

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


def test_splat_is_the_transpose_of_interpolation():
    grid = layout()
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 0.99, 40), rng.uniform(0, 0.74, 40), rng.uniform(*RANGE, 40)
    corners, values = grid.corners(*places), rng.standard_normal(40)
    volume = rng.standard_normal(grid.shape)
    assert (grid.splat(corners, values) * volume).sum() == pytest.approx(
        values @ grid.interpolated(volume, corners)
    )
    linear = grid.interpolated(linear_volume(grid).astype(np.float64), corners)
    np.testing.assert_allclose(linear, 0.5 * places[2] - 2 * places[1] + 3 * places[0], atol=1e-5)


def test_a_finer_layout_keeps_a_linear_volume():
    grid = layout()
    finer = grid.refined(0.03)
    assert finer.shape[0] == grid.shape[0]
    assert finer.shape[2] > 2 * grid.shape[2]
    moved = grid.moved_to(finer, linear_volume(grid).astype(np.float64))
    np.testing.assert_allclose(moved, linear_volume(finer), atol=1e-5)
