"""The floor as a plane before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

_STRAIGHT_DOWN = 1e-3  # length of the optical axis along the floor, below which it says nothing of ahead


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The floor that a camera stands on.

    Convention:
        Optical frame (REP 103): x right, y down, z forward. Points P of the floor hold down . P = height_m.

    Attributes:
        down: (3,), float64, unit vector towards the floor.
        height_m: Of the camera above it, metres.

    Raises:
        InvalidInputError: `down` is no direction, or the camera is not above the floor.
    """

    down: NDArray[np.float64]
    height_m: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.height_m) and self.height_m > 0):
            raise InvalidInputError(f"expected a camera above the floor, got a height of {self.height_m} m")
        object.__setattr__(self, "down", unit_direction(self.down))

    @property
    def horizontal_axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Unit vectors (3,) along the floor: ahead, and to the right."""
        ahead = np.array([0.0, 0.0, 1.0])
        ahead = ahead - (ahead @ self.down) * self.down
        if np.linalg.norm(ahead) < _STRAIGHT_DOWN:  # then ahead is up in the image
            ahead = np.array([0.0, -1.0, 0.0])
            ahead = ahead - (ahead @ self.down) * self.down
        ahead = ahead / np.linalg.norm(ahead)
        return ahead, np.cross(self.down, ahead)

    def height_above(self, points_m: NDArray[Any]) -> NDArray[np.float64]:
        """Return how far points (..., 3) are above the floor, (...), metres."""
        return np.asarray(self.height_m - points_m @ self.down, dtype=np.float64)


def unit_direction(direction: NDArray[Any]) -> NDArray[np.float64]:
    """Return a direction (3,) at length 1.

    Raises:
        InvalidInputError: It has another shape, is not finite, or has no length.
    """
    vector = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else float("nan")
    if not (np.isfinite(length) and length > 1e-9):
        raise InvalidInputError(f"expected a direction of shape (3,), got {vector.tolist()}")
    return np.asarray(vector / length, dtype=np.float64)
