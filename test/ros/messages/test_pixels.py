"""The memory of an Image is viewed as pixels, whatever its padding and byte order, and never read beyond."""

import sys

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import Image

from e2e_depth_ros.ros.messages.pixels import pixels_from_message, rows_of
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

WORDS = np.arange(15, dtype=np.uint16).reshape(3, 5) * 300


def image(values, padding=0, cut=0):
    """A message of these pixels, its rows padded, its data cut at the end."""
    rows = np.pad(values.reshape(len(values), -1).view(np.uint8), ((0, 0), (0, padding)), constant_values=9)
    message = Image(height=values.shape[0], width=values.shape[1], step=rows.shape[1], encoding="any")
    message.data = rows.tobytes()[: rows.size - cut]
    message.is_bigendian = int(sys.byteorder == "big")
    return message


def read(message, dtype=np.uint16, channels=1, max_pixels=100):
    return pixels_from_message(message, "image", np.dtype(dtype), channels, max_pixels=max_pixels)


@pytest.mark.parametrize("padding", [0, 1, 7])
def test_rows_may_be_padded_and_the_last_one_not(padding):
    np.testing.assert_array_equal(read(image(WORDS, padding)), WORDS)
    np.testing.assert_array_equal(read(image(WORDS, padding, cut=padding)), WORDS)
    with pytest.raises(RefusedMessageError) as refusal:
        read(image(WORDS, padding, cut=padding + 1))
    assert refusal.value.reason == "image: data length"


def test_channels_are_the_last_axis():
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(read(image(values, 5), np.uint8, 3), values)


def test_foreign_byte_order_is_swapped_and_bytes_have_none():
    message = image(WORDS.byteswap(), 3)
    message.is_bigendian = 1 - message.is_bigendian
    np.testing.assert_array_equal(read(message), WORDS)
    values = np.arange(8, dtype=np.uint8).reshape(2, 4)
    message = image(values)
    message.is_bigendian = 1 - message.is_bigendian
    np.testing.assert_array_equal(read(message, np.uint8), values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"height": 0}, "image: size"),
        ({"width": 0}, "image: size"),
        ({"height": 2**31, "width": 2**31}, "image: size"),
        ({"step": 9}, "image: step"),
        ({"height": 4}, "image: data length"),
    ],
)
def test_headers_that_lie_are_refused_by_reason(change, reason):
    message = image(WORDS)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(RefusedMessageError) as refusal:
        read(message)
    assert refusal.value.reason == reason


def test_the_limit_is_the_callers():
    assert read(image(WORDS), max_pixels=15).size == 15
    with pytest.raises(RefusedMessageError, match="max_image_pixels"):
        read(image(WORDS), max_pixels=14)


def test_rows_that_are_not_padded_are_not_copied():
    data = np.arange(12, dtype=np.uint8)
    assert np.shares_memory(rows_of(data, 3, 4, 4), data)
    assert rows_of(data, 3, 2, 4).tolist() == [[0, 1], [4, 5], [8, 9]]
