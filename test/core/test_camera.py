"""Cameras: conventions of pixels, resizing and cropping, and what is refused at the door."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import InvalidInputError

SIZE = (240, 320)
K = np.array([[301.0, 0, 155.25], [0, 287.0, 118.5], [0, 0, 1]])
LENSES = {
    "": (),
    "plumb_bob": (-0.28, 0.09, 0.0012, -0.0007, -0.011),
    "rational_polynomial": (0.5, -0.2, 0.001, -0.0005, 0.03, 0.8, -0.1, 0.02),
    "equidistant": (0.02, -0.01, 0.003, -0.001),
}


def lens(model: str) -> Camera:
    return Camera.from_calibration(SIZE, K.ravel(), model, LENSES[model])


def random_points(count: int = 500) -> NDArray[np.float64]:
    points = np.random.default_rng(0).uniform([-1, -0.7, 1.5], [1.1, 0.8, 4], (count, 3))
    assert (points[:, 2] > 0).all()
    return points


def test_convention_axes_and_pixel_centres() -> None:
    camera = Camera(SIZE, K)
    u, v = camera.project(
        np.array([[0, 0, 2.0], [1.0, 0, 2], [0, 1.0, 2], [1, 1, 0], [1, 1, -2], [np.nan, 0, 1]])
    )
    np.testing.assert_allclose(u[:3], [155.25, 155.25 + 301 / 2, 155.25])
    np.testing.assert_allclose(v[:3], [118.5, 118.5, 118.5 + 287 / 2])
    assert np.isnan(u[3:]).all()
    assert np.isnan(v[3:5]).all()
    x, y = camera.normalized_from_pixels([0.0], [0.0])
    np.testing.assert_allclose([x[0], y[0]], [-155.25 / 301, -118.5 / 287])


@pytest.mark.parametrize("model", LENSES)
def test_pixels_and_rays_are_inverse(model: str) -> None:
    camera, points = lens(model), random_points()
    x, y = camera.normalized_from_pixels(*camera.project(points))
    np.testing.assert_allclose(x, points[:, 0] / points[:, 2], atol=1e-6)
    np.testing.assert_allclose(y, points[:, 1] / points[:, 2], atol=1e-6)


@pytest.mark.parametrize("model", LENSES)
def test_grid_holds_the_ray_of_each_pixel(model: str) -> None:
    camera = lens(model)
    x, y = np.broadcast_arrays(*camera.normalized_grid)
    assert x.shape == y.shape == SIZE
    assert x.dtype == y.dtype == np.float32
    u, v = camera.project(np.stack([x[7, 300], y[7, 300], 1.0])[None] * 3.0)
    np.testing.assert_allclose([u[0], v[0]], [300, 7], atol=1e-3)
    assert camera.normalized_grid is camera.normalized_grid


@pytest.mark.parametrize("model", LENSES)
def test_project_keeps_the_precision_of_its_points(model: str) -> None:
    camera, points = lens(model), random_points()
    exact = camera.project(points)
    coarse = camera.project(points.astype(np.float32))
    assert exact[0].dtype == np.float64
    assert coarse[0].dtype == coarse[1].dtype == np.float32
    np.testing.assert_allclose(coarse, exact, atol=2e-3)
    assert camera.project(np.array([[0, 0, 1]]))[0].tolist() == [155.25]
    assert camera.project(np.empty((0, 3)))[0].shape == (0,)


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
@pytest.mark.parametrize("size", [(120, 160), (96, 160), (480, 641), (37, 111)])
def test_convention_resizing_keeps_borders_aligned(model: str, size: tuple[int, int]) -> None:
    camera, points = lens(model), random_points()
    resized = camera.resized(size)
    assert resized.size == size
    u, v = camera.project(points)
    u_resized, v_resized = resized.project(points)
    np.testing.assert_allclose(u_resized, (u + 0.5) * size[1] / 320 - 0.5, atol=1e-9)
    np.testing.assert_allclose(v_resized, (v + 0.5) * size[0] / 240 - 0.5, atol=1e-9)


@pytest.mark.parametrize("model", LENSES)
def test_skew_moves_columns_and_rectified_cameras_have_none(model: str) -> None:
    skewed, points = (
        Camera.from_calibration(SIZE, with_entry(0, 1, 1.5).ravel(), model, LENSES[model]),
        random_points(),
    )
    (u, v), (u_plain, v_plain) = skewed.project(points), lens(model).project(points)
    np.testing.assert_allclose(u, u_plain + 1.5 * (v_plain - 118.5) / 287, atol=1e-9)
    np.testing.assert_array_equal(v, v_plain)
    np.testing.assert_allclose(skewed.normalized_from_pixels(u, v), points.T[:2] / points.T[2], atol=1e-6)
    assert skewed.is_distorted
    assert not skewed.is_rectified
    assert skewed.rectified().skew == 0
    # A corner of the image, half a pixel out: 121.5 rows below the principal point.
    assert skewed.rectified_skew_px == pytest.approx(1.5 * 121.5 / 287, abs=0.003)
    half = skewed.resized((120, 160))
    assert (half.skew, half.rectified_skew_px) == pytest.approx((0.75, skewed.rectified_skew_px / 2))


def test_skew_is_that_of_opencvs_fisheye() -> None:
    skewed = Camera.from_calibration(
        SIZE, with_entry(0, 1, 1.5).ravel(), "equidistant", LENSES["equidistant"]
    )
    points = random_points()
    known, zero = np.array(LENSES["equidistant"]), np.zeros(3)
    expected, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, K, known, alpha=1.5 / 301)
    np.testing.assert_allclose(np.stack(skewed.project(points), axis=-1), expected[:, 0], atol=1e-9)


def test_convention_resizing_agrees_with_resized_images() -> None:
    """A spot in the image moves to where the resized camera says."""
    camera = Camera(SIZE, K)
    point = np.array([[0.61, 0.52, 2.0]])
    u, v = camera.project(point)
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    spot = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 12**2)).astype(np.float32)
    resized = cv2.resize(spot, (80, 48), interpolation=cv2.INTER_AREA)
    columns, rows = np.meshgrid(np.arange(80), np.arange(48))
    centre = [(columns * resized).sum() / resized.sum(), (rows * resized).sum() / resized.sum()]
    np.testing.assert_allclose(centre, np.ravel(camera.resized((48, 80)).project(point)), atol=0.02)


def test_resizing_scales_k_and_p_and_comes_back() -> None:
    P = [290, 0, 150, -29, 0, 280, 110, 0, 0, 0, 1, 0]
    camera = Camera.from_calibration(SIZE, K.ravel(), "plumb_bob", LENSES["plumb_bob"], np.eye(3).ravel(), P)
    half = camera.resized((120, 160))
    np.testing.assert_allclose(half.intrinsics, [[150.5, 0, 77.375], [0, 143.5, 59.0], [0, 0, 1]])
    assert half.projection is not None
    np.testing.assert_allclose(half.projection, [[145, 0, 74.75], [0, 140, 54.75], [0, 0, 1]])
    assert half.distortion == camera.distortion
    np.testing.assert_allclose(half.resized(SIZE).intrinsics, K)
    assert camera.resized(SIZE) is camera


def test_cropping_shifts_k_and_p() -> None:
    camera, points = lens("plumb_bob"), random_points()
    part = camera.cropped(30, 50, (100, 120))
    assert part.size == (100, 120)
    np.testing.assert_allclose(np.add(part.project(points), [[50], [30]]), camera.project(points))
    np.testing.assert_allclose(part.rectified().intrinsics, [[301, 0, 105.25], [0, 287, 88.5], [0, 0, 1]])
    for top, left, size in [(-1, 0, (5, 5)), (0, -1, (5, 5)), (200, 0, (41, 5)), (0, 300, (5, 21))]:
        with pytest.raises(InvalidInputError, match="part within"):
            camera.cropped(top, left, size)


def test_rectified_is_a_pinhole_with_the_intrinsics_of_p() -> None:
    P = [290, 0, 150, -29, 0, 280, 110, 0, 0, 0, 1, 0]
    camera = Camera.from_calibration(SIZE, K.ravel(), "equidistant", LENSES["equidistant"], None, P)
    assert camera.is_distorted
    assert not camera.is_rectified
    rectified = camera.rectified()
    assert rectified.is_rectified
    assert not rectified.is_distorted
    assert (rectified.fx, rectified.fy, rectified.cx, rectified.cy) == (290, 280, 150, 110)
    assert rectified.rectified() is rectified
    assert not Camera.from_calibration(SIZE, K.ravel(), "", (), None, P).is_rectified
    assert not Camera(SIZE, K, rectification=cv2.Rodrigues(np.array([0, 0.02, 0]))[0]).is_rectified


def test_what_drivers_leave_empty_counts_as_not_given() -> None:
    zeros = [0.0] * 12
    camera = Camera.from_calibration(SIZE, K.ravel(), "plumb_bob", zeros[:5], zeros[:9], zeros)
    assert camera.distortion_model is DistortionModel.NONE
    assert camera.is_rectified
    assert Camera.from_calibration(SIZE, K.ravel(), "rational_polynomial", []).is_rectified
    # As for ROS's image_geometry; in code a fisheye without coefficients still is one.
    assert Camera.from_calibration(SIZE, K.ravel(), "equidistant", zeros[:4]).is_rectified
    assert Camera(SIZE, K, DistortionModel.EQUIDISTANT, (0.0,) * 4).is_distorted


def test_matrices_are_copied_and_read_only() -> None:
    own = K.copy()
    camera = Camera(SIZE, own)
    own[0, 0] = 1
    assert camera.fx == 301
    with pytest.raises(ValueError, match="read-only"):
        camera.intrinsics[0, 0] = 1


def with_entry(row: int, column: int, value: float) -> NDArray[np.float64]:
    matrix = K.copy()
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (with_entry(0, 0, np.nan), "finite numbers in intrinsics K.*nan"),
        (with_entry(0, 2, np.inf), "finite numbers in intrinsics K.*inf"),
        (with_entry(0, 0, 0), "positive focal lengths.*fx = 0.0"),
        (with_entry(1, 1, -287), "positive focal lengths.*fy = -287.0"),
        (with_entry(0, 0, 1e300), "focal lengths up to 1e\\+07.*1e\\+300"),
        (with_entry(1, 1, 20.0), "not over 10 times"),
        (with_entry(0, 2, 1e300), "cx = 1e\\+300"),
        (with_entry(0, 2, -5000.0), "320 pixels along x.*cx = -5000"),
        (with_entry(1, 2, 1e5), "240 pixels along y.*cy = 100000"),
        (np.eye(3), "320 pixels along x, got fx = 1, cx = 0"),
        (with_entry(0, 1, 60.0), "small skew.*60.0"),
        (with_entry(1, 0, 1.0), "0, fy, cy"),
        (with_entry(2, 0, 1e300), "0, fy, cy"),
        (K.T, "0, fy, cy"),
        (with_entry(2, 2, 0.0), "0, fy, cy"),
        (np.zeros((3, 3)), "positive focal lengths"),
        (np.eye(4), r"shape \(3, 3\), got \(4, 4\)"),
    ],
)
def test_refuses_impossible_intrinsics(matrix: NDArray[np.float64], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Camera(SIZE, matrix)
    with pytest.raises(InvalidInputError, match=message.replace("intrinsics K", r"projection P\[:, :3\]")):
        Camera(SIZE, K, projection=matrix)


def test_refuses_other_impossible_values() -> None:
    with pytest.raises(InvalidInputError, match=r"image size.*\(0, 320\)"):
        Camera((0, 320), K)
    # None of them turns, the last mirrors.
    for values in (2 * np.eye(3), np.full((3, 3), 1e300), np.full((3, 3), np.nan), np.diag([1.0, 1, -1])):
        with pytest.raises(InvalidInputError, match="rotation"):
            Camera(SIZE, K, rectification=values)
    with pytest.raises(InvalidInputError, match=r"distortion coefficients within.*1e\+308"):
        Camera(SIZE, K, DistortionModel.PLUMB_BOB, (1e308, 0.0, 0.0, 0.0))
    with pytest.raises(InvalidInputError, match="finite numbers in P"):
        Camera.from_calibration(SIZE, K.ravel(), projection=[*K[0], np.nan, *K[1], 0, *K[2], 0])
    with pytest.raises(InvalidInputError, match="4 or 5 coefficients for plumb_bob, got 2"):
        Camera.from_calibration(SIZE, K.ravel(), "plumb_bob", [0.1, 0.2])
    with pytest.raises(InvalidInputError, match=r"distortion model of .*'equidistant', got 'fov'"):
        Camera.from_calibration(SIZE, K.ravel(), "fov", [0.1])
    with pytest.raises(InvalidInputError, match="9 numbers in K, got 8"):
        Camera.from_calibration(SIZE, K.ravel()[:8])
    with pytest.raises(InvalidInputError, match=r"\(N, 3\), got \(3,\)"):
        Camera(SIZE, K).project(np.zeros(3))


@pytest.mark.parametrize("wrong", ["abc", [["a"] * 3] * 3, [[1, 2], [3]], np.eye(3) * 1j])
def test_refuses_matrices_that_hold_no_numbers(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected numbers as intrinsics K, got"):
        Camera(SIZE, wrong)
    with pytest.raises(InvalidInputError, match="expected numbers as rectification R, got"):
        Camera(SIZE, K, rectification=wrong)
    for name in ("intrinsics", "rectification", "projection"):
        calibration = {"intrinsics": K, name: wrong}
        with pytest.raises(InvalidInputError, match=r"expected numbers as [KRP], got"):
            Camera.from_calibration(SIZE, **calibration)


@pytest.mark.parametrize("wrong", ["abc", ["a", "b", "c", "d"], [1j] * 4, 0.1, np.eye(2)])
def test_refuses_distortion_that_is_no_list_of_numbers(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="as distortion D, got"):
        Camera(SIZE, K, DistortionModel.PLUMB_BOB, wrong)
    with pytest.raises(InvalidInputError, match="as distortion D, got"):
        Camera.from_calibration(SIZE, K, "plumb_bob", wrong)
    with pytest.raises(InvalidInputError, match="expected a DistortionModel, got 'plumb_bob'"):
        Camera(SIZE, K, "plumb_bob", (0.1, 0, 0, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_distortion_may_lie_as_opencv_has_it(shape: tuple[int, ...]) -> None:
    coefficients = np.array([-0.2, 0.05, 0.001, 0.002, 0.0]).reshape(shape)
    camera = Camera.from_calibration(SIZE, K, "plumb_bob", coefficients)  # type: ignore[arg-type]
    assert camera.distortion == (-0.2, 0.05, 0.001, 0.002, 0.0)
