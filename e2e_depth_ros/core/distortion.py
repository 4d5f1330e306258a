"""Lens distortion in normalised image coordinates, x = X / Z and y = Y / Z of the optical frame.

The models and the order of their coefficients are those of ROS's CameraInfo, which are OpenCV's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError


class DistortionModel(Enum):
    """How a lens bends its rays. The values are the names that ROS's CameraInfo uses."""

    NONE = ""
    """A pinhole."""
    PLUMB_BOB = "plumb_bob"
    """Brown-Conrady: k1, k2, p1, p2[, k3]."""
    RATIONAL_POLYNOMIAL = "rational_polynomial"
    """k1, k2, p1, p2, k3, k4, k5, k6[, s1..s4 (thin prism)[, tau_x, tau_y (tilted sensor)]]."""
    EQUIDISTANT = "equidistant"
    """Fisheye (Kannala-Brandt): k1..k4; the image radius grows with the angle, not with its tangent."""


COEFFICIENT_COUNTS: dict[DistortionModel, tuple[int, ...]] = {
    DistortionModel.NONE: (0,),
    DistortionModel.PLUMB_BOB: (4, 5),
    DistortionModel.RATIONAL_POLYNOMIAL: (8, 12, 14),
    DistortionModel.EQUIDISTANT: (4,),
}

_Coordinates = NDArray[Any]
_IDENTITY = np.eye(3)


def check_coefficients(model: DistortionModel, coefficients: Sequence[float]) -> None:
    """Refuse coefficients that the model cannot have.

    Raises:
        InvalidInputError: Their number is wrong or one is not finite.
    """
    counts = COEFFICIENT_COUNTS[model]
    if len(coefficients) not in counts:
        expected = " or ".join(str(count) for count in counts)
        name = model.value or "no distortion"
        raise InvalidInputError(f"expected {expected} coefficients for {name}, got {len(coefficients)}")
    if not all(math.isfinite(coefficient) for coefficient in coefficients):
        raise InvalidInputError(f"expected finite distortion coefficients, got {tuple(coefficients)}")


def largest_radius(model: DistortionModel, coefficients: Sequence[float]) -> float:
    """Find how far from the axis the model still describes a lens.

    Beyond some radius the polynomials turn back and would fold points from far outside of the view into
    the image. This is the first radius where the radial part stops to grow.

    Returns:
        Radius sqrt(x^2 + y^2) in undistorted normalised coordinates, the tangent of the angle to the axis;
        inf where the model never folds.
    """
    polynomial = np.polynomial.Polynomial
    if model is DistortionModel.NONE:
        return math.inf
    if model is DistortionModel.EQUIDISTANT:
        # theta_d = theta (1 + k1 s + .. + k4 s^4) with s = theta^2
        slope = polynomial([1, *((2 * i + 3) * k for i, k in enumerate(coefficients))])
        angle = math.sqrt(_first_positive_root(slope))
        return math.tan(angle) if angle < math.pi / 2 else math.inf
    # r_d = r N(s) / D(s) with s = r^2; its slope has the sign of (N + 2 s N') D - 2 s N D'
    padded = [*coefficients, 0.0, 0.0, 0.0, 0.0]
    s = polynomial([0, 1])
    numerator = polynomial([1, padded[0], padded[1], padded[4]])
    denominator = polynomial([1, *padded[5:8]]) if len(coefficients) >= 8 else polynomial([1])
    slope = (numerator + 2 * s * numerator.deriv()) * denominator - 2 * s * numerator * denominator.deriv()
    return math.sqrt(min(_first_positive_root(slope), _first_positive_root(denominator)))


def distort(
    x: _Coordinates, y: _Coordinates, model: DistortionModel, coefficients: Sequence[float]
) -> tuple[_Coordinates, _Coordinates]:
    """Bend rays as the lens does.

    Args:
        x: (N,), normalised coordinates of the ray.
        y: (N,), likewise.
        model: The lens.
        coefficients: Its coefficients.

    Returns:
        Distorted normalised coordinates (N,), (N,); NaN where the model folds, see `largest_radius`.
    """
    if model is DistortionModel.NONE or x.size == 0:
        return x, y
    inside = np.hypot(x, y) < largest_radius(model, coefficients)  # False for NaN
    rays = np.stack([x, y, np.ones_like(x)], axis=-1, dtype=np.float64)[:, None]  # [N,1,3]
    rays[~inside] = (0.0, 0.0, 1.0)
    zero = np.zeros(3)
    bent: NDArray[Any]
    if model is DistortionModel.EQUIDISTANT:
        bent, _ = cv2.fisheye.projectPoints(rays, zero, zero, _IDENTITY, np.asarray(coefficients))
    else:
        bent, _ = cv2.projectPoints(rays, zero, zero, _IDENTITY, np.asarray(coefficients))
    return np.where(inside, bent[:, 0, 0], np.nan), np.where(inside, bent[:, 0, 1], np.nan)


def undistort(
    x: _Coordinates, y: _Coordinates, model: DistortionModel, coefficients: Sequence[float]
) -> tuple[_Coordinates, _Coordinates]:
    """Straighten rays: the inverse of `distort`, found by iteration.

    Args:
        x: (N,), distorted normalised coordinates.
        y: (N,), likewise.
        model: The lens.
        coefficients: Its coefficients.

    Returns:
        Normalised coordinates (N,), (N,); NaN where no ray in front of the camera leads there.
    """
    if model is DistortionModel.NONE or x.size == 0:
        return x, y
    bent = np.stack([x, y], axis=-1)[:, None]  # [N,1,2]
    known = np.asarray(coefficients)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    if model is DistortionModel.EQUIDISTANT:
        rays = cv2.fisheye.undistortPoints(bent, _IDENTITY, known, criteria=stop)
    else:
        rays = cv2.undistortPointsIter(bent, _IDENTITY, known, _IDENTITY, _IDENTITY, stop)
    x_ray, y_ray = rays[:, 0, 0].astype(np.float64), rays[:, 0, 1].astype(np.float64)
    # The iteration may end anywhere, or at -1e6 for the fisheye; only what leads back to its start counts.
    x_back, y_back = distort(x_ray, y_ray, model, coefficients)
    found = np.hypot(x_back - x, y_back - y) < 1e-5
    return np.where(found, x_ray, np.nan), np.where(found, y_ray, np.nan)


def _first_positive_root(polynomial: np.polynomial.Polynomial) -> float:
    roots = polynomial.trim().roots()
    real = roots.real[(np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots.real))) & (roots.real > 0)]
    return float(real.min()) if real.size else math.inf
