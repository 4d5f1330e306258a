"""The last mask, laid over frames: whose pixels, how wide, how old."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView, ViewFinder
from e2e_depth_ros.ros.inputs.masks import MaskInput
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.images import mask_from_message, message_from_array
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

SIZE = (40, 60)
RGB = np.zeros((*SIZE, 3), np.uint8)
POINTS = Parameters(remove_masked_points=True)
EXACT = Parameters(mask_dilation=0, mask_max_age=10.0)
WHERE = np.zeros(SIZE, bool)
WHERE[10:20, 30:45] = True


def header(seconds=100.0, frame_id="camera"):
    return Header(stamp=Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9)), frame_id=frame_id)


def message(where=WHERE, **head):
    return message_from_array(where.astype(np.uint8) * np.uint8(255), "mono8", header(**head))


def laid(masks, seconds=100.0, parameters=EXACT, view=None):
    masked, refusals = masks.over(view or FrameView(RGB), header(seconds), parameters)
    assert refusals == []
    return masked


@pytest.fixture
def masks():
    masks = MaskInput()
    masks.put(message())
    return masks


def test_a_mask_serves_until_it_is_too_old(masks):
    np.testing.assert_array_equal(laid(masks), WHERE)
    np.testing.assert_array_equal(laid(masks, 109.9), WHERE)
    assert laid(masks, 110.1) is None
    status = masks.status("depth", POINTS)
    assert status.level == DiagnosticStatus.ERROR
    assert "10.1 s" in status.message
    assert "mask_max_age is 10 s" in status.message
    assert laid(masks, 50.0) is None  # the clock went back
    masks.put(message(~WHERE, seconds=50.0))
    np.testing.assert_array_equal(laid(masks, 50.2), ~WHERE)
    status = masks.status("depth", POINTS)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "in use")
    values = {entry.key: entry.value for entry in status.values}
    assert values == {
        "age_s": "0.200",
        "masked_share": f"{1 - 150 / 2400:.4f}",
        "images_too_far_from_it": "2",
    }


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ({"remove_masked_points": True}, "no points"),
        ({"remove_masked_samples": True}, "no samples"),
        ({"remove_masked_points": True, "remove_masked_samples": True}, "no points and no samples"),
    ],
)
def test_without_a_mask_what_was_to_be_masked_is_missing_and_that_is_an_error(asked, missing):
    masks = MaskInput()
    assert laid(masks) is None
    status = masks.status("depth", Parameters(**asked))
    assert status.level == DiagnosticStatus.ERROR
    assert status.message.startswith(f"{missing}: ")
    assert "mask/image" in status.message


def test_dilation_widens_by_a_distance(masks):
    wide = laid(masks, parameters=Parameters(mask_dilation=5))
    assert wide[15, 25]
    assert not wide[15, 24]
    assert wide[24, 40]
    assert not wide[25, 40]
    assert wide[6, 27]  # 4 rows and 3 columns away from the corner: 5
    assert not wide[6, 26]
    none = MaskInput()
    none.put(message(np.zeros(SIZE, bool)))
    assert not laid(none, parameters=Parameters(mask_dilation=5)).any()


def test_a_mask_of_the_raw_image_is_rectified_as_the_image_is(masks):
    corner = np.zeros(SIZE, bool)  # where a lens bends most
    corner[3:13, 44:58] = True
    masks.put(message(corner))
    intrinsics = np.array([[50.0, 0, 31], [0, 54, 18], [0, 0, 1]])
    lens = Camera(SIZE, intrinsics, DistortionModel.PLUMB_BOB, (-0.4, 0.1, 0.0, 0.0, 0.0))
    image = np.repeat(corner[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)
    finder = ViewFinder()
    view = finder.view(image, header(), message_from_camera(lens, header()), rectify=True)
    masked = laid(masks, view=view)
    assert np.mean(masked != corner) > 0.01  # it moves
    shown = view.rgb[..., 0]
    assert masked[shown == 255].all()
    assert not masked[shown == 0].any()
    np.testing.assert_array_equal(laid(masks), corner)  # where another frame is not rectified
    pincushion = Camera(SIZE, intrinsics, DistortionModel.PLUMB_BOB, (0.6, 0.2, 0.0, 0.0, 0.0))
    view = finder.view(image, header(), message_from_camera(pincushion, header()), rectify=True)
    masks.put(message(np.ones(SIZE, bool)))
    masked = laid(masks, view=view)
    assert masked[view.valid].all()
    assert not masked[0].any()  # nothing of the raw image is seen there


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (message(np.ones((40, 61), bool)), "mask: size"),
        (message(frame_id="another"), "mask: frame"),
        (message_from_array(np.ones(SIZE, np.float32), "32FC1", header()), "mask: encoding"),
    ],
    ids=["size", "frame", "encoding"],
)
def test_an_unfit_mask_is_refused_once_and_the_one_before_it_stays(masks, bad, reason):
    laid(masks)
    masks.put(bad)
    masked, refusals = masks.over(FrameView(RGB), header(), EXACT)
    assert [refusal.reason for refusal in refusals] == [reason]
    assert "got" in str(refusals[0])
    np.testing.assert_array_equal(masked, WHERE)
    np.testing.assert_array_equal(laid(masks), WHERE)


def test_a_camera_that_changes_its_size_ends_the_mask(masks):
    laid(masks)
    assert laid(masks, view=FrameView(np.zeros((30, 60, 3), np.uint8))) is None
    assert laid(masks) is None


def test_samples_on_masked_pixels_are_left_out_and_counted():
    u, v = np.array([29.4, 29.6, 44.4, 44.6, 59.0]), np.array([15.0, 15.0, 9.6, 19.0, 39.4])
    samples = Samples(u, v, np.arange(1.0, 6.0), {"too_near": 2}, "sparse_points")
    kept = FrameView(RGB, masked=WHERE).without_masked(samples)
    assert kept.depth_m.tolist() == [1.0, 4.0, 5.0]
    assert kept.dropped == {"too_near": 2, "masked": 2}
    none = FrameView(RGB).without_masked(samples)
    assert (len(none), none.dropped) == (0, {"too_near": 2, "no_mask": 5})


def test_grey_masks_are_cut_in_the_middle():
    values = np.array([[0, 127, 128, 255]], np.uint8)
    for encoding in ("mono8", "8UC1"):
        found = mask_from_message(message_from_array(values, encoding, header()))
        assert found.tolist() == [[False, False, True, True]]
    with pytest.raises(RefusedMessageError, match="mask: encoding: expected one of mono8, 8UC1, got 'rgb8'"):
        mask_from_message(message_from_array(np.zeros((2, 2, 3), np.uint8), "rgb8", header()))
