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
    three = points[rng.integers(len(points), size=(_TRIALS, 3))]
    normals = _normals(three) if down is None else np.tile(np.asarray(down, dtype=np.float64), (_TRIALS, 1))
    heights = np.einsum("nc,nc->n", three[:, 0], normals)
    is_plausible = (heights >= _HEIGHTS_M[0]) & (heights <= _HEIGHTS_M[1])
    is_plausible &= normals[:, 1] >= np.cos(np.deg2rad(_MOST_TILT_DEG))
    normals, heights = normals[is_plausible], heights[is_plausible]
    below = points @ normals.T - heights
    share = (np.abs(below) < limit[:, None]).mean(axis=0)
    share[(below > 2 * limit[:, None]).mean(axis=0) >= _MOST_BELOW] = 0
    if share.max(initial=0) <= _LEAST_SHARE:
        raise NoFloorError("no floor is in view: no plane below the camera has hardly any points below it")
    normal, height = normals[share.argmax()], heights[share.argmax()]
    on_plane = points[np.abs(points @ normal - height) < limit]
    if down is None:
        centre = on_plane.mean(axis=0)
        axis = np.linalg.svd(on_plane - centre, full_matrices=False)[2][2]
        normal = axis if axis @ normal > 0 else -axis
    return GroundPlane(normal, float(np.median(on_plane @ normal)))


def _normals(three: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit normals (T, 3), away from the camera, of the planes through three points each (T, 3, 3)."""
    normals = np.cross(three[:, 1] - three[:, 0], three[:, 2] - three[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 1e-9)
    away = np.einsum("nc,nc->n", normals, three[:, 0]) > 0
    return np.asarray(np.where(away[:, None], normals, -normals), dtype=np.float64)
