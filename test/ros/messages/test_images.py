import array
import re
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from e2e_depth_ros.ros.messages.images import (
    COLOR_ENCODINGS,
    depth_from_message,
    mask_from_message,
    message_from_array,
    rgb_from_message,
)
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

HEIGHT, WIDTH = 6, 10


def make_message(values, encoding, padding=0, bigendian=False):
    values = np.ascontiguousarray(values)
    rows = values.reshape(values.shape[0], -1)
    if bigendian:
        rows = rows.astype(rows.dtype.newbyteorder(">"))
    raw = rows.view(np.uint8)
    raw = np.pad(raw, ((0, 0), (0, padding)), constant_values=255)
    return Image(
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        step=raw.shape[1],
        is_bigendian=int(bigendian),
        data=raw.tobytes(),
    )


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
def test_rgb8_keeps_its_channel_order(rgb, padding):
    np.testing.assert_array_equal(rgb_from_message(make_message(rgb, "rgb8", padding)), rgb)


def test_rgb8_is_a_view_without_a_copy(rgb):
    message = make_message(rgb, "rgb8")
    assert np.shares_memory(rgb_from_message(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 0]), ("bgra8", [2, 1, 0, 0]), ("8UC3", [2, 1, 0])],
)
def test_channel_orders(rgb, encoding, order, padding):
    message = make_message(rgb[..., order], encoding, padding)
    np.testing.assert_array_equal(rgb_from_message(message), rgb)


def test_mono8_fills_three_channels(rgb):
    decoded = rgb_from_message(make_message(rgb[..., 0], "mono8", 2))
    np.testing.assert_array_equal(decoded, np.repeat(rgb[..., :1], 3, axis=2))


@pytest.mark.parametrize("bigendian", [False, True])
def test_mono16_scales_its_full_range(bigendian):
    values = np.array([[0, 257, 65535], [32896, 128, 129]], np.uint16)
    decoded = rgb_from_message(make_message(values, "mono16", bigendian=bigendian))
    np.testing.assert_array_equal(decoded[..., 1], [[0, 1, 255], [128, 0, 1]])


@pytest.mark.parametrize(
    ("encoding", "red", "green", "blue"),
    [
        ("bayer_rggb8", (0, 0), (0, 1), (1, 1)),
        ("bayer_bggr8", (1, 1), (0, 1), (0, 0)),
        ("bayer_gbrg8", (1, 0), (0, 0), (0, 1)),
        ("bayer_grbg8", (0, 1), (0, 0), (1, 0)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_bayer_pattern_names_the_first_pixels(encoding, red, green, blue, dtype):
    full = np.iinfo(dtype).max // 255
    mosaic = np.full((8, 12), 120 * full, dtype)  # both greens
    mosaic[red[0] :: 2, red[1] :: 2] = 200 * full
    mosaic[blue[0] :: 2, blue[1] :: 2] = 40 * full
    assert mosaic[green] == 120 * full
    decoded = rgb_from_message(make_message(mosaic, encoding.replace("8", str(8 * dtype().itemsize))))
    np.testing.assert_array_equal(decoded[3, 5], [200, 120, 40])


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuyv", "yuyv"), ("yuv422_yuy2", "yuyv")],
)
def test_yuv422_packings(encoding, order):
    luma, u, v = 120, 110, 170  # a dull red
    pixels = np.zeros((4, 6, 2), np.uint8)
    y_at, c_at = (1, 0) if order == "uyvy" else (0, 1)
    pixels[..., y_at] = luma
    pixels[:, 0::2, c_at] = u
    pixels[:, 1::2, c_at] = v
    red, green, blue = rgb_from_message(make_message(pixels, encoding))[2, 3].astype(int)
    # ITU-R BT.601, studio range
    assert abs(red - (1.164 * (luma - 16) + 1.596 * (v - 128))) <= 2
    assert abs(green - (1.164 * (luma - 16) - 0.813 * (v - 128) - 0.391 * (u - 128))) <= 2
    assert abs(blue - (1.164 * (luma - 16) + 2.018 * (u - 128))) <= 2


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 2, 5])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [
        ("rgb16", [0, 1, 2]),
        ("bgr16", [2, 1, 0]),
        ("16UC3", [0, 1, 2]),
        ("rgba16", [0, 1, 2, 0]),
        ("bgra16", [2, 1, 0, 0]),
        ("16UC4", [0, 1, 2, 0]),
    ],
)
def test_channel_orders_of_sixteen_bits(rgb, encoding, order, padding, bigendian):
    message = make_message(rgb[..., order].astype(np.uint16) * 257, encoding, padding, bigendian)
    np.testing.assert_array_equal(rgb_from_message(message), rgb)


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_of_sixteen_bits_is_that_of_eight(rgb, pattern, bigendian, padding):
    eight = rgb_from_message(make_message(rgb[..., 0], f"bayer_{pattern}8", padding))
    message = make_message(rgb[..., 0].astype(np.uint16) * 257, f"bayer_{pattern}16", padding, bigendian)
    np.testing.assert_array_equal(rgb_from_message(message), eight)


OPENCV_TYPES = {
    f"{prefix}C{channels}": np.dtype(dtype)
    for prefix, dtype in {
        "8U": "u1",
        "8S": "i1",
        "16U": "u2",
        "16S": "i2",
        "32S": "i4",
        "32F": "f4",
        "64F": "f8",
    }.items()
    for channels in (1, 2, 3, 4, 5)
}
NAMED = {"8UC1", "8UC3", "8UC4", "16UC3", "16UC4"}


@pytest.mark.parametrize("encoding", sorted(set(OPENCV_TYPES) - NAMED))
def test_types_without_colours_are_refused_by_name(encoding):
    channels = int(encoding[-1])
    values = np.linspace(0, 1, 6 * 8 * channels).reshape(6, 8, channels).astype(OPENCV_TYPES[encoding])
    with pytest.raises(RefusedMessageError, match=f"got '{encoding}'") as refusal:
        rgb_from_message(make_message(values, encoding))
    assert refusal.value.reason == "image: encoding"


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [
        ("RGB8", "is it 'rgb8'?"),
        ("Mono16", "is it 'mono16'?"),
        ("NV12", "is it 'nv12'?"),
        ("16UC1", "depth in"),
    ],
)
def test_what_was_meant_is_asked(rgb, encoding, hint):
    with pytest.raises(RefusedMessageError, match=hint.replace("?", r"\?")):
        rgb_from_message(make_message(rgb, encoding))


@pytest.mark.parametrize(
    "encoding", ["", " ", "rgb8 ", "jpeg", "8UC", "32FC", "TYPE_8UC3", "\0", "rgb8\n", "é"]
)
def test_other_words_are_refused(rgb, encoding):
    with pytest.raises(RefusedMessageError) as refusal:
        rgb_from_message(make_message(rgb, encoding))
    assert refusal.value.reason == "image: encoding"


def test_the_page_names_every_encoding():
    page = (Path(__file__).resolve().parents[3] / "docs" / "images.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", page))
    for encoding in COLOR_ENCODINGS:
        assert encoding in named or (encoding.startswith("bayer_") and f"bayer_*{encoding[10:]}" in named)


def test_a_limit_is_the_callers(rgb):
    for read, encoding in ((rgb_from_message, "rgb8"), (depth_from_message, "16UC1")):
        values = rgb if encoding == "rgb8" else rgb[..., 0].astype(np.uint16)
        message = make_message(values, encoding)
        assert read(message, max_pixels=60).shape[:2] == (6, 10)
        with pytest.raises(
            RefusedMessageError, match="max_image_pixels = 59 pixels, got height 6 and width 10"
        ):
            read(message, max_pixels=59)
    assert mask_from_message(make_message(rgb[..., 0], "mono8")).shape == (6, 10)


def test_compressed_png_is_exact_and_rgb(rgb):
    data = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(rgb_from_message(CompressedImage(format="png", data=data)), rgb)


def test_compressed_jpeg_ignores_exif_rotation():
    rgb = np.full((16, 32, 3), (200, 60, 20), np.uint8)
    data = cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    decoded = rgb_from_message(CompressedImage(format="rgb8; jpeg compressed bgr8", data=data))
    assert decoded.shape == rgb.shape
    np.testing.assert_allclose(decoded.astype(int), rgb, atol=6)


@pytest.mark.parametrize("bigendian", [False, True])
def test_depth_16uc1_keeps_its_millimetres(bigendian):
    values = np.array([[0, 1500, 65535], [1, 2, 40000]], np.uint16)
    depth = depth_from_message(make_message(values, "16UC1", 4, bigendian))
    assert depth.dtype == np.uint16
    np.testing.assert_array_equal(depth, values)


def test_depth_32fc1_is_metres():
    values = np.array([[np.nan, 1.5, np.inf], [0, 2, 40]], np.float32)
    np.testing.assert_array_equal(depth_from_message(make_message(values, "32FC1")), values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": b"\0" * 20}, "image: data length"),
        ({"data": b""}, "image: data length"),
        ({"step": WIDTH * 3 - 1}, "image: step"),
        ({"step": WIDTH * 4}, "image: data length"),
        ({"encoding": "rgb7"}, "image: encoding"),
        ({"encoding": ""}, "image: encoding"),
        ({"height": 0}, "image: size"),
        ({"width": 0}, "image: size"),
        ({"height": 2**32 - 1, "width": 2**32 - 1}, "image: size"),
        ({"encoding": "yuv422", "width": WIDTH - 1}, "image: size"),
        ({"encoding": "bayer_rggb8", "height": 2}, "image: size"),
    ],
)
def test_malformed_image_is_refused_by_reason(rgb, change, reason):
    message = make_message(rgb, "rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(RefusedMessageError, match="expected") as refusal:
        rgb_from_message(message)
    assert refusal.value.reason == reason


def test_refusal_names_expected_and_actual(rgb):
    message = make_message(rgb, "rgb8")
    message.data = bytes(170)
    with pytest.raises(RefusedMessageError, match="expected 6 rows of 30 bytes = 180, got 170"):
        rgb_from_message(message)


def test_missing_padding_of_the_last_row_is_accepted(rgb):
    message = make_message(rgb, "rgb8", padding=7)
    message.data = message.data[:-7]
    np.testing.assert_array_equal(rgb_from_message(message), rgb)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"not an image at all", bytes(64)], ids=["empty", "stub", "text", "zeros"]
)
def test_malformed_compressed_image_is_refused(data):
    with pytest.raises(RefusedMessageError) as refusal:
        rgb_from_message(CompressedImage(format="jpeg", data=data))
    assert refusal.value.reason == "image: compressed data"


def test_a_video_is_refused_by_its_name():
    with pytest.raises(RefusedMessageError, match=r"of JPEG, PNG, got 5 bytes.*\(format 'h264'\)"):
        rgb_from_message(CompressedImage(format="h264", data=b"\0\0\0\x01\x67"))


def test_half_a_jpeg_is_refused_however_it_ends():
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    half = data[: len(data) // 2]
    for cut in (half, half + bytes(len(half)), half + b"\xff\xd9", half + bytes(len(half)) + b"\xff\xd9"):
        with pytest.raises(RefusedMessageError, match="truncated") as refusal:
            rgb_from_message(CompressedImage(format="jpeg", data=cut))
        assert refusal.value.reason == "image: compressed data"
    filled = data[:2] + b"\xff\xff" + data[2:]
    np.testing.assert_array_equal(
        rgb_from_message(CompressedImage(format="jpeg", data=filled)),
        rgb_from_message(CompressedImage(format="jpeg", data=data)),
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_huge_compressed_image_is_refused_by_its_head(suffix):
    data = bytearray(cv2.imencode(suffix, np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    if suffix == ".png":
        data[16:24] = (60000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    else:
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = (60000).to_bytes(2, "big") * 2
    with pytest.raises(
        RefusedMessageError, match="max_image_pixels = 25000000 pixels, got height 60000 and width 60000"
    ) as refusal:
        rgb_from_message(CompressedImage(format="any", data=bytes(data)))
    assert refusal.value.reason == "image: size"


def test_depth_of_another_encoding_is_refused(rgb):
    with pytest.raises(RefusedMessageError, match="expected one of 16UC1, mono16, 32FC1, got 'rgb8'"):
        depth_from_message(make_message(rgb, "rgb8"))


def test_message_from_array_round_trip():
    values = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    header = Header(frame_id="camera")
    message = message_from_array(values, "32FC1", header)
    assert (message.height, message.width, message.step) == (5, 7, 28)
    assert bool(message.is_bigendian) == (sys.byteorder == "big")
    assert message.header.frame_id == "camera"
    assert isinstance(message.data, array.array)
    np.testing.assert_array_equal(depth_from_message(message), values)
