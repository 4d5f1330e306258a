"""Lens distortion in normalised image coordinates, x = X / Z and y = Y / Z of the optical frame.

The models and the order of their coefficients are those of ROS's CameraInfo, which are OpenCV's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import numbers_from


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
# Far beyond any lens (the rational model of a long one has thousands), and far from what overflows here.
_MOST_COEFFICIENT = 1e9
_BLOCK = 1 << 16  # rays at a time, so that intermediate results stay in the cache
_TABLE_STEPS = 4096
_MOST_STEPS = 12


def coefficients_from(values: ArrayLike) -> tuple[float, ...]:
    """Convert what a caller gave as distortion coefficients: a list, or a row or column as OpenCV has it.

    Raises:
        InvalidInputError: They are no list of numbers.
    """
    numbers = numbers_from("distortion D", values, np.float64)
    if numbers.size != max(numbers.shape, default=0):
        raise InvalidInputError(f"expected a list of numbers as distortion D, got shape {numbers.shape}")
    return tuple(numbers.ravel().tolist())


def check_coefficients(model: DistortionModel, coefficients: Sequence[float]) -> None:
    """Refuse coefficients that the model cannot have.

    Raises:
        InvalidInputError: The model is none, their number is wrong, or one is not finite or beyond 1e9, as
            no lens has it.
    """
    if not isinstance(model, DistortionModel):
        raise InvalidInputError(f"expected a DistortionModel, got {model!r}")
    counts = COEFFICIENT_COUNTS[model]
    if len(coefficients) not in counts:
        expected = " or ".join(str(count) for count in counts)
        name = model.value or "no distortion"
        raise InvalidInputError(f"expected {expected} coefficients for {name}, got {len(coefficients)}")
    if not all(math.isfinite(coefficient) for coefficient in coefficients):
        raise InvalidInputError(f"expected finite distortion coefficients, got {tuple(coefficients)}")
    if any(abs(coefficient) > _MOST_COEFFICIENT for coefficient in coefficients):
        raise InvalidInputError(
            f"expected distortion coefficients within +-{_MOST_COEFFICIENT:g}, got {tuple(coefficients)}"
        )


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
    bend = _Bend(model, coefficients)
    limit = largest_radius(model, coefficients)

    def bent(x: _Coordinates, y: _Coordinates) -> tuple[_Coordinates, _Coordinates]:
        x = np.where(np.hypot(x, y) < limit, x, np.nan)  # False for NaN
        return bend(x, y)

    return _by_blocks(bent, x, y)


def undistort(
    x: _Coordinates, y: _Coordinates, model: DistortionModel, coefficients: Sequence[float]
) -> tuple[_Coordinates, _Coordinates]:
    """Straighten rays: the inverse of `distort`.

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
    bend = _Bend(model, coefficients)
    last = min(math.atan(largest_radius(model, coefficients)), math.pi / 2) - 1e-9
    radii = np.tan(np.linspace(0, last, _TABLE_STEPS + 1))
    bent_radii = radii * bend.radial(radii)[0]

    def straight(x: _Coordinates, y: _Coordinates) -> tuple[_Coordinates, _Coordinates]:
        return _straightened(bend, x, y, (bent_radii, radii))

    x_ray, y_ray = _by_blocks(straight, x, y)
    # The iteration may end anywhere; only what leads back to its start counts.
    x_back, y_back = distort(x_ray, y_ray, model, coefficients)
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.hypot(x_back - x, y_back - y) < 1e-5
    return np.where(found, x_ray, np.nan), np.where(found, y_ray, np.nan)


class _Bend:
    """What a lens does to rays (N,), without looking where its model ends.

    Formulas: OpenCV's documentation of camera calibration, and of its fisheye model.
    """

    def __init__(self, model: DistortionModel, coefficients: Sequence[float]) -> None:
        self._is_fisheye = model is DistortionModel.EQUIDISTANT
        all_of_them = [*map(float, coefficients), *([0.0] * 14)]
        if self._is_fisheye:
            self._over: tuple[float, ...] = (1.0, *all_of_them[:4])  # polynomials of r^2, or of angle^2
            return
        self._over = (1.0, all_of_them[0], all_of_them[1], all_of_them[4])
        self._under = (1.0, *all_of_them[5:8])
        self._tangential = all_of_them[2:4]
        self._prism = all_of_them[8:12]
        self._tilt = _tilt(*all_of_them[12:14]) if any(all_of_them[12:14]) else None

    def __call__(self, x: _Coordinates, y: _Coordinates) -> tuple[_Coordinates, _Coordinates]:
        if self._is_fisheye:
            factor, _ = self.radial(np.hypot(x, y))
            return x * factor, y * factor
        s = x * x + y * y
        factor = _value(self._over, s) / _value(self._under, s)
        (p1, p2), (s1, s2, s3, s4) = self._tangential, self._prism
        xy = 2 * x * y
        x_bent = x * factor + p1 * xy + p2 * (s + 2 * x * x)
        y_bent = y * factor + p1 * (s + 2 * y * y) + p2 * xy
        if any(self._prism):
            x_bent += s * (s1 + s2 * s)
            y_bent += s * (s3 + s4 * s)
        if self._tilt is not None:
            x_bent, y_bent, w = (row[0] * x_bent + row[1] * y_bent + row[2] for row in self._tilt)
            x_bent, y_bent = x_bent / w, y_bent / w
        return x_bent, y_bent

    def radial(self, radius: _Coordinates) -> tuple[_Coordinates, _Coordinates]:
        """The factor by which the radial part moves a ray outwards, and the slope of the bent radius."""
        if self._is_fisheye:
            angle = np.arctan(radius)
            s = angle * angle
            over = _value(self._over, s)
            factor = np.where(radius > 0, over * angle / np.where(radius > 0, radius, 1), 1.0)
            return factor, (over + 2 * s * _slope(self._over, s)) / (1 + radius * radius)
        s = radius * radius
        over, under = _value(self._over, s), _value(self._under, s)
        change = _slope(self._over, s) * under - over * _slope(self._under, s)
        return over / under, (over * under + 2 * s * change) / (under * under)


def _straightened(
    bend: _Bend, x: _Coordinates, y: _Coordinates, table: tuple[_Coordinates, _Coordinates]
) -> tuple[_Coordinates, _Coordinates]:
    """Solve bend(ray) = (x, y) by Newton's method with the derivative of the radial part alone.

    The other parts are small: each step takes an error down by about their size. The table of bent and
    straight radii gives a start so near that no step leaves the part where the model holds.
    """
    radius = np.hypot(x, y)
    start = np.where(radius > 0, np.interp(radius, *table) / np.where(radius > 0, radius, 1), 1.0)
    x_ray, y_ray = x * start, y * start
    for _ in range(_MOST_STEPS):
        x_bent, y_bent = bend(x_ray, y_ray)
        x_error, y_error = x - x_bent, y - y_bent
        if not ((np.abs(x_error) > 1e-12) | (np.abs(y_error) > 1e-12)).any():
            break
        s = x_ray * x_ray + y_ray * y_ray
        factor, slope = bend.radial(np.sqrt(s))
        along = np.where(s > 0, (x_error * x_ray + y_error * y_ray) / np.where(s > 0, s, 1), 0.0)
        outwards = along / slope - along / factor
        x_ray, y_ray = (
            x_ray + x_error / factor + outwards * x_ray,
            y_ray + y_error / factor + outwards * y_ray,
        )
    return x_ray, y_ray


def _by_blocks(
    change: Callable[[_Coordinates, _Coordinates], tuple[_Coordinates, _Coordinates]],
    x: _Coordinates,
    y: _Coordinates,
) -> tuple[_Coordinates, _Coordinates]:
    """Apply `change` to rays (N,) block by block, in float64. What overflows is for the caller to find."""
    changed = np.empty((2, x.size))
    with np.errstate(all="ignore"):
        for start in range(0, x.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            changed[:, block] = change(x[block].astype(np.float64), y[block].astype(np.float64))
    return changed[0], changed[1]


def _value(polynomial: Sequence[float], s: _Coordinates) -> _Coordinates:
    """Evaluate a cubic or quartic of s whose coefficients come from low to high."""
    value = np.full_like(s, polynomial[-1])
    for coefficient in reversed(polynomial[:-1]):
        value *= s
        value += coefficient
    return value


def _slope(polynomial: Sequence[float], s: _Coordinates) -> _Coordinates:
    return _value([power * polynomial[power] for power in range(1, len(polynomial))], s)


def _tilt(tau_x: float, tau_y: float) -> NDArray[np.float64]:
    """Homography (3, 3) of a sensor that is turned by these angles about x, then y (Scheimpflug)."""
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(tau_x), math.sin(tau_x)], [0, -math.sin(tau_x), math.cos(tau_x)]]
    )
    about_y = np.array(
        [[math.cos(tau_y), 0, -math.sin(tau_y)], [0, 1, 0], [math.sin(tau_y), 0, math.cos(tau_y)]]
    )
    turn = about_y @ about_x
    onto_sensor = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
    return np.asarray(onto_sensor @ turn)


def _first_positive_root(polynomial: np.polynomial.Polynomial) -> float:
    """The least positive root of a polynomial that is 1 at 0; inf without one.

    Found as the inverse of the largest root of the reversed polynomial, whose leading coefficient is that 1:
    no coefficient can be too small to divide by.
    """
    inverse = np.roots(polynomial.coef)
    real = inverse.real[(np.abs(inverse.imag) <= 1e-9 * np.abs(inverse.real)) & (inverse.real > 0)]
    return 1 / float(real.max()) if real.size else math.inf
