"""What a point cloud is worth to a robot that drives by it: the costmap that it gives, beside the true one.

Cells are marked as Nav2's obstacle layer marks them: by points between two heights above the ground and
within a range of the sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ground_plane import GroundPlane

SIZES: Final = ("small", "medium", "large")
"""Of obstacles."""
SIZES_M: Final = (0.25, 1.0)
"""Longest side, metres, from which an obstacle is medium, and large."""

_FOUND_SHARE: Final = 0.5  # of its cells, for an obstacle to count as found

_Map = NDArray[np.bool_]


@dataclass(frozen=True)
class CostmapSettings:
    """How points become a costmap, and how near a cell must be to count as right. Names are Nav2's.

    Attributes:
        min_obstacle_height: Above the ground, metres; what is lower is floor.
        max_obstacle_height: Above the ground, metres; the robot passes below what is higher.
        obstacle_max_range: From the camera, metres.
        resolution: Edge of a cell, metres.
        tolerance: How far, metres, a predicted cell may be from the true one.
    """

    min_obstacle_height: float = 0.2
    max_obstacle_height: float = 2.0
    obstacle_max_range: float = 8.0
    resolution: float = 0.05
    tolerance: float = 0.2

    def __post_init__(self) -> None:
        if not self.min_obstacle_height < self.max_obstacle_height:
            raise InvalidInputError(
                "expected min_obstacle_height < max_obstacle_height, "
                f"got {self.min_obstacle_height} and {self.max_obstacle_height}"
            )
        if not 0 < self.resolution < self.obstacle_max_range:
            raise InvalidInputError(
                "expected 0 < resolution < obstacle_max_range, "
                f"got {self.resolution} and {self.obstacle_max_range}"
            )
        if self.tolerance < 0:
            raise InvalidInputError(f"expected a tolerance of at least 0, got {self.tolerance}")


@dataclass(frozen=True, eq=False)
class Costmap:
    """The half disc of floor before a camera.

    Convention:
        Row 0 is below the camera and rows go forward; the middle column is straight ahead and columns go to
        the right.

    Attributes:
        occupied: (rows, 2 * rows), an obstacle is there.
        free: (rows, 2 * rows), floor was seen there and no obstacle.
    """

    occupied: _Map
    free: _Map


def costmap_from_points(points_m: NDArray[Any], ground: GroundPlane, settings: CostmapSettings) -> Costmap:
    """Mark the cells of a costmap.

    Args:
        points_m: (..., 3), metres, optical frame; NaN where there is none.
        ground: Where the floor is.
        settings: Heights, range and size of a cell.
    """
    points = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
    with np.errstate(invalid="ignore"):
        points = points[np.square(points).sum(axis=1) < settings.obstacle_max_range**2]  # no NaN
    forward, right = ground.horizontal_axes
    height = ground.height_above(points)
    count = int(np.ceil(settings.obstacle_max_range / settings.resolution))
    row = np.floor(points @ forward / settings.resolution).astype(np.int64)
    column = np.floor(points @ right / settings.resolution).astype(np.int64) + count
    inside = (row >= 0) & (row < count) & (column >= 0) & (column < 2 * count)
    is_obstacle = (height >= settings.min_obstacle_height) & (height <= settings.max_obstacle_height)
    is_floor = height < settings.min_obstacle_height
    occupied, floor = (np.zeros((count, 2 * count), dtype=np.bool_) for _ in range(2))
    occupied[row[inside & is_obstacle], column[inside & is_obstacle]] = True
    floor[row[inside & is_floor], column[inside & is_floor]] = True
    return Costmap(occupied, floor & ~occupied)


@dataclass(frozen=True)
class CostmapCounts:
    """How a costmap compares with the true one. Those of several frames add up.

    Attributes:
        frames: How many costmaps.
        predicted: Occupied cells.
        right: Of them, those within the tolerance of a true one.
        true: Truly occupied cells.
        found: Of them, those within the tolerance of a predicted one.
        free: Cells of true floor farther than the tolerance from every obstacle.
        blocked: Of them, those that are predicted as occupied.
        false_obstacles: Connected groups of these.
        obstacles: True obstacles (connected groups), by size: small, medium, large.
        missed: Of them, those of which less than half is found.
        with_nearest: Costmaps that have an obstacle in truth and in prediction.
        nearest_error_m: Sum over these of how far the distances to the nearest obstacle differ.
        cell_m2: Area of a cell, square metres.
    """

    frames: int = 0
    predicted: int = 0
    right: int = 0
    true: int = 0
    found: int = 0
    free: int = 0
    blocked: int = 0
    false_obstacles: int = 0
    obstacles: tuple[int, int, int] = (0, 0, 0)
    missed: tuple[int, int, int] = (0, 0, 0)
    with_nearest: int = 0
    nearest_error_m: float = 0.0
    cell_m2: float = 0.0

    def __add__(self, other: CostmapCounts) -> CostmapCounts:
        sums: dict[str, Any] = {}
        for field in fields(self):
            one, two = getattr(self, field.name), getattr(other, field.name)
            is_sized = isinstance(one, tuple)
            sums[field.name] = tuple(map(sum, zip(one, two, strict=True))) if is_sized else one + two
        sums["cell_m2"] = self.cell_m2 or other.cell_m2  # all are of one resolution
        return CostmapCounts(**sums)

    def scores(self) -> dict[str, float]:
        """Return what follows from the counts; NaN where nothing was counted.

        Returns:
            precision and recall of occupied cells, and their f1; false_per_m2, obstacles seen on free floor
            for each square metre of it; blocked, the share of free floor that they cover; missed_small,
            missed_medium and missed_large, shares of the true obstacles; nearest_error_m, mean absolute.
        """
        sized = zip(SIZES, self.missed, self.obstacles, strict=True)
        return {
            "precision": _share(self.right, self.predicted),
            "recall": _share(self.found, self.true),
            "f1": _f1(_share(self.right, self.predicted), _share(self.found, self.true)),
            "false_per_m2": _share(self.false_obstacles, self.free * self.cell_m2),
            "blocked": _share(self.blocked, self.free),
            **{f"missed_{size}": _share(missed, count) for size, missed, count in sized},
            "nearest_error_m": _share(self.nearest_error_m, self.with_nearest),
        }


def compare_costmaps(predicted: Costmap, true: Costmap, settings: CostmapSettings) -> CostmapCounts:
    """Compare a costmap with the true one.

    Raises:
        InvalidInputError: They are not of one size.
    """
    if predicted.occupied.shape != true.occupied.shape:
        raise InvalidInputError(
            f"expected costmaps of one size, got {predicted.occupied.shape} and {true.occupied.shape}"
        )
    near_true, near_predicted = (widened(one.occupied, settings) for one in (true, predicted))
    free = true.free & ~near_true
    blocked = predicted.occupied & free
    found = true.occupied & near_predicted
    obstacles, missed = _by_size(true.occupied, found, settings)
    nearest = [_nearest_m(one.occupied, settings) for one in (predicted, true)]
    has_nearest = bool(np.isfinite(nearest).all())
    return CostmapCounts(
        frames=1,
        predicted=int(predicted.occupied.sum()),
        right=int((predicted.occupied & near_true).sum()),
        true=int(true.occupied.sum()),
        found=int(found.sum()),
        free=int(free.sum()),
        blocked=int(blocked.sum()),
        false_obstacles=cv2.connectedComponents(blocked.astype(np.uint8), connectivity=8)[0] - 1,
        obstacles=obstacles,
        missed=missed,
        with_nearest=int(has_nearest),
        nearest_error_m=abs(nearest[0] - nearest[1]) if has_nearest else 0.0,
        cell_m2=settings.resolution**2,
    )


def widened(occupied: _Map, settings: CostmapSettings) -> _Map:
    """Return what lies within the tolerance of occupied cells, from centre to centre."""
    reach = int(settings.tolerance / settings.resolution + 1e-6)
    steps = np.arange(-reach, reach + 1)
    disc = (
        np.square(steps)[:, None] + np.square(steps) <= (settings.tolerance / settings.resolution) ** 2 + 1e-6
    )
    return np.asarray(cv2.dilate(occupied.astype(np.uint8), disc.astype(np.uint8)) > 0)


def _by_size(
    true: _Map, found: _Map, settings: CostmapSettings
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Count true obstacles, and those that were missed, by size."""
    # Where a sensor is sparse, cells of one obstacle lie a little apart.
    joined = cv2.dilate(true.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, label = cv2.connectedComponents(joined, connectivity=8)
    obstacles, missed = [0, 0, 0], [0, 0, 0]
    row, column = np.nonzero(true)
    for one in range(1, count):
        own = label[row, column] == one
        sides = [int(np.ptp(index[own])) + 1 for index in (row, column)]
        size = int(np.digitize(max(sides) * settings.resolution, SIZES_M))
        obstacles[size] += 1
        missed[size] += bool(found[row[own], column[own]].mean() < _FOUND_SHARE)
    return _three(obstacles), _three(missed)


def _nearest_m(occupied: _Map, settings: CostmapSettings) -> float:
    """Distance from below the camera to the centre of the nearest occupied cell, metres; infinite without."""
    row, column = np.nonzero(occupied)
    if len(row) == 0:
        return float("inf")
    ahead, aside = row + 0.5, column + 0.5 - occupied.shape[1] / 2
    return float(np.hypot(ahead, aside).min() * settings.resolution)


def _three(counts: Sequence[int]) -> tuple[int, int, int]:
    small, medium, large = counts
    return small, medium, large


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _f1(precision: float, recall: float) -> float:
    return _share(2 * precision * recall, precision + recall)
