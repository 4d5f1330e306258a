"""Image and CompressedImage messages to numpy arrays, and back.

This is the one place that decides how images are decoded. The usual encodings are read here, straight from
the message's memory. Whatever else a driver may send goes to the `cv_bridge` of the ROS distribution, or,
where none is installed or it doesn't work with this numpy, to `rosbags-image`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from e2e_depth_ros.ros.refusal import RefusedMessageError

MAX_PIXELS: Final = 1 << 26
"""Larger images (67 megapixels) are taken for corrupt: decoding one would exhaust a robot's memory."""

# encoding: (dtype, channels, conversion to RGB; None = as it is)
# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two:
# ROS "rggb" is OpenCV's "BayerBG".
_COLOR_ENCODINGS: Final[dict[str, tuple[type[np.generic], int, int | None]]] = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "8UC3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "8UC4": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "mono16": (np.uint16, 1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (np.uint8, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (np.uint8, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (np.uint8, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (np.uint8, 1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": (np.uint16, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": (np.uint16, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": (np.uint16, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": (np.uint16, 1, cv2.COLOR_BayerGB2RGB),
    "yuv422": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
}
_PACKED_IN_PAIRS: Final = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")
_DEPTH_ENCODINGS: Final[dict[str, type[np.generic]]] = {
    "16UC1": np.uint16,
    "mono16": np.uint16,
    "32FC1": np.float32,
}

_MASK_ENCODINGS: Final = ("mono8", "8UC1")


def rgb_from_message(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Decode a colour or grey image.

    Args:
        message: Image of any usual encoding, or CompressedImage (JPEG, PNG and what else OpenCV reads).
            16-bit images are scaled to 8 bit by their full range, as cv_bridge does.

    Returns:
        (H, W, 3), uint8, RGB, contiguous. Possibly a read-only view of the message's memory.

    Raises:
        RefusedMessageError: The message is empty, truncated, inconsistent, too large, or of an unknown
            encoding.
    """
    if hasattr(message, "format"):
        return _rgb_from_compressed(message)
    if message.encoding not in _COLOR_ENCODINGS:
        return _rgb_by_bridge(message)
    dtype, channels, conversion = _COLOR_ENCODINGS[message.encoding]
    if message.encoding in _PACKED_IN_PAIRS and message.width % 2:
        raise RefusedMessageError(
            "image: size",
            f"expected an even width, as {message.encoding!r} packs pixels in pairs, got {message.width}",
        )
    pixels = _pixels(message, "image", np.dtype(dtype), channels)
    if conversion is None:
        return pixels
    if message.encoding.startswith("bayer") and min(message.height, message.width) < 3:
        raise RefusedMessageError(
            "image: size",
            f"expected 3 x 3 or more for {message.encoding!r}, got {message.height} x {message.width}",
        )
    rgb: NDArray[Any] = cv2.cvtColor(pixels, conversion)
    if rgb.dtype == np.uint16:
        rgb = cv2.convertScaleAbs(rgb, alpha=255 / 65535)
    return rgb


def depth_from_message(message: Image) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Read a depth image (REP 118).

    Args:
        message: Image of encoding 32FC1 or 16UC1.

    Returns:
        (H, W): float32, metres along the optical axis, where NaN, inf and 0 mean no measurement; or uint16,
        millimetres, where 0 and 65535 do. `alignment.samples.samples_from_depth` takes both.

    Raises:
        RefusedMessageError: As in `rgb_from_message`.
    """
    dtype = _DEPTH_ENCODINGS.get(message.encoding)
    if dtype is None:
        raise RefusedMessageError(
            "depth: encoding", f"expected one of {', '.join(_DEPTH_ENCODINGS)}, got {message.encoding!r}"
        )
    return _pixels(message, "depth", np.dtype(dtype), 1)


def mask_from_message(message: Image) -> NDArray[np.bool_]:
    """Read a mask.

    Args:
        message: Image of encoding mono8 or 8UC1, 255 where masked.

    Returns:
        (H, W), True where a pixel is above 127.

    Raises:
        RefusedMessageError: As in `rgb_from_message`.
    """
    if message.encoding not in _MASK_ENCODINGS:
        raise RefusedMessageError(
            "mask: encoding", f"expected one of {', '.join(_MASK_ENCODINGS)}, got {message.encoding!r}"
        )
    return np.asarray(_pixels(message, "mask", np.dtype(np.uint8), 1) > 127)


def message_from_array(values: NDArray[Any], encoding: str, header: Any) -> Image:
    """Make an Image message without touching single pixels in Python.

    Args:
        values: (H, W) or (H, W, C); its memory layout must be what the encoding names.
        encoding: Say "32FC1" for metres in float32.
        header: Copied by reference: stamp and frame of the image that the values belong to.

    Returns:
        The message, with its own copy of the values.
    """
    values = np.ascontiguousarray(values)
    message = Image()
    message.header = header
    message.height, message.width = values.shape[:2]
    message.encoding = encoding
    message.is_bigendian = sys.byteorder == "big"
    message.step = values.strides[0]
    # Assigning to `data` may copy or even walk through its bytes; growing the array that is there doesn't.
    message.data.frombytes(values.data.cast("B"))
    return message


def _pixels(message: Image, what: str, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    """View the message's data as (H, W) or (H, W, C), without row padding, in native byte order."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    _check_size(what, height, width)
    row = width * channels * dtype.itemsize
    if step < row:
        raise RefusedMessageError(
            f"{what}: step",
            f"expected at least {row} bytes a row for {width} pixels of {message.encoding!r}, got {step}",
        )
    # Some drivers leave the padding of the last row out.
    expected = (height - 1) * step + row
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size < expected:
        raise RefusedMessageError(
            f"{what}: data length",
            f"expected {height} rows of {step} bytes = {height * step}, got {data.size}",
        )
    if step == row:
        rows = data[: height * row].reshape(height, row)
    else:
        rows = np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)
        rows = np.ascontiguousarray(rows)
    pixels = rows.view(dtype).reshape((height, width) if channels == 1 else (height, width, channels))
    if dtype.itemsize > 1 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        pixels = pixels.byteswap()
    return pixels


def _check_size(what: str, height: int, width: int) -> None:
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise RefusedMessageError(
            f"{what}: size", f"expected 1 to {MAX_PIXELS} pixels, got height {height} and width {width}"
        )


def _rgb_from_compressed(message: CompressedImage) -> NDArray[np.uint8]:
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size == 0:
        raise RefusedMessageError(
            "image: compressed data", f"expected an image, got no data (format {message.format!r})"
        )
    size = _size_from_compressed(data)
    if size is not None:
        _check_size("image", *size)
    try:
        # A camera's rows are what its CameraInfo describes, whatever an EXIF tag says about eyes.
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise RefusedMessageError("image: compressed data", f"OpenCV refuses it: {error.err}") from error
    if bgr is None:
        raise RefusedMessageError(
            "image: compressed data",
            f"expected an image that OpenCV reads, got {data.size} bytes of format {message.format!r}",
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)


def _size_from_compressed(data: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Read (H, W) from the head of a PNG or JPEG, before memory is taken for its pixels."""
    head = data[: 1 << 16].tobytes()
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    if not head.startswith(b"\xff\xd8"):
        return None
    at = 2  # of the next marker: 0xff, type, length (2 bytes, counts itself)
    while at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # start of frame
            return int.from_bytes(head[at + 5 : at + 7], "big"), int.from_bytes(head[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _rgb_by_bridge(message: Image) -> NDArray[np.uint8]:
    known = f"expected one of {', '.join(_COLOR_ENCODINGS)}, got {message.encoding!r}"
    _check_size("image", int(message.height), int(message.width))
    bridge = _bridge()
    if bridge is None:
        raise RefusedMessageError("image: encoding", known)
    try:
        rgb = np.ascontiguousarray(bridge(message))
    except Exception as error:  # these libraries raise whatever their helpers raise
        raise RefusedMessageError("image: encoding", f"{known} ({error})") from error
    if rgb.shape != (message.height, message.width, 3) or rgb.dtype != np.uint8:
        raise RefusedMessageError("image: encoding", known)
    return rgb


@lru_cache(maxsize=1)
def _bridge() -> Callable[[Image], NDArray[Any]] | None:
    """Choose the library for rare encodings: cv_bridge if it works here, else rosbags-image, else none."""
    # A cv_bridge that was built for another numpy raises AttributeError, ImportError or SystemError.
    with contextlib.suppress(Exception):
        from cv_bridge import CvBridge  # noqa: PLC0415

        bridge = CvBridge()
        probe = message_from_array(np.zeros((2, 3, 3), np.uint16), "rgb16", Image().header)
        bridge.imgmsg_to_cv2(probe, "rgb8")
        return lambda message: bridge.imgmsg_to_cv2(message, "rgb8")
    try:
        from rosbags.image import message_to_cvimage  # noqa: PLC0415
    except ImportError:
        return None
    return lambda message: message_to_cvimage(message, "rgb8")
