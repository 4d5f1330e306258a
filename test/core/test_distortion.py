"""Distortion follows the formulas, and does not fold what lies outside of the view into it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.distortion import (
    COEFFICIENT_COUNTS,
    DistortionModel,
    check_coefficients,
    distort,
    largest_radius,
    undistort,
)
from e2e_depth_ros.core.errors import InvalidInputError

PLUMB_BOB = (-0.28, 0.09, 0.0012, -0.0007, -0.011)
RATIONAL = (0.5, -0.2, 0.001, -0.0005, 0.03, 0.8, -0.1, 0.02)
PRISM = (*RATIONAL, 0.001, -0.0002, 0.0007, 0.0001)
TILTED = (*PRISM, 0.01, -0.02)
FISHEYE = (0.02, -0.01, 0.003, -0.001)
LENSES = [
    (DistortionModel.NONE, ()),
    (DistortionModel.PLUMB_BOB, PLUMB_BOB[:4]),
    (DistortionModel.PLUMB_BOB, PLUMB_BOB),
    (DistortionModel.RATIONAL_POLYNOMIAL, RATIONAL),
    (DistortionModel.RATIONAL_POLYNOMIAL, PRISM),
    (DistortionModel.RATIONAL_POLYNOMIAL, TILTED),
    (DistortionModel.EQUIDISTANT, FISHEYE),
]

x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-0.7, 0.6, 27), np.linspace(-0.4, 0.5, 19)))


def test_plumb_bob_is_brown_conrady() -> None:
    k1, k2, p1, p2, k3 = PLUMB_BOB
    s = x**2 + y**2
    radial = 1 + k1 * s + k2 * s**2 + k3 * s**3
    x_bent, y_bent = distort(x, y, DistortionModel.PLUMB_BOB, PLUMB_BOB)
    np.testing.assert_allclose(x_bent, x * radial + 2 * p1 * x * y + p2 * (s + 2 * x**2), atol=1e-12)
    np.testing.assert_allclose(y_bent, y * radial + p1 * (s + 2 * y**2) + 2 * p2 * x * y, atol=1e-12)


def test_rational_polynomial_divides() -> None:
    k1, k2, p1, p2, k3, k4, k5, k6 = RATIONAL
    s = x**2 + y**2
    radial = (1 + k1 * s + k2 * s**2 + k3 * s**3) / (1 + k4 * s + k5 * s**2 + k6 * s**3)
    x_bent, y_bent = distort(x, y, DistortionModel.RATIONAL_POLYNOMIAL, RATIONAL)
    np.testing.assert_allclose(x_bent, x * radial + 2 * p1 * x * y + p2 * (s + 2 * x**2), atol=1e-12)
    np.testing.assert_allclose(y_bent, y * radial + p1 * (s + 2 * y**2) + 2 * p2 * x * y, atol=1e-12)


def test_equidistant_grows_with_the_angle() -> None:
    k1, k2, k3, k4 = FISHEYE
    angle = math.radians(80)
    bent_angle = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
    direction = np.array([0.6, -0.8])
    x_ray, y_ray = np.tan(angle) * direction[:, None]
    x_bent, y_bent = distort(x_ray, y_ray, DistortionModel.EQUIDISTANT, FISHEYE)
    np.testing.assert_allclose([x_bent[0], y_bent[0]], bent_angle * direction, atol=1e-9)


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_undistort_is_the_inverse(model: DistortionModel, coefficients: tuple[float, ...]) -> None:
    x_back, y_back = undistort(*distort(x, y, model, coefficients), model, coefficients)
    np.testing.assert_allclose(x_back, x, atol=1e-6)
    np.testing.assert_allclose(y_back, y, atol=1e-6)


@pytest.mark.parametrize(("model", "coefficients"), LENSES[1:])
def test_agrees_with_opencv(model: DistortionModel, coefficients: tuple[float, ...]) -> None:
    """With other focal lengths in x and y, and a principal point off the middle; forwards and back."""
    K = np.array([[301.0, 0, 155.25], [0, 187.0, 98.5], [0, 0, 1]])
    room = cv2.fisheye if model is DistortionModel.EQUIDISTANT else cv2
    rays, zero, known = (
        np.stack([x, y, np.ones_like(x)], axis=-1)[:, None],
        np.zeros(3),
        np.array(coefficients),
    )
    pixels, _ = room.projectPoints(rays, zero, zero, K, known)
    x_bent, y_bent = distort(x, y, model, coefficients)
    np.testing.assert_allclose(301 * x_bent + 155.25, pixels[:, 0, 0], atol=1e-9)
    np.testing.assert_allclose(187 * y_bent + 98.5, pixels[:, 0, 1], atol=1e-9)
    bent = (pixels[:, 0] - (155.25, 98.5)) / (301, 187)
    x_ray, y_ray = undistort(bent[:, 0], bent[:, 1], model, coefficients)
    # OpenCV's own inverse takes a few steps by default, and errs more than this one.
    expected = room.undistortPoints(pixels, K, known)[:, 0].T
    np.testing.assert_allclose([x_ray, y_ray], [x, y], atol=1e-9)
    np.testing.assert_allclose([x_ray, y_ray], expected, atol=2e-3)


def test_a_fisheye_sees_up_to_90_degrees() -> None:
    """Also where its bent radius exceeds 90 degrees, which is where OpenCV's inverse gives up."""
    angle = np.radians([0.0, 1.0, 60.0, 85.0, 89.0])
    bent = angle * (1 + 0.2 * angle**2)
    assert bent[-1] > math.pi / 2
    x_ray, y_ray = undistort(0.6 * bent, -0.8 * bent, DistortionModel.EQUIDISTANT, (0.2, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(x_ray, 0.6 * np.tan(angle), rtol=1e-6)
    np.testing.assert_allclose(y_ray, -0.8 * np.tan(angle), rtol=1e-6)
    beyond = undistort(np.array([2.5]), np.array([0.0]), DistortionModel.EQUIDISTANT, (0.2, 0.0, 0.0, 0.0))
    assert np.isnan(beyond).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", [model for model, _ in LENSES[1:]])
def test_any_coefficients_give_numbers_or_nan(model: DistortionModel) -> None:
    rng = np.random.default_rng(3)
    count = max(COEFFICIENT_COUNTS[model])
    far = np.array([0.0, 1e-320, 1e-9, 0.3, 120.0, 1e9, 1e300, np.inf, np.nan])
    for _ in range(200):
        size = 10.0 ** rng.choice([-320, -12, -1, 0, 2, 5, 9], count)
        coefficients = tuple((rng.uniform(-1, 1, count) * size * (rng.random(count) < 0.7)).tolist())
        check_coefficients(model, coefficients)
        assert largest_radius(model, coefficients) > 0
        for change in (distort, undistort):
            found = change(far, far[::-1].copy(), model, coefficients)
            assert found[0].shape == far.shape
        ray = undistort(x, y, model, coefficients)
        known = np.isfinite(ray[0])
        back = distort(ray[0][known], ray[1][known], model, coefficients)
        np.testing.assert_allclose(back, [x[known], y[known]], atol=1e-5)


def test_undistort_says_where_no_ray_leads() -> None:
    """This lens reaches an image radius of 2 / 3 * sqrt(1 / 0.9) = 0.703 and no more."""
    radius = np.array([0.3, 0.69, 0.71, 0.75, 0.8, 0.9, 1.0, 2.0])
    x_ray, y_ray = undistort(0.6 * radius, 0.8 * radius, DistortionModel.PLUMB_BOB, (-0.3, 0, 0, 0))
    assert np.isfinite(x_ray).tolist() == [True] * 2 + [False] * 6
    assert np.isfinite(y_ray).tolist() == [True] * 2 + [False] * 6


def test_points_beyond_the_fold_are_not_in_the_image() -> None:
    """With k1 = -0.3 alone, r (1 - 0.3 r^2) turns back at r = sqrt(1 / 0.9)."""
    coefficients = (-0.3, 0.0, 0.0, 0.0)
    limit = largest_radius(DistortionModel.PLUMB_BOB, coefficients)
    assert limit == pytest.approx(math.sqrt(1 / 0.9))
    radius = np.array([0.0, 0.9 * limit, 1.01 * limit, math.sqrt(1 / 0.3), 50.0, np.nan])
    x_bent, y_bent = distort(radius, 0 * radius, DistortionModel.PLUMB_BOB, coefficients)
    assert np.isnan(x_bent).tolist() == [False, False, True, True, True, True]
    assert np.isnan(y_bent).tolist() == [False, False, True, True, True, True]


def test_largest_radius_of_each_model() -> None:
    assert largest_radius(DistortionModel.NONE, ()) == math.inf
    assert largest_radius(DistortionModel.PLUMB_BOB, (0.1, 0.01, 0.0, 0.0)) == math.inf
    # theta (1 - 0.3 theta^2) turns back at theta = sqrt(1 / 0.9) = 60.4 degrees.
    fisheye = largest_radius(DistortionModel.EQUIDISTANT, (-0.3, 0.0, 0.0, 0.0))
    assert fisheye == pytest.approx(math.tan(math.sqrt(1 / 0.9)))
    assert largest_radius(DistortionModel.EQUIDISTANT, (0.0, 0.0, 0.0, 0.0)) == math.inf
    # r / (1 + r^2) turns back at 1; r / (1 - r^2 / 4) has its pole at 2.
    rational = DistortionModel.RATIONAL_POLYNOMIAL
    assert largest_radius(rational, (0, 0, 0, 0, 0, 1.0, 0, 0)) == pytest.approx(1.0)
    assert largest_radius(rational, (0, 0, 0, 0, 0, -0.25, 0, 0)) == pytest.approx(2.0)
    # A coefficient too small to divide by.
    assert largest_radius(DistortionModel.PLUMB_BOB, (-0.3, 0, 0, 0, 1e-320)) == pytest.approx(
        math.sqrt(1 / 0.9)
    )


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_takes_no_points(model: DistortionModel, coefficients: tuple[float, ...]) -> None:
    nothing = np.empty(0)
    assert distort(nothing, nothing, model, coefficients)[0].shape == (0,)
    assert undistort(nothing, nothing, model, coefficients)[1].shape == (0,)


def test_refuses_impossible_coefficients() -> None:
    with pytest.raises(InvalidInputError, match="expected 4 or 5 coefficients for plumb_bob, got 3"):
        check_coefficients(DistortionModel.PLUMB_BOB, (0.1, 0.2, 0.3))
    with pytest.raises(InvalidInputError, match=r"expected 8 or 12 or 14 .* got 5"):
        check_coefficients(DistortionModel.RATIONAL_POLYNOMIAL, PLUMB_BOB)
    with pytest.raises(InvalidInputError, match="expected 0 coefficients for no distortion, got 4"):
        check_coefficients(DistortionModel.NONE, (0.0, 0.0, 0.0, 0.0))
    with pytest.raises(InvalidInputError, match=r"within \+-1e\+09, got \(1e\+308"):
        check_coefficients(DistortionModel.PLUMB_BOB, (1e308, 0.0, 0.0, 0.0))
    with pytest.raises(InvalidInputError, match=r"finite.*nan"):
        check_coefficients(DistortionModel.EQUIDISTANT, (0.1, math.nan, 0.0, 0.0))
