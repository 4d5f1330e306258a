import numpy as np
import pytest

from e2e_depth_ros.core.calibration_file import write_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.offline.given_camera import GivenCamera


def test_the_field_of_view_is_from_edge_to_edge():
    camera = GivenCamera(90, None, None).camera((30, 44))
    x, _ = camera.normalized_from_pixels(np.array([-0.5, 43.5]), np.array([3.0, 3.0]))
    np.testing.assert_allclose(x, [-1, 1])
    assert camera.fx == camera.fy
    assert (camera.cx, camera.cy) == (21.5, 14.5)


def test_intrinsics_are_taken_as_they_are():
    camera = GivenCamera(None, [50, 52, 20, 16], None).camera((30, 44))
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 52, 20, 16)


def test_a_calibration_is_for_images_of_its_size(tmp_path):
    camera = Camera((30, 44), np.array([[50.0, 0, 20], [0, 52, 16], [0, 0, 1]]))
    write_calibration(tmp_path / "c.yaml", camera)
    given = GivenCamera(None, None, tmp_path / "c.yaml")
    assert given.camera((30, 44)).fy == 52
    with pytest.raises(InvalidInputError, match=r"\(30, 44\), got \(60, 88\)"):
        given.camera((60, 88))


def test_nothing_given_is_no_camera_and_nonsense_is_refused():
    assert GivenCamera(None, None, None).camera((30, 44)) is None
    for fov in (0, 180, -3):
        with pytest.raises(InvalidInputError, match="--fov"):
            GivenCamera(fov, None, None)
