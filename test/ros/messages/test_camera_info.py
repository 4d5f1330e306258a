import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.rectifier import Rectifier
from e2e_depth_ros.ros.messages.camera_info import camera_from_message, message_from_camera, same_calibration
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError


def make_info(**changes):
    values = {
        "height": 480,
        "width": 640,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [500.0, 0.0, 310.0, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0],
        "r": np.eye(3).ravel().tolist(),
        "p": [480.0, 0.0, 315.0, -48.0, 0.0, 490.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    return CameraInfo(**{**values, **changes})


def test_matrices_and_size_arrive_where_they_belong():
    camera = camera_from_message(make_info())
    assert camera.size == (480, 640)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 310, 250)
    assert camera.distortion_model is DistortionModel.PLUMB_BOB
    assert camera.distortion == (0.1, -0.2, 0.001, 0.002, 0.0)
    rectified = camera.rectified()
    assert (rectified.fx, rectified.fy, rectified.cx, rectified.cy) == (480, 490, 315, 245)


def test_region_of_interest_is_cut_before_binning():
    roi = RegionOfInterest(x_offset=40, y_offset=20, width=400, height=300)
    camera = camera_from_message(make_info(roi=roi, binning_x=2, binning_y=4))
    assert camera.size == (75, 200)
    assert (camera.fx, camera.fy) == (250, 127.5)
    assert camera.cx == pytest.approx((310 - 40 + 0.5) / 2 - 0.5)
    assert camera.cy == pytest.approx((250 - 20 + 0.5) / 4 - 0.5)


def test_unset_projection_and_rectification_mean_the_raw_camera():
    camera = camera_from_message(make_info(d=[0.0] * 5, r=[0.0] * 9, p=[0.0] * 12))
    assert camera.is_rectified


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"k": [0.0] * 9}, "fx = 0"),
        ({"k": [np.nan, 0.0, 310.0, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0]}, "finite"),
        ({"d": [0.1, np.inf, 0.0, 0.0, 0.0]}, "finite"),
        ({"d": [1e308, 0.0, 0.0, 0.0, 0.0]}, r"1e\+308"),
        ({"d": [0.1, 0.2]}, "got 2"),
        ({"d": [0.1] * 15}, "got 15"),
        ({"distortion_model": "pumb_blob"}, "pumb_blob"),
        ({"k": [1e300, 0.0, 310.0, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0]}, r"1e\+300"),
        ({"k": [500.0, 0.0, 1e300, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0]}, r"1e\+300"),
        ({"k": [500.0, 0.0, 310.0, 0.0, -510.0, 250.0, 0.0, 0.0, 1.0]}, "fy = -510"),
        ({"k": np.eye(3).ravel()}, "fx = 1"),
        ({"p": [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]}, "projection.*fx = 1"),
        ({"p": [480.0, 0.0, 315.0, np.nan, 0.0, 490.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0]}, "finite"),
        ({"p": [1e-9, 0.0, 315.0, 0.0, 0.0, 490.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0]}, "projection"),
        ({"r": [1e300, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}, "rotation"),
        ({"r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]}, "rotation"),
        ({"height": 0}, "size"),
        ({"r": [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}, "rotation"),
        ({"roi": RegionOfInterest(x_offset=600, y_offset=0, width=100, height=100)}, "within"),
        ({"width": 2**31}, "up to"),
    ],
)
def test_impossible_calibration_is_refused(changes, match):
    with pytest.raises(RefusedMessageError, match=match):
        camera_from_message(make_info(**changes))


def test_an_uncalibrated_camera_is_called_so():
    with pytest.raises(
        RefusedMessageError, match=r"camera_info: calibration: .* the camera is not calibrated"
    ):
        camera_from_message(make_info(k=[0.0] * 9))


def test_orbbec_cameras_send_eight_coefficients_the_last_three_zero():
    camera = camera_from_message(make_info(d=[0.07, -0.1, 0.0001, -0.0004, 0.04, 0.0, 0.0, 0.0]))
    assert camera.distortion_model is DistortionModel.PLUMB_BOB
    assert camera.distortion == (0.07, -0.1, 0.0001, -0.0004, 0.04)


def test_the_binned_image_is_that_of_k():
    k = [250.0, 0.0, 158.0, 0.0, 255.0, 121.0, 0.0, 0.0, 1.0]
    info = make_info(width=320, height=240, k=k, p=[0.0] * 12, binning_x=2, binning_y=2)
    camera = camera_from_message(info, (240, 320))
    assert (camera.size, camera.cx, camera.cy) == ((240, 320), 158, 121)
    with pytest.raises(RefusedMessageError, match=r"calibration.*without doubt"):
        camera_from_message(make_info(width=320, height=240, binning_x=2, binning_y=2), (240, 320))


@pytest.mark.filterwarnings("error")
def test_any_numbers_are_a_camera_or_refused():
    """A camera that is made can do all that is asked of it."""
    rng = np.random.default_rng(5)
    odd = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.01,
        7.0,
        300.0,
        1e4,
        1e-320,
        1e-9,
        1e9,
        1e300,
        1e308,
        -1e308,
        np.inf,
        -np.inf,
        np.nan,
    ]
    good = make_info()
    made = 0
    for _ in range(2000):
        values = {name: np.array(getattr(good, name), dtype=float) for name in "dkrp"}
        values["d"] = np.resize(values["d"], rng.choice([0, 4, 5, 8, 12, 14, 20]))
        for _ in range(rng.integers(1, 4)):
            target = values[rng.choice(list("dkrp"))]
            if target.size:
                target[rng.integers(target.size)] = rng.choice(odd)
        model = rng.choice(["plumb_bob", "rational_polynomial", "equidistant", "none", ""])
        info = make_info(
            distortion_model=str(model),
            **{name: value.tolist() for name, value in values.items()},
            **{name: int(rng.choice([0, 1, 2, 7, 2**32 - 1])) for name in ("binning_x", "binning_y")},
        )
        try:
            camera = camera_from_message(info, (480, 640)).resized((6, 8))
        except RefusedMessageError:
            continue
        made += 1
        rectifier = Rectifier(camera)
        assert rectifier(np.zeros((6, 8), np.uint8)).shape == (6, 8)
        assert all(np.broadcast_to(rays, (6, 8)).dtype == np.float32 for rays in camera.normalized_grid)
        camera.project(np.array([[0.1, 0.2, 1.0], [1e9, -1e9, 1e-9], [0.0, 0.0, -1.0]]))
    assert made > 100


@pytest.mark.parametrize(
    "camera",
    [
        Camera((30, 40), np.array([[50.0, 0, 18], [0, 52, 16], [0, 0, 1]])),
        Camera(
            (30, 40),
            np.array([[50.0, 0, 18], [0, 52, 16], [0, 0, 1]]),
            DistortionModel.EQUIDISTANT,
            (0.1, 0.01, 0.0, 0.0),
            projection=np.array([[40.0, 0, 19], [0, 41, 15], [0, 0, 1]]),
        ),
    ],
    ids=["pinhole", "fisheye"],
)
def test_camera_survives_the_round_trip(camera):
    header = Header(stamp=Time(sec=3, nanosec=4), frame_id="optical")
    message = message_from_camera(camera, header)
    assert message.header == header
    back = camera_from_message(message)
    assert back.size == camera.size
    assert back.distortion_model is camera.distortion_model
    assert back.distortion == camera.distortion
    np.testing.assert_array_equal(back.intrinsics, camera.intrinsics)
    np.testing.assert_array_equal(back.rectified().intrinsics, camera.rectified().intrinsics)


def test_pinhole_is_written_as_plumb_bob_without_distortion():
    camera = Camera((30, 40), np.array([[50.0, 0, 18], [0, 52, 16], [0, 0, 1]]))
    message = message_from_camera(camera, Header())
    assert message.distortion_model == "plumb_bob"
    assert list(message.d) == [0.0] * 5
    assert list(message.p) == [50, 0, 18, 0, 0, 52, 16, 0, 0, 0, 1, 0]


def test_same_calibration_ignores_the_stamp():
    first, second = make_info(), make_info(header=Header(stamp=Time(sec=9)))
    assert same_calibration(first, second)
    assert not same_calibration(first, make_info(width=641))
    assert not same_calibration(first, make_info(d=[0.1, -0.2, 0.001, 0.0, 0.0]))
