import numpy as np
import pytest

from e2e_depth_ros.cli.demo.scores import HeldOutPoints
from e2e_depth_ros.core.camera import Camera, DistortionModel

SIZE = (30, 50)
K = np.array([[40.0, 0, 22.0], [0, 44.0, 17.0], [0, 0, 1]])


def plane(camera):
    """Points of a slanted plane at the centre of every pixel, and the depth image of it."""
    rows, columns = np.indices(SIZE)
    x, y = camera.normalized_from_pixels(columns.ravel(), rows.ravel())
    depth = 3.0 / (1.0 + 0.4 * x - 0.3 * y)
    return np.stack([x * depth, y * depth, depth], axis=1).astype(np.float32)


def test_points_are_compared_at_their_own_pixels():
    camera = Camera(SIZE, K)
    points = plane(camera)
    depth = points[:, 2].reshape(SIZE)
    prediction, target = HeldOutPoints(points, camera).pairs(depth, camera)
    assert len(target) == depth.size
    np.testing.assert_array_equal(prediction, target)


def test_samples_are_not_scored():
    camera = Camera(SIZE, K)
    points = plane(camera)
    held_out = HeldOutPoints(points, camera)
    held_out.exclude(points[100:140])
    held_out.exclude(points[:5])
    _, target = held_out.pairs(points[:, 2].reshape(SIZE), camera)
    np.testing.assert_array_equal(target, np.r_[points[5:100, 2], points[140:, 2]])


def test_rectified_depth_is_compared_where_the_points_went():
    raw = Camera(SIZE, K, DistortionModel.PLUMB_BOB, (-0.2, 0.05, 0.0, 0.0, 0.0))
    points = plane(raw)
    rectified = raw.rectified()
    x, y = rectified.normalized_grid
    depth = (3.0 / (1.0 + 0.4 * x - 0.3 * y)).astype(np.float32)
    prediction, target = HeldOutPoints(points, raw).pairs(depth, rectified)
    assert len(target) > 0.7 * len(points)
    # Half a pixel of rounding on a plane, far below the shift between raw and rectified pixels.
    np.testing.assert_allclose(prediction, target, rtol=0.012)
    wrong, target = HeldOutPoints(points, raw).pairs(depth, raw)
    assert np.abs(wrong / target - 1).max() > 0.03


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_without_depth_are_left_out(bad):
    camera = Camera(SIZE, K)
    points = plane(camera)
    depth = points[:, 2].reshape(SIZE).copy()
    depth[3, 4:9] = bad
    prediction, _ = HeldOutPoints(points, camera).pairs(depth, camera)
    assert len(prediction) == depth.size - 5
