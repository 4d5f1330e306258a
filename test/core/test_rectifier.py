"""Rectified images are those of the pinhole that the camera promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.rectifier import Rectifier

SIZE = (200, 300)
K = [261.0, 0, 143.25, 0, 247.0, 102.5, 0, 0, 1]
P = [240.0, 0, 150.5, 0, 0, 230.0, 95.25, 0, 0, 0, 1, 0]
TURN = cv2.Rodrigues(np.array([0.03, -0.05, 0.02]))[0]
LENSES = [
    ("", ()),
    ("plumb_bob", (-0.28, 0.09, 0.0012, -0.0007, -0.011)),
    ("rational_polynomial", (0.5, -0.2, 0.001, -0.0005, 0.03, 0.8, -0.1, 0.02)),
    ("equidistant", (0.02, -0.01, 0.003, -0.001)),
]


def pattern(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Three smooth channels of the viewing direction: what the scene at infinity looks like."""
    channels = [np.sin(9 * x + 2), np.cos(7 * y - 3 * x), np.sin(5 * x * y + 8 * y)]
    return (127.5 + 120 * np.stack(channels, axis=-1)).round().astype(np.uint8)


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
@pytest.mark.parametrize("rotation", [np.eye(3), TURN])
def test_shows_what_the_pinhole_would(
    model: str, coefficients: tuple[float, ...], rotation: NDArray[np.float64]
) -> None:
    camera = Camera.from_calibration(SIZE, K, model, coefficients, rotation.ravel(), P)
    raw = pattern(*np.broadcast_arrays(*camera.normalized_grid))
    rectifier = Rectifier(camera)

    x, y = np.broadcast_arrays(*rectifier.camera.normalized_grid)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ rotation  # from the rectified to the raw frame
    expected = pattern(rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2])
    rectified = rectifier(raw)

    assert rectified.shape == raw.shape
    assert rectified.dtype == np.uint8
    assert 0.5 < rectifier.valid.mean() < 1
    difference = np.abs(rectified.astype(int) - expected)[rectifier.valid]
    assert difference.max() <= 4
    assert difference.mean() < 0.5


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_agrees_with_opencv(model: str, coefficients: tuple[float, ...]) -> None:
    camera = Camera.from_calibration(SIZE, K, model, coefficients, TURN.ravel(), P)
    K_raw, P_new = camera.intrinsics, np.reshape(P, (3, 4))[:, :3]
    room = cv2.fisheye if model == "equidistant" else cv2
    known = np.array(coefficients) if coefficients else np.zeros(5)
    maps = room.initUndistortRectifyMap(K_raw, known, TURN, P_new, SIZE[::-1], cv2.CV_32FC1)
    raw = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    raw = cv2.GaussianBlur(raw, (5, 5), 0)
    expected = cv2.remap(raw, *maps, cv2.INTER_LINEAR)
    rectifier = Rectifier(camera)
    difference = np.abs(rectifier(raw).astype(int) - expected)[rectifier.valid]
    assert difference.max() <= 2


def test_keeps_channels_and_types() -> None:
    rectifier = Rectifier(Camera.from_calibration(SIZE, K, *LENSES[1], None, P))
    colour = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    mono16 = colour[..., 0].astype(np.uint16) * 200
    assert rectifier(colour[..., 0]).shape == SIZE
    np.testing.assert_array_equal(rectifier(colour)[..., 1], rectifier(np.ascontiguousarray(colour[..., 1])))
    assert rectifier(mono16).dtype == np.uint16
    np.testing.assert_allclose(rectifier(mono16) / 200, rectifier(colour[..., 0]), atol=1)
    assert rectifier(colour[::-1]).shape == colour.shape  # also what is not contiguous


def test_valid_is_false_where_the_raw_image_ends() -> None:
    """P with a shorter focal length looks further than the lens."""
    wide = [130.0, 0, 143.25, 0, 0, 124.0, 102.5, 0, 0, 0, 1, 0]
    rectifier = Rectifier(Camera.from_calibration(SIZE, K, *LENSES[1], None, wide))
    white = np.full(SIZE, 255, dtype=np.uint8)
    rectified = rectifier(white)
    assert (rectified[rectifier.valid] == 255).all()
    assert not rectifier.valid[0].any()
    assert not rectified[0].any()
    assert rectifier.valid[100, 140]


def test_does_not_fold_the_image_back() -> None:
    """Beyond the radius where a strong lens model turns back there is no image."""
    wide = [40.0, 0, 150, 0, 0, 40.0, 100, 0, 0, 0, 1, 0]
    rectifier = Rectifier(Camera.from_calibration(SIZE, K, "plumb_bob", (-0.3, 0.0, 0.0, 0.0), None, wide))
    rectified = rectifier(np.full(SIZE, 255, dtype=np.uint8))
    columns, rows = np.meshgrid(np.arange(300), np.arange(200))
    beyond = np.hypot(columns - 150, rows - 100) / 40 > np.sqrt(1 / 0.9)
    assert not rectifier.valid[beyond].any()
    assert not rectified[beyond].any()
    assert rectifier.valid[100, 150]


def test_depth_is_not_mixed() -> None:
    rectifier = Rectifier(Camera.from_calibration(SIZE, K, *LENSES[1], None, P))
    depth = np.where(np.arange(300) < 140, np.float32(1), np.float32(5)) * np.ones((200, 1), dtype=np.float32)
    depth[50:60] = np.nan
    rectified = rectifier.nearest(depth)
    assert rectified.shape == SIZE
    assert rectified.dtype == np.float32
    assert set(np.unique(rectified[np.isfinite(rectified)])) == {1, 5}
    assert np.isnan(rectified[55]).any()
    # Nearest means the nearest, not the next to the left: compare with the exact positions.
    x, y = np.broadcast_arrays(*rectifier.camera.normalized_grid)
    raw = Camera.from_calibration(SIZE, K, *LENSES[1])
    u, _ = raw.project(np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float64))
    columns = np.broadcast_to(np.arange(300, dtype=np.float32), SIZE)
    found = rectifier.nearest(np.ascontiguousarray(columns)).ravel()
    assert np.abs(found - u)[rectifier.valid.ravel()].max() < 0.501
    assert np.isnan(rectifier.nearest(np.ones(SIZE, dtype=np.float32))[~rectifier.valid]).mean() > 0.5


def test_leaves_rectified_images_alone() -> None:
    rectifier = Rectifier(Camera.from_calibration(SIZE, K))
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    depth = np.ones(SIZE, dtype=np.float32)
    assert rectifier(image) is image
    assert rectifier.nearest(depth) is depth
    assert rectifier.valid.all()


def test_refuses_images_of_another_size() -> None:
    for camera in (Camera.from_calibration(SIZE, K), Camera.from_calibration(SIZE, K, *LENSES[1])):
        rectifier = Rectifier(camera)
        with pytest.raises(InvalidInputError, match=r"\(200, 300\), got \(300, 200, 3\)"):
            rectifier(np.zeros((300, 200, 3), dtype=np.uint8))
        with pytest.raises(InvalidInputError, match=r"\(200, 300\), got \(100, 150\)"):
            rectifier.nearest(np.zeros((100, 150), dtype=np.float32))
