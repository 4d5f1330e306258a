import re

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from std_msgs.msg import Header

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.ros.inputs.frame_view import ViewFinder
from e2e_depth_ros.ros.messages.camera_info import message_from_camera

SIZE = (60, 90)
K = np.array([[80.0, 0, 47], [0, 84, 28], [0, 0, 1]])
P = np.array([[70.0, 0, 45], [0, 72, 30], [0, 0, 1]])
DISTORTED = Camera(SIZE, K, DistortionModel.PLUMB_BOB, (-0.3, 0.05, 0.001, -0.002, 0.0), projection=P)
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def info(camera):
    return message_from_camera(camera, Header())


def test_distorted_image_is_rectified_to_p():
    view = ViewFinder().view(RGB, Header(), info(DISTORTED), rectify=True)
    np.testing.assert_array_equal(view.camera.intrinsics, P)
    assert not view.camera.is_distorted
    assert view.valid is not None
    assert (view.rgb != RGB).any()


def test_rectified_image_is_left_alone_and_has_p():
    view = ViewFinder().view(RGB, Header(), info(DISTORTED), rectify=False)
    assert view.rgb is RGB
    np.testing.assert_array_equal(view.camera.intrinsics, P)
    assert view.valid is None


def test_raw_pinhole_image_is_left_alone_and_has_k():
    view = ViewFinder().view(RGB, Header(), info(Camera(SIZE, K, projection=P)), rectify=True)
    assert view.rgb is RGB
    np.testing.assert_array_equal(view.camera.intrinsics, K)


def test_maps_and_rays_are_made_once_a_calibration():
    finder = ViewFinder()
    first = finder.view(RGB, Header(), info(DISTORTED), rectify=True)
    again = finder.view(RGB, Header(), info(DISTORTED), rectify=True)
    assert again.camera is first.camera
    assert again.valid is first.valid
    other = finder.view(RGB, Header(), info(Camera(SIZE, K)), rectify=True)
    np.testing.assert_array_equal(other.camera.intrinsics, K)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nothing", "camera_info: missing: expected the image's calibration"),
        ("size", r"camera_info: size: expected the image's size \(60, 90\).*got \(90, 60\)"),
        ("frame", "camera_info: frame: expected the image's frame_id 'camera', got 'other'"),
        ("model", "camera_info: calibration: .*'whatever'"),
        ("K", "camera_info: calibration: .*not calibrated"),
        ("D", r"camera_info: calibration: .*1e\+308"),
        ("binning", "camera_info: calibration: .*binning by"),
    ],
)
@pytest.mark.parametrize("rectify", [True, False])
def test_without_a_usable_calibration_an_image_may_be_distorted(what, reason, rectify):
    """Unless it is said to be rectified; and the good calibration that was there before does not serve."""
    finder = ViewFinder()
    header = Header(frame_id="camera")
    good = info(DISTORTED)
    assert finder.view(RGB, header, good, rectify=rectify).refusal is None
    bad = info(Camera((90, 60), K)) if what == "size" else info(DISTORTED)
    if what == "frame":
        bad.header = Header(frame_id="other")
    elif what == "model":
        bad.distortion_model = "whatever"
    elif what == "K":
        bad.k = np.zeros(9)
    elif what == "D":
        bad.d = [1e308, 0.0, 0.0, 0.0, 0.0]
    elif what == "binning":  # and K is that of the sensor, though the size is that of the image
        bad.binning_x = bad.binning_y = 2
        bad.k[[0, 2, 4, 5]] *= 2
    for _ in range(2):
        view = finder.view(RGB, header, None if what == "nothing" else bad, rectify=rectify)
        assert re.search(reason, str(view.refusal))
        assert view.rgb is RGB
        assert view.camera is None
        assert view.may_be_distorted is rectify
        again = finder.view(RGB, header, good, rectify=rectify)
        assert again.refusal is None
        assert not again.may_be_distorted


def test_a_calibration_that_leaves_nothing_of_the_image_is_refused():
    """But not of an image that comes rectified: it says nothing of R."""
    message = info(DISTORTED)
    message.r = np.diag([1.0, -1.0, -1.0]).ravel()
    finder = ViewFinder()
    for _ in range(2):
        refusal = finder.view(RGB, Header(), message, rectify=True).refusal
        assert "leaves at least 1% of the rectified image, got 0.00%" in str(refusal)
        assert refusal.reason == "camera_info: calibration"
        assert refusal.__traceback__ is None  # it would keep the image
    assert finder.view(RGB, Header(), message, rectify=False).refusal is None


def test_a_bad_message_in_between_costs_no_maps():
    finder = ViewFinder()
    first = finder.view(RGB, Header(), info(DISTORTED), rectify=True)
    bad = info(DISTORTED)
    bad.k = np.zeros(9)
    assert finder.view(RGB, Header(), bad, rectify=True).refusal is not None
    assert finder.view(RGB, Header(), info(DISTORTED), rectify=True).rectifier is first.rectifier


def test_a_leading_slash_makes_no_other_frame():
    message = info(DISTORTED)
    message.header = Header(frame_id="/camera")
    assert ViewFinder().view(RGB, Header(frame_id="camera"), message, rectify=True).refusal is None


def test_skew_is_taken_out():
    """ROS's calibrator writes K and P of a fisheye with a skew: the rectified image has none."""
    skewed = K + np.array([[0, 2.0, 0], [0, 0, 0], [0, 0, 0]])
    for model, coefficients in (
        (DistortionModel.EQUIDISTANT, (0.02, -0.01, 0.0, 0.0)),
        (DistortionModel.NONE, ()),
    ):
        lens = Camera(SIZE, skewed, model, coefficients, projection=skewed)
        view = ViewFinder().view(RGB, Header(), info(lens), rectify=True)
        np.testing.assert_array_equal(view.camera.intrinsics, K)
        assert view.rectifier is not None
        u, v = lens.project(np.array([[0.2, 0.25, 1.0]]))
        moved = view.from_raw(Samples(u, v, np.ones(1)))
        expected = view.camera.project(np.array([[0.2, 0.25, 1.0]]))
        np.testing.assert_allclose([moved.u_px, moved.v_px], expected, atol=0.1)


def test_skew_of_an_image_that_comes_rectified_is_ignored_where_it_is_small():
    """At the border of 60 rows, 31.5 rows from the principal point, 2 pixels of it are 0.75 pixels."""
    for skew, is_harmless in ((1.0, True), (2.0, False)):
        skewed = K + np.array([[0, skew, 0], [0, 0, 0], [0, 0, 0]])
        view = ViewFinder().view(RGB, Header(), info(Camera(SIZE, skewed)), rectify=False)
        assert (view.refusal is None) is is_harmless
        if is_harmless:
            np.testing.assert_array_equal(view.camera.intrinsics, K)
        else:
            assert "moves pixels at the border by 0.8" in str(view.refusal)


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
    view = ViewFinder().view(RGB, Header(), info(camera), rectify=True)
    moved = view.from_raw(Samples(u, v, points[:, 2]))
    expected_u, expected_v = view.camera.project(points)
    inside = (np.abs(expected_u - 44.5) < 45) & (np.abs(expected_v - 29.5) < 30)
    assert len(moved) == inside.sum() > 30
    np.testing.assert_allclose(moved.u_px, expected_u[inside], atol=0.2)
    np.testing.assert_allclose(moved.v_px, expected_v[inside], atol=0.2)
    np.testing.assert_allclose(moved.depth_m, points[inside, 2], rtol=1e-5)


def test_samples_outside_the_view_are_counted():
    view = ViewFinder().view(RGB, Header(), info(DISTORTED), rectify=True)
    moved = view.from_raw(Samples(np.array([45.0, 0.0]), np.array([30.0, 0.0]), np.ones(2)))
    assert len(moved) + moved.dropped.get("outside_image", 0) == 2
    assert len(moved) >= 1
