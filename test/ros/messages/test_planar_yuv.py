"""YUV in planes, laid out as drivers lay it out: see e2e_depth_ros/ros/messages/planar_yuv.py."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import Image

from e2e_depth_ros.ros.messages.images import rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

HALVED = ("nv12", "nv21", "i420", "yuv420", "YUV420", "yv12")
HEIGHT, WIDTH = 12, 20


def scene(height, width):
    """Y, U and V of each pixel; U and V the same for two by two of them."""
    rows, columns = np.mgrid[:height, :width]
    luma = 40 + 3 * rows + 5 * columns
    u, v = 90 + 6 * (rows // 2), 190 - 5 * (columns // 2)
    return luma.astype(np.uint8), u.astype(np.uint8), v.astype(np.uint8)


def rgb_of(luma, u, v):
    """ITU-R BT.601, studio range."""
    y, u, v = 1.164 * (luma.astype(float) - 16), u.astype(float) - 128, v.astype(float) - 128
    rgb = np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], axis=-1)
    return np.clip(np.rint(rgb), 0, 255)


def planes(encoding, luma, u, v):
    """The planes of an encoding, each as (rows, bytes)."""
    if encoding == "nv24":
        return [luma, np.stack([u, v], -1).reshape(len(luma), -1)]
    u, v = u[::2, ::2], v[::2, ::2]
    if encoding in ("nv12", "nv21"):
        return [luma, np.stack([u, v] if encoding == "nv12" else [v, u], -1).reshape(len(u), -1)]
    return [luma, v, u] if encoding == "yv12" else [luma, u, v]


def message(encoding, step=None, height=HEIGHT, width=WIDTH):
    """As libcamera lays it out: each plane's rows are padded in proportion to their length."""
    step = step or width
    padded = []
    for plane in planes(encoding, *scene(height, width)):
        stride = step * plane.shape[1] // width
        padded.append(np.pad(plane, ((0, 0), (0, stride - plane.shape[1])), constant_values=7).tobytes())
    return Image(height=height, width=width, encoding=encoding, step=step, data=b"".join(padded))


@pytest.mark.parametrize("size", [(12, 20), (2, 2), (4, 6), (6, 4), (2, 10), (10, 2)])
@pytest.mark.parametrize("padding", [0, 2, 12])
@pytest.mark.parametrize("encoding", [*HALVED, "nv24"])
def test_rows_may_be_padded(encoding, padding, size):
    decoded = rgb_from_message(message(encoding, size[1] + padding, *size)).astype(int)
    np.testing.assert_allclose(decoded, rgb_of(*scene(*size)), atol=2)


@pytest.mark.parametrize("encoding", [*HALVED, "nv24"])
def test_depthai_counts_the_bytes_of_all_planes_by_the_height(encoding):
    image = message(encoding)
    image.step = len(image.data) // image.height
    image.is_bigendian = True
    np.testing.assert_allclose(rgb_from_message(image).astype(int), rgb_of(*scene(HEIGHT, WIDTH)), atol=2)


@pytest.mark.parametrize("encoding", [*HALVED, "nv24"])
def test_the_padding_of_the_last_row_may_be_missing_and_a_buffer_may_be_longer(encoding):
    image = message(encoding, WIDTH + 4)
    expected = rgb_from_message(image)
    whole = bytes(image.data)
    for data in (whole[:-2], whole + bytes(4096)):
        image.data = data
        np.testing.assert_array_equal(rgb_from_message(image), expected)


def test_nv24_has_a_colour_for_each_pixel():
    odd = message("nv24", height=5, width=7)
    np.testing.assert_allclose(rgb_from_message(odd).astype(int), rgb_of(*scene(5, 7)), atol=2)


@pytest.mark.parametrize("encoding", HALVED)
@pytest.mark.parametrize("size", [(11, 20), (12, 19), (1, 1)])
def test_odd_sizes_are_refused(encoding, size):
    image = Image(height=size[0], width=size[1], encoding=encoding, step=64, data=bytes(64 * 64))
    with pytest.raises(
        RefusedMessageError, match=f"an even height and width.*got height {size[0]} and"
    ) as refusal:
        rgb_from_message(image)
    assert refusal.value.reason == "image: size"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": bytes(HEIGHT * WIDTH)}, "image: data length"),  # as if it were mono8
        ({"data": b""}, "image: data length"),
        ({"height": HEIGHT * 3 // 2}, "image: data length"),  # the buffer's height, not the picture's
        ({"step": 2 * WIDTH}, "image: data length"),
        ({"step": WIDTH - 1}, "image: step"),
        ({"step": 0}, "image: step"),
        ({"step": 2**32 - 2}, "image: data length"),
        ({"height": 0}, "image: size"),
        ({"height": 2**32 - 2, "width": 2**32 - 2, "step": 2**32 - 2}, "image: size"),
    ],
)
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "i420"])
def test_malformed_ones_are_refused_by_reason(encoding, change, reason):
    image = message(encoding)
    for name, value in change.items():
        setattr(image, name, value)
    with pytest.raises(RefusedMessageError, match="expected") as refusal:
        rgb_from_message(image)
    assert refusal.value.reason == reason


def test_a_refusal_counts_the_rows_of_both_planes():
    image = message("nv12")
    image.data = bytes(300)
    with pytest.raises(
        RefusedMessageError, match="12 rows of 20 bytes and 6 of colour of 20 bytes = 360, got 300"
    ):
        rgb_from_message(image)


def test_planes_apart_need_an_even_step():
    with pytest.raises(RefusedMessageError, match="expected an even step for 'i420', got 21"):
        rgb_from_message(Image(height=2, width=20, encoding="i420", step=21, data=bytes(100)))
