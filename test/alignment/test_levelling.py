"""A floor that bends is laid flat; what stands on it stays."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.levelling import levelled
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthKind, DepthMap

SIZE = (120, 160)
CAMERA = Camera(SIZE, np.array([[130.0, 0, 78], [0, 124, 55], [0, 0, 1]]))
GROUND = GroundPlane(np.array([0.02, 0.97, 0.24]), 0.7)
BOX = np.s_[50:80, 60:80]


def true_depth():
    """A floor with a box 1.2 m ahead, and a wall 5 m ahead."""
    x, y = (np.broadcast_to(grid, SIZE).astype(np.float64) for grid in CAMERA.normalized_grid)
    drop = x * GROUND.down[0] + y * GROUND.down[1] + GROUND.down[2]
    depth = np.minimum(np.where(drop > 0.01, GROUND.height_m / np.maximum(drop, 0.01), np.inf), 5)
    is_floor = depth < 5
    depth[BOX] = np.minimum(depth[BOX], 1.2)
    is_floor[BOX] &= depth[BOX] < 1.2
    return depth, is_floor


def metric(values):
    values = np.asarray(values, np.float32)
    return DepthMap(values, np.isfinite(values), DepthKind.METRIC)


def test_the_floor_is_laid_flat_and_the_rest_stays():
    true, is_floor = true_depth()
    bent = true * (1 + 0.05 * np.sin(3 * true))
    bent[100, 40] = np.nan
    found = levelled(metric(bent), CAMERA, GROUND)
    kept = is_floor & found.valid
    height = GROUND.height_above(found.points(CAMERA))
    assert (np.abs(height[kept]) < 1e-4).mean() > 0.9
    assert np.abs(GROUND.height_above(metric(bent).points(CAMERA))[kept]).max() > 0.03
    assert not found.valid[100, 40]
    # What is higher than a tenth of the camera's height is no floor.
    above = found.valid & (GROUND.height_above(metric(true).points(CAMERA)) > 0.2 * GROUND.height_m)
    assert above[BOX].any()
    np.testing.assert_array_equal(found.values[above], metric(bent).values[above])


def test_without_a_floor_nothing_changes():
    wall = metric(np.full(SIZE, 2.0))
    assert levelled(wall, CAMERA, GROUND) is wall


def test_relative_depth_is_refused():
    relative = DepthMap(np.ones(SIZE), np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT)
    with pytest.raises(KindError, match="metric"):
        levelled(relative, CAMERA, GROUND)
