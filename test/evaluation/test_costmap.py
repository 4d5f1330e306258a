"""Costmaps of points, and how they compare with the truth."""

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.evaluation.costmap import (
    Costmap,
    CostmapCounts,
    CostmapSettings,
    compare_costmaps,
    costmap_from_points,
)

HEIGHT_M = 0.6
LEVEL = GroundPlane(np.array([0.0, 1.0, 0.0]), HEIGHT_M)
SETTINGS = CostmapSettings(obstacle_max_range=4.0, resolution=0.1, tolerance=0.2)


def tilted(points, tilt_deg):
    """The same points and floor, seen by a camera that looks down by so much."""
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return points @ turn.T, GroundPlane(turn @ LEVEL.down, HEIGHT_M)


@pytest.mark.parametrize("tilt_deg", [0, 25, -10])
def test_points_mark_the_cell_below_them(tilt_deg):
    points = np.array(
        [
            [0.55, HEIGHT_M - 0.5, 2.05],  # half a metre above the floor
            [-1.25, HEIGHT_M, 1.55],  # floor
            [0.05, HEIGHT_M - 0.19, 1.05],  # too low for an obstacle
            [0.05, HEIGHT_M - 2.1, 1.25],  # too high: the robot passes below
            [3.0, 0.1, 3.0],  # beyond the range, by its distance and not by its depth
            [np.nan, np.nan, np.nan],
        ]
    )
    points, ground = tilted(points, tilt_deg)
    costmap = costmap_from_points(points.reshape(2, 3, 3), ground, SETTINGS)
    assert costmap.occupied.shape == (40, 80)
    assert np.argwhere(costmap.occupied).tolist() == [[20, 45]]
    assert np.argwhere(costmap.free).tolist() == [[10, 40], [15, 27]]


def test_a_cell_with_floor_and_an_obstacle_is_not_free():
    points = np.array([[0.05, HEIGHT_M, 1.05], [0.06, HEIGHT_M - 1, 1.04]])
    costmap = costmap_from_points(points, LEVEL, SETTINGS)
    assert (costmap.occupied.sum(), costmap.free.sum()) == (1, 0)


def costmap(occupied, free=()):
    """A costmap of 40 x 80 cells with these rectangles (rows, columns)."""
    maps = [np.zeros((40, 80), bool) for _ in range(2)]
    for cells, rectangles in zip(maps, (occupied, free), strict=True):
        for rows, columns in rectangles:
            cells[rows, columns] = True
    return Costmap(maps[0], maps[1] & ~maps[0])


def test_cells_count_as_right_within_the_tolerance():
    true = costmap([(slice(20, 21), slice(30, 40))])
    shifted = costmap([(slice(22, 23), slice(30, 40))])
    counts = compare_costmaps(shifted, true, SETTINGS)
    assert (counts.predicted, counts.right, counts.true, counts.found) == (10, 10, 10, 10)
    assert counts.nearest_error_m == pytest.approx(0.2, abs=1e-3)
    farther = compare_costmaps(costmap([(slice(23, 24), slice(30, 40))]), true, SETTINGS)
    assert (farther.right, farther.found) == (0, 0)
    assert compare_costmaps(true, true, CostmapSettings(4.0, 5.0, tolerance=0)).scores()["f1"] == 1


def test_false_obstacles_are_counted_on_free_floor_alone():
    floor = (slice(0, 20), slice(0, 80))
    true = costmap([(slice(10, 12), slice(10, 12))], [floor])
    predicted = costmap(
        [
            (slice(10, 14), slice(10, 12)),  # right, and within the tolerance behind it
            (slice(2, 4), slice(40, 43)),  # on free floor: one obstacle of six cells
            (slice(4, 5), slice(43, 44)),  # which touches it at a corner
            (slice(8, 9), slice(60, 61)),  # another one
            (slice(30, 33), slice(20, 30)),  # where nobody saw the floor
        ],
    )
    counts = compare_costmaps(predicted, true, SETTINGS)
    near_true = 2 * 6 + 2 * 4 + 4  # the disc of two cells around a square of four
    assert counts.free == 20 * 80 - 4 - near_true + 4
    assert (counts.blocked, counts.false_obstacles) == (8, 2)
    scores = counts.scores()
    assert scores["false_per_m2"] == pytest.approx(2 / (counts.free * 0.01))
    assert scores["blocked"] == pytest.approx(8 / counts.free)


def test_missed_obstacles_are_told_by_size():
    true = costmap(
        [
            (slice(5, 6), slice(5, 7)),  # 0.2 m
            (slice(5, 6), slice(20, 24)),  # 0.4 m
            (slice(10, 11), slice(40, 70)),  # 3 m
            (slice(30, 31), slice(40, 70)),
        ]
    )
    predicted = costmap([(slice(5, 6), slice(20, 22)), (slice(10, 11), slice(40, 52))])
    counts = compare_costmaps(predicted, true, SETTINGS)
    assert counts.obstacles == (1, 1, 2)
    # Of the first wall 14 of 30 cells are found, of the medium one all by the tolerance.
    assert counts.missed == (1, 0, 2)
    scores = counts.scores()
    assert [scores[f"missed_{size}"] for size in ("small", "medium", "large")] == [1, 0, 1]


def test_counts_add_up_and_nothing_counted_is_no_number():
    true = costmap([(slice(20, 21), slice(30, 40))], [(slice(0, 10), slice(0, 80))])
    one = compare_costmaps(true, true, SETTINGS)
    empty = compare_costmaps(costmap([]), true, SETTINGS)
    total = CostmapCounts() + one + empty
    assert (total.frames, total.true, total.found, total.with_nearest) == (2, 20, 10, 1)
    assert total.obstacles == (0, 2, 0) if 10 * 0.1 < 1 else (0, 0, 2)
    assert total.cell_m2 == pytest.approx(0.01)
    scores = empty.scores()
    assert np.isnan([scores["precision"], scores["nearest_error_m"], scores["missed_small"]]).all()
    assert scores["recall"] == 0


def test_wrong_settings_and_sizes_are_refused():
    with pytest.raises(InvalidInputError, match="min_obstacle_height < max_obstacle_height, got 2 and 1"):
        CostmapSettings(2, 1)
    with pytest.raises(InvalidInputError, match="got 9 and 8"):
        CostmapSettings(resolution=9)
    with pytest.raises(InvalidInputError, match="tolerance"):
        CostmapSettings(tolerance=-0.1)
    small = Costmap(np.zeros((3, 6), bool), np.zeros((3, 6), bool))
    with pytest.raises(InvalidInputError, match=r"\(40, 80\) and \(3, 6\)"):
        compare_costmaps(costmap([]), small, SETTINGS)
