import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from std_msgs.msg import Header

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.ros.camera_info import message_from_camera
from e2e_depth_ros.ros.refusal import RefusedMessageError
from e2e_depth_ros.ros.view import ViewFinder

SIZE = (60, 90)
K = np.array([[80.0, 0, 47], [0, 84, 28], [0, 0, 1]])
P = np.array([[70.0, 0, 45], [0, 72, 30], [0, 0, 1]])
DISTORTED = Camera(SIZE, K, DistortionModel.PLUMB_BOB, (-0.3, 0.05, 0.001, -0.002, 0.0), projection=P)
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def info(camera):
    return message_from_camera(camera, Header())


def test_distorted_image_is_rectified_to_p():
    view = ViewFinder().view(RGB, info(DISTORTED), rectify=True)
    np.testing.assert_array_equal(view.camera.intrinsics, P)
    assert not view.camera.is_distorted
    assert view.valid is not None
    assert (view.rgb != RGB).any()


def test_rectified_image_is_left_alone_and_has_p():
    view = ViewFinder().view(RGB, info(DISTORTED), rectify=False)
    assert view.rgb is RGB
    np.testing.assert_array_equal(view.camera.intrinsics, P)
    assert view.valid is None


def test_raw_pinhole_image_is_left_alone_and_has_k():
    view = ViewFinder().view(RGB, info(Camera(SIZE, K, projection=P)), rectify=True)
    assert view.rgb is RGB
    np.testing.assert_array_equal(view.camera.intrinsics, K)


def test_maps_and_rays_are_made_once_a_calibration():
    finder = ViewFinder()
    first = finder.view(RGB, info(DISTORTED), rectify=True)
    again = finder.view(RGB, info(DISTORTED), rectify=True)
    assert again.camera is first.camera
    assert again.valid is first.valid
    other = finder.view(RGB, info(Camera(SIZE, K)), rectify=True)
    np.testing.assert_array_equal(other.camera.intrinsics, K)


def test_another_size_is_refused_and_a_good_calibration_serves_again():
    finder = ViewFinder()
    finder.view(RGB, info(DISTORTED), rectify=True)
    with pytest.raises(RefusedMessageError, match=r"expected the image's size \(60, 90\).*got \(90, 60\)"):
        finder.view(RGB, info(Camera((90, 60), K)), rectify=True)
    finder.view(RGB, info(DISTORTED), rectify=True)


@pytest.mark.parametrize(
    "camera",
    [
        DISTORTED,
        Camera(SIZE, K, DistortionModel.EQUIDISTANT, (0.02, -0.01, 0.0, 0.0), projection=P),
    ],
    ids=["plumb_bob", "fisheye"],
)
def test_samples_move_with_the_pixels(camera):
    """A point that the raw image shows at (u, v) must land where the rectified camera shows it."""
    rng = np.random.default_rng(1)
    points = np.stack([rng.uniform(-0.3, 0.3, 50), rng.uniform(-0.2, 0.2, 50), np.ones(50)], axis=-1)
    points *= rng.uniform(1, 5, (50, 1))
    u, v = camera.project(points)
    view = ViewFinder().view(RGB, info(camera), rectify=True)
    moved = view.from_raw(Samples(u, v, points[:, 2]))
    expected_u, expected_v = view.camera.project(points)
    inside = (np.abs(expected_u - 44.5) < 45) & (np.abs(expected_v - 29.5) < 30)
    assert len(moved) == inside.sum() > 30
    np.testing.assert_allclose(moved.u_px, expected_u[inside], atol=0.2)
    np.testing.assert_allclose(moved.v_px, expected_v[inside], atol=0.2)
    np.testing.assert_allclose(moved.depth_m, points[inside, 2], rtol=1e-5)


def test_samples_outside_the_view_are_counted():
    view = ViewFinder().view(RGB, info(DISTORTED), rectify=True)
    moved = view.from_raw(Samples(np.array([45.0, 0.0]), np.array([30.0, 0.0]), np.ones(2)))
    assert len(moved) + moved.dropped.get("outside_image", 0) == 2
    assert len(moved) >= 1
