"""Image and CompressedImage messages to numpy arrays, and back.

This is the one place that decides what an encoding means; docs/images.md tells it to people. An encoding that
isn't named here says nothing of colours, or not in a way that is known, and is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from e2e_depth_ros.core.opencv_limits import MAX_PIXELS_OPENCV_READS
from e2e_depth_ros.core.sixteen_bits import eight_bits_from_sixteen
from e2e_depth_ros.ros.messages import planar_yuv
from e2e_depth_ros.ros.messages.compressed import (
    DEPTH_ENCODINGS,
    depth_from_compressed,
    packed_encoding,
    pixels_from_compressed,
)
from e2e_depth_ros.ros.messages.pixels import DEFAULT_MAX_PIXELS, pixels_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

EightBits = Callable[[NDArray[np.uint16], str], NDArray[np.uint8]]
"""Scales samples of 16 bits; it is told their encoding too."""

# encoding: (dtype, channels, conversion to RGB; None = as it is)
# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two:
# ROS "rggb" is OpenCV's "BayerBG".
_BAYER: Final = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
# OpenCV's types name no colours. Of 8 bits they come from who hands over an OpenCV image, in OpenCV's order,
# as cv_bridge guesses too (cvtColorForDisplay); of 16 bits they are read in the order of rgb16.
_COLOR_ENCODINGS: Final[dict[str, tuple[type[np.generic], int, int | None]]] = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "8UC3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "8UC4": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "rgb16": (np.uint16, 3, None),
    "bgr16": (np.uint16, 3, cv2.COLOR_BGR2RGB),
    "16UC3": (np.uint16, 3, None),
    "rgba16": (np.uint16, 4, cv2.COLOR_RGBA2RGB),
    "bgra16": (np.uint16, 4, cv2.COLOR_BGRA2RGB),
    "16UC4": (np.uint16, 4, cv2.COLOR_RGBA2RGB),
    "mono16": (np.uint16, 1, cv2.COLOR_GRAY2RGB),
    **{f"{pattern}8": (np.uint8, 1, code) for pattern, code in _BAYER.items()},
    **{f"{pattern}16": (np.uint16, 1, code) for pattern, code in _BAYER.items()},
    "yuv422": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
}
_PACKED_IN_PAIRS: Final = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")
COLOR_ENCODINGS: Final = (*_COLOR_ENCODINGS, *planar_yuv.ENCODINGS)
"""What `rgb_from_message` reads."""

_FROM_OPENCV: Final = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}  # by channels

DEPTH_ALONE: Final = frozenset(DEPTH_ENCODINGS) - frozenset(_COLOR_ENCODINGS)
"""Encodings of depth that no camera image has."""

_MASK_ENCODINGS: Final = ("mono8", "8UC1")


def _by_full_range(samples: NDArray[np.uint16], _: str) -> NDArray[np.uint8]:
    """As cv_bridge scales them."""
    return eight_bits_from_sixteen(samples, 16)


def rgb_from_message(
    message: Image | CompressedImage,
    *,
    eight_bits: EightBits = _by_full_range,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Decode a colour or grey image.

    Args:
        message: Image of one of `COLOR_ENCODINGS`, or CompressedImage that holds a JPEG or PNG.
        eight_bits: How samples of 16 bits are scaled; by default by their full range.
        max_pixels: More are refused.

    Returns:
        (H, W, 3), uint8, RGB, contiguous. Possibly a read-only view of the message's memory.

    Raises:
        RefusedMessageError: The message is empty, truncated, inconsistent, too large, or of an unknown
            encoding.
    """
    if hasattr(message, "format"):
        return _rgb_from_compressed(message, eight_bits, max_pixels)
    encoding = message.encoding
    if encoding in planar_yuv.ENCODINGS:
        return planar_yuv.rgb_from_planes(message, max_pixels=max_pixels)
    if encoding not in _COLOR_ENCODINGS:
        raise _unknown_encoding(encoding)
    dtype, channels, conversion = _COLOR_ENCODINGS[encoding]
    if encoding in _PACKED_IN_PAIRS and message.width % 2:
        raise RefusedMessageError(
            "image: size",
            f"expected an even width, as {encoding!r} packs pixels in pairs, got {message.width}",
        )
    pixels = pixels_from_message(message, "image", np.dtype(dtype), channels, max_pixels=max_pixels)
    return _rgb_from_pixels(pixels, encoding, conversion, eight_bits)


def depth_from_message(
    message: Image | CompressedImage, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Read a depth image (REP 118).

    Args:
        message: Image of encoding 32FC1 or 16UC1, or CompressedImage; see `compressed`.
        max_pixels: More are refused.

    Returns:
        (H, W): float32, metres along the optical axis, where NaN, inf and 0 mean no measurement; or uint16,
        millimetres, where 0 and 65535 do. `alignment.samples.samples_from_depth` takes both.

    Raises:
        RefusedMessageError: As in `rgb_from_message`.
    """
    if hasattr(message, "format"):
        return depth_from_compressed(message, max_pixels=max_pixels)
    dtype = DEPTH_ENCODINGS.get(message.encoding)
    if dtype is None:
        raise RefusedMessageError(
            "depth: encoding", f"expected one of {', '.join(DEPTH_ENCODINGS)}, got {message.encoding!r}"
        )
    return pixels_from_message(message, "depth", np.dtype(dtype), 1, max_pixels=max_pixels)


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
    limit = MAX_PIXELS_OPENCV_READS  # what isn't compressed has taken its memory already
    return np.asarray(pixels_from_message(message, "mask", np.dtype(np.uint8), 1, max_pixels=limit) > 127)


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


def _rgb_from_compressed(
    message: CompressedImage, eight_bits: EightBits, max_pixels: int
) -> NDArray[np.uint8]:
    encoding = packed_encoding(message)
    if encoding in DEPTH_ALONE:
        raise _unknown_encoding(encoding)
    pixels, file_format = pixels_from_compressed(message, "image", max_pixels=max_pixels)
    conversion = _FROM_OPENCV[1 if pixels.ndim == 2 else pixels.shape[2]]
    # image_transport packs a mosaic into a PNG as it is; for a JPEG it makes grey of it.
    if (
        encoding.startswith("bayer_")
        and encoding in _COLOR_ENCODINGS
        and file_format == "PNG"
        and pixels.ndim == 2
    ):
        conversion = _COLOR_ENCODINGS[encoding][2] or conversion
    else:
        encoding = file_format
    return _rgb_from_pixels(pixels, encoding, conversion, eight_bits)


def _rgb_from_pixels(
    pixels: NDArray[Any], encoding: str, conversion: int | None, eight_bits: EightBits
) -> NDArray[np.uint8]:
    if encoding.startswith("bayer") and min(pixels.shape[:2]) < 3:
        raise RefusedMessageError(
            "image: size",
            f"expected 3 x 3 or more for {encoding!r}, got {pixels.shape[0]} x {pixels.shape[1]}",
        )
    if pixels.dtype == np.uint16:
        pixels = eight_bits(pixels, encoding)
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion), dtype=np.uint8)


def _unknown_encoding(encoding: str) -> RefusedMessageError:
    hint = ""
    if encoding == "16UC1":
        hint = "; that is depth in millimetres (REP 118), a grey image is mono16"
    elif encoding.lower() in COLOR_ENCODINGS:
        hint = f"; is it {encoding.lower()!r}?"
    return RefusedMessageError(
        "image: encoding", f"expected one of {', '.join(COLOR_ENCODINGS)}, got {encoding!r}{hint}"
    )
