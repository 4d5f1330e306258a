"""Whatever an Image or CompressedImage holds, reading it gives pixels or a refusal."""

import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from e2e_depth_ros.ros.declarations.image_parameters import ImageParameters
from e2e_depth_ros.ros.inputs.image_reader import ImageReader
from e2e_depth_ros.ros.messages.images import COLOR_ENCODINGS, depth_from_message, mask_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from helpers.depth_packers import compressed_depth
from helpers.fuzzing import UINT8, UINT32, WORDS, fuzz, mutated, spoiled

PARAMETERS = ImageParameters(max_image_pixels=100_000)
HEIGHT, WIDTH = 8, 10

picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
depth_mm = np.where(picture[..., 0] < 60, 0, 700 + picture[..., 0].astype(np.uint16))


def bytes_of_a_row(encoding):
    """More than enough of the widest."""
    return WIDTH * 8 if "16" in encoding or "32" in encoding else WIDTH * 4


IMAGES = [
    Image(
        height=HEIGHT,
        width=WIDTH,
        encoding=name,
        step=bytes_of_a_row(name),
        data=bytes(bytes_of_a_row(name) * HEIGHT * 3),
    )
    for name in (*COLOR_ENCODINGS, "16UC1", "32FC1")
]
IMAGE_FIELDS = {
    "height": UINT32,
    "width": UINT32,
    "step": UINT32,
    "is_bigendian": UINT8,
    "encoding": st.one_of(
        WORDS, st.sampled_from([*COLOR_ENCODINGS, "32FC1", "32FC3", "16UC1", "8SC3", "RGB8"])
    ),
    "data": lambda data: st.one_of(spoiled(data), st.integers(0, 3000).map(bytes)),
}
FLAGS = {
    ".jpg": (
        [],
        [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
        [cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
    ),
    ".png": ([], [cv2.IMWRITE_PNG_COMPRESSION, 0]),
    ".webp": ([],),
    ".bmp": ([],),
    ".tiff": ([],),
}
COMPRESSED = [
    CompressedImage(format=name, data=cv2.imencode(suffix, values, flags)[1].tobytes())
    for suffix, choices in FLAGS.items()
    for flags in choices
    for name, values in (
        ("rgb8; compressed bgr8", picture),
        ("bayer_rggb8; png compressed ", picture[..., 0]),
    )
] + [CompressedImage(format="mono16; png compressed ", data=cv2.imencode(".png", depth_mm)[1].tobytes())]
DEPTHS = [
    compressed_depth(values, packing)
    for packing in ("png", "rvl")
    for values in (depth_mm, depth_mm.astype(np.float32) / 1000)
]
FORMATS = st.one_of(
    WORDS,
    st.sampled_from([message.format for message in COMPRESSED + DEPTHS]),
    st.sampled_from(
        ["16UC1", "32FC1", "jpeg", "png", "16UC1; compressedDepth", "bayer_grbg16; png compressed "]
    ),
)
COMPRESSED_FIELDS = {"format": FORMATS, "data": spoiled}


def with_true_checksums(data):
    """Give the chunks of a PNG the checksums of what they hold now, so that more of it is looked at."""
    data = bytearray(data)
    at = data.find(b"\x89PNG\r\n\x1a\n") + 8
    while at >= 8 and at + 12 <= len(data):
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        if end > len(data):
            break
        data[end - 4 : end] = struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))
        at = end
    return bytes(data)


def read_or_refused(read, message):
    """Anything that is raised besides fails the test."""
    try:
        return read(message)
    except RefusedMessageError:
        return None


def check_rgb(message, reader):
    rgb = read_or_refused(lambda image: reader.rgb(image, PARAMETERS), message)
    if rgb is not None:
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3
        assert rgb.shape[2] == 3
        assert 1 <= rgb.shape[0] * rgb.shape[1] <= PARAMETERS.max_image_pixels
    reader.status("depth")


def check_depth(message):
    depth = read_or_refused(lambda image: depth_from_message(image, max_pixels=100_000), message)
    if depth is not None:
        assert depth.dtype in (np.uint16, np.float32)
        assert depth.ndim == 2


@fuzz(mutated(IMAGES, IMAGE_FIELDS))
def test_images(message):
    check_rgb(message, ImageReader())
    check_depth(message)
    read_or_refused(mask_from_message, message)


@fuzz(mutated(COMPRESSED, COMPRESSED_FIELDS))
def test_compressed_images(message):
    reader = ImageReader()
    check_rgb(message, reader)
    message.data = with_true_checksums(message.data)
    check_rgb(message, reader)


@fuzz(mutated(DEPTHS + COMPRESSED, COMPRESSED_FIELDS))
def test_compressed_depth(message):
    check_depth(message)
    message.data = with_true_checksums(message.data)
    check_depth(message)


@pytest.mark.parametrize(
    "message",
    IMAGES + COMPRESSED + DEPTHS,
    ids=lambda message: getattr(message, "encoding", None) or message.format,
)
def test_what_is_mutated_is_read_by_something(message):
    """Else the tests above would pass in silence."""
    found = [read_or_refused(lambda image: ImageReader().rgb(image, PARAMETERS), message)]
    found.append(read_or_refused(depth_from_message, message))
    is_of_files_alone = bytes(getattr(message, "data", b""))[:2] in (b"BM", b"II", b"RI")
    assert is_of_files_alone != any(one is not None for one in found)
