from types import SimpleNamespace

import pytest

from e2e_depth_ros.ros.messages.frames import check_frame, frame_name, may_be_same_frame, same_frame
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError


@pytest.mark.parametrize("first", ["camera", "/camera"])
@pytest.mark.parametrize("second", ["camera", "/camera", "//camera"])
def test_a_leading_slash_says_nothing(first, second):
    assert same_frame(first, second)
    assert may_be_same_frame(first, second)
    assert frame_name(second) == "camera"


@pytest.mark.parametrize("other", ["lidar", "camera/", "left/camera", "Camera", "camera_1"])
def test_other_names_are_other_frames(other):
    assert not same_frame("camera", other)
    assert not may_be_same_frame("/camera", other)


@pytest.mark.parametrize("nothing", ["", "/"])
def test_an_empty_name_may_be_any_frame(nothing):
    assert may_be_same_frame("camera", nothing)
    assert may_be_same_frame(nothing, "camera")
    assert not same_frame("camera", nothing)


def test_a_message_of_another_frame_than_its_image_is_refused():
    image, other = SimpleNamespace(frame_id="camera"), SimpleNamespace(frame_id="lidar")
    check_frame("mask", SimpleNamespace(frame_id="/camera"), image)
    with pytest.raises(RefusedMessageError) as refusal:
        check_frame("mask", other, image, ": registered?")
    assert refusal.value.reason == "mask: frame"
    assert str(refusal.value).endswith("'camera', got 'lidar': registered?")
