"""What the matrices of a calibration may hold, so that no later arithmetic has to ask."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import numbers_from

_Matrix = NDArray[np.float64]

# A calibration beyond these describes no camera: K or P was left at the identity, or its numbers are broken.
_MOST_WIDTH = 120.0  # of the image in focal lengths: 179 degrees for a pinhole
_MOST_FOCAL_PX = 1e7
_MOST_FOCAL_RATIO = 10.0  # pixels binned 4 to 1 in one direction have 4
_MOST_OFF_AXIS = 6.0  # centre of the image from the axis, in focal lengths: a part cut out at 80 degrees
_POSE_TOLERANCE = 0.01  # numbers rounded to three digits are a pose
_MOST_SKEW = 0.1  # of fx: sides of the pixel grid that meet at 84 degrees


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """Return an image size (H, W) as integers.

    Raises:
        InvalidInputError: It is no pair of integers from 1 on.
    """
    try:
        height, width = (operator.index(length) for length in size)
    except (TypeError, ValueError):
        raise InvalidInputError(f"expected an image size (H, W), two integers, got {size}") from None
    if height < 1 or width < 1:
        raise InvalidInputError(f"expected an image size (H, W) of at least (1, 1), got {size}")
    return height, width


def checked_intrinsics(values: ArrayLike, name: str, size: tuple[int, int]) -> _Matrix:
    """Return [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], read-only.

    Args:
        values: (3, 3), pixels.
        name: For errors.
        size: (H, W) of the image.

    Raises:
        InvalidInputError: It has another form, or is that of no camera.
    """
    matrix = numbers_from(name, values, np.float64)
    if matrix.shape != (3, 3):
        raise InvalidInputError(f"expected {name} of shape (3, 3), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InvalidInputError(f"expected finite numbers in {name}, got {matrix.tolist()}")
    focal_px = matrix[0, 0], matrix[1, 1]
    if not min(focal_px) > 0:
        hint = "" if matrix.any() else ": the camera is not calibrated"
        raise InvalidInputError(
            f"expected positive focal lengths in {name}, got fx = {focal_px[0]}, fy = {focal_px[1]}{hint}"
        )
    if max(focal_px) > _MOST_FOCAL_PX or max(focal_px) > _MOST_FOCAL_RATIO * min(focal_px):
        raise InvalidInputError(
            f"expected focal lengths up to {_MOST_FOCAL_PX:g} pixels in {name}, one not over"
            f" {_MOST_FOCAL_RATIO:g} times the other, got fx = {focal_px[0]:g}, fy = {focal_px[1]:g}"
        )
    for axis, length in (("x", size[1]), ("y", size[0])):
        focal, centre = (matrix[0, 0], matrix[0, 2]) if axis == "x" else (matrix[1, 1], matrix[1, 2])
        if length > _MOST_WIDTH * focal or abs((length - 1) / 2 - centre) > _MOST_OFF_AXIS * focal:
            raise InvalidInputError(
                f"expected {name} to be that of a camera with {length} pixels along {axis},"
                f" got f{axis} = {focal:g}, c{axis} = {centre:g}"
            )
    plain = np.array([[matrix[0, 0], matrix[0, 1], matrix[0, 2]], [0, matrix[1, 1], matrix[1, 2]], [0, 0, 1]])
    form = np.abs(matrix - plain).max() <= 1e-6 * matrix[0, 0]
    if not form or abs(plain[0, 1]) > _MOST_SKEW * plain[0, 0]:
        raise InvalidInputError(
            f"expected {name} as [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], up to a small skew, got"
            f" {matrix.tolist()}"
        )
    plain.flags.writeable = False
    return plain


def checked_rotation(values: ArrayLike, name: str, tolerance: float = 1e-3) -> _Matrix:
    """Return a rotation (3, 3), read-only.

    Args:
        values: The matrix.
        name: For the error.
        tolerance: How far its columns may be from orthonormal.

    Raises:
        InvalidInputError: It is none.
    """
    matrix = numbers_from(name, values, np.float64)
    if (
        matrix.shape != (3, 3)
        or not (np.abs(matrix) < 1.01).all()  # False for NaN
        or not np.allclose(matrix @ matrix.T, np.eye(3), atol=tolerance)
        or np.linalg.det(matrix) < 0
    ):
        raise InvalidInputError(f"expected a rotation (3, 3) as {name}, got {matrix.tolist()}")
    matrix.flags.writeable = False
    return matrix


def checked_pose(values: ArrayLike, name: str) -> _Matrix:
    """Return the pose of a frame in another (4, 4), read-only.

    Raises:
        InvalidInputError: It is none: it stretches or mirrors, which would make other metres, or has its
            translation in the last row.
    """
    matrix = numbers_from(name, values, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InvalidInputError(f"expected a finite {name} (4, 4), got {matrix.shape} {matrix.tolist()}")
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
        raise InvalidInputError(f"expected 0, 0, 0, 1 as last row of {name}, got {matrix[3].tolist()}")
    checked_rotation(matrix[:3, :3], f"{name}[:3, :3]", _POSE_TOLERANCE)
    matrix.flags.writeable = False
    return matrix
