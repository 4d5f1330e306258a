"""The floor of a measured scene is found, and a table is none."""

import numpy as np
import pytest

from e2e_depth_ros.evaluation.true_ground import NoFloorError, find_true_ground

DOWN = np.array([0.05, 0.94, 0.3]) / np.linalg.norm([0.05, 0.94, 0.3])
HEIGHT_M = 0.8


def plane_points(rng, normal, height, count, noise=0.005):
    """Points of a plane at random places up to 4 m ahead."""
    points = rng.uniform([-2, 0, 0.8], [2, 0, 4], (count, 3))
    points[:, 1] = (height - points[:, 0] * normal[0] - points[:, 2] * normal[2]) / normal[1]
    return points + rng.normal(0, noise, points.shape)


@pytest.fixture
def room():
    """A floor, a large table half a metre above it, and a wall."""
    rng = np.random.default_rng(0)
    floor = plane_points(rng, DOWN, HEIGHT_M, 900)
    table = plane_points(rng, DOWN, HEIGHT_M - 0.5, 1500)
    wall = rng.uniform([-2, -2, 4], [2, -0.6, 4.02], (1500, 3))
    return np.concatenate([floor, table, wall])


@pytest.mark.parametrize("down", [None, DOWN])
def test_the_lowest_plane_is_the_floor(room, down):
    ground = find_true_ground(room, down=down)
    assert np.rad2deg(np.arccos(min(1, ground.down @ DOWN))) < 0.5
    assert ground.height_m == pytest.approx(HEIGHT_M, abs=0.01)


def test_the_same_seed_finds_the_same(room):
    one, two = (find_true_ground(room, seed=3) for _ in range(2))
    assert (one.height_m, one.down.tolist()) == (two.height_m, two.down.tolist())


def test_a_wall_is_no_floor():
    rng = np.random.default_rng(1)
    with pytest.raises(NoFloorError, match="no plane"):
        find_true_ground(rng.uniform([-2, -1, 3], [2, 1, 3.01], (800, 3)))
    with pytest.raises(NoFloorError, match="12 points"):
        find_true_ground(rng.uniform(0, 1, (12, 3)))
