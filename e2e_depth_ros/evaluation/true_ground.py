"""Where the floor of a measured scene is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ground_plane import GroundPlane

_POINTS: Final = 2000  # looked at
_LEAST_POINTS: Final = 100
_TRIALS: Final = 1500
_THICKNESS: Final = (0.02, 0.01)  # metres, and per metre of distance: how far from its plane a floor may be
_LEAST_SHARE: Final = 0.05  # of the points, on the floor
_MOST_BELOW: Final = 0.02  # of the points, below it: a table is no floor
_MOST_TILT_DEG: Final = 60.0  # of the floor against the image's vertical
_HEIGHTS_M: Final = (0.1, 4.0)  # of cameras


class NoFloorError(InvalidInputError):
    """There is no floor in view."""


def find_true_ground(
    points_m: NDArray[Any], *, down: NDArray[Any] | None = None, seed: int = 0
) -> GroundPlane:
    """Find the floor of a measured scene: the plane with most points that has hardly any below it.

    Args:
        points_m: (N, 3), metres, optical frame.
        down: (3,), direction of the floor where the camera's pose tells it.
        seed: Of the random trials (RANSAC, Fischler and Bolles 1981).

    Raises:
        NoFloorError: There is no floor in view.
    """
    rng = np.random.default_rng(seed)
    points = np.asarray(points_m, dtype=np.float64)
    if len(points) < _LEAST_POINTS:
        raise NoFloorError(f"no floor is in view: {len(points)} points")
    points = rng.choice(points, min(_POINTS, len(points)), replace=False)
    limit = _THICKNESS[0] + _THICKNESS[1] * np.linalg.norm(points, axis=1)
    best, most = None, _LEAST_SHARE
    for _ in range(_TRIALS):
        three = points[rng.integers(len(points), size=3)]
        normal = _normal(three) if down is None else np.asarray(down, dtype=np.float64)
        height = float(three[0] @ normal)
        if not _HEIGHTS_M[0] <= height <= _HEIGHTS_M[1] or _tilt_deg(normal) > _MOST_TILT_DEG:
            continue
        below = points @ normal - height
        share = float((np.abs(below) < limit).mean())
        if share > most and float((below > 2 * limit).mean()) < _MOST_BELOW:
            best, most = (normal, height), share
    if best is None:
        raise NoFloorError("no floor is in view: no plane below the camera has hardly any points below it")
    normal, height = best
    on_plane = points[np.abs(points @ normal - height) < limit]
    if down is None:
        centre = on_plane.mean(axis=0)
        axis = np.linalg.svd(on_plane - centre, full_matrices=False)[2][2]
        normal = axis if axis @ normal > 0 else -axis
    return GroundPlane(normal, float(np.median(on_plane @ normal)))


def _normal(three: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit normal of the plane through three points, away from the camera; zero where they are on a line."""
    normal = np.cross(three[1] - three[0], three[2] - three[0])
    length = float(np.linalg.norm(normal))
    if length < 1e-9:
        return np.zeros(3)
    return np.asarray(normal / length if normal @ three[0] > 0 else -normal / length, dtype=np.float64)


def _tilt_deg(normal: NDArray[np.float64]) -> float:
    return float(np.rad2deg(np.arccos(np.clip(normal[1], -1, 1))))
