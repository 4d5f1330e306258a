import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ground_plane import GroundPlane


def test_axes_are_level_and_point_ahead_and_right():
    down = np.array([0.1, 0.8, 0.5])
    ground = GroundPlane(3 * down, 0.7)
    ahead, right = ground.horizontal_axes
    np.testing.assert_allclose(ground.down, down / np.linalg.norm(down))
    np.testing.assert_allclose([ahead @ ground.down, right @ ground.down, ahead @ right], 0, atol=1e-12)
    assert ahead[2] > 0
    assert right[0] > 0.9


def test_a_camera_that_looks_straight_down_has_its_top_ahead():
    ahead, right = GroundPlane(np.array([0, 0, 1.0]), 2).horizontal_axes
    np.testing.assert_allclose(ahead, [0, -1, 0])
    np.testing.assert_allclose(right, [1, 0, 0])


def test_heights_are_above_the_floor():
    ground = GroundPlane(np.array([0, 1.0, 0]), 0.7)
    points = np.array([[[5, 0.7, 2], [0, 0, 9]], [[1, -0.3, 1], [0, 1.0, 4]]])
    np.testing.assert_allclose(ground.height_above(points), [[0, 0.7], [1.0, -0.3]], atol=1e-12)


@pytest.mark.parametrize("down", [np.zeros(3), np.ones(2), np.array([np.nan, 1, 0])])
def test_no_direction_is_refused(down):
    with pytest.raises(InvalidInputError, match=r"direction of shape \(3,\)"):
        GroundPlane(down, 1)


@pytest.mark.parametrize("height", [0, -0.5, np.nan, np.inf])
def test_a_camera_in_the_floor_is_refused(height):
    with pytest.raises(InvalidInputError, match="above the floor"):
        GroundPlane(np.array([0, 1.0, 0]), height)
