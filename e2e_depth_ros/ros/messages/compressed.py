"""CompressedImage messages to arrays, as image_transport's compressed and compressedDepth send them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import CAMERA_FORMATS, check_size, encoded_image
from e2e_depth_ros.core.rvl import unpack_rvl
from e2e_depth_ros.ros.messages.pixels import PIXEL_LIMIT
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, refused_as

DEPTH_ENCODINGS: Final[Mapping[str, type[np.generic]]] = {
    "16UC1": np.uint16,
    "mono16": np.uint16,
    "32FC1": np.float32,
}
"""What depth images may be, packed or not, and the type of their pixels."""

_DEPTH_HEADER: Final = struct.Struct("<iff")  # kind, and the two numbers of the quantisation of 32FC1
_RVL_SIZE: Final = struct.Struct("<II")  # width and height


def packed_encoding(message: Any) -> str:
    """What was packed, as in "16UC1; png compressed "; a driver that names the packing alone gives that."""
    return str(message.format).partition(";")[0].strip()


def pixels_from_compressed(message: Any, what: str, *, max_pixels: int) -> tuple[NDArray[Any], str]:
    """Decode a JPEG or PNG.

    Args:
        message: CompressedImage.
        what: What refusals call it.
        max_pixels: More are refused, before they take memory.

    Returns:
        (H, W) or (H, W, C), of 8 or 16 bits, in OpenCV's order (BGR); and "JPEG" or "PNG".

    Raises:
        RefusedMessageError: It is empty, truncated, corrupt, too large, or of another format.
    """
    return _decoded(bytes(message.data), what, message, CAMERA_FORMATS, max_pixels)


def depth_from_compressed(message: Any, *, max_pixels: int) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Read a depth image that came by the transport compressedDepth, or as a PNG by compressed.

    `format` tells what the image was: "16UC1; compressedDepth png", "32FC1; compressedDepth rvl", or no more
    than "16UC1" from older senders. Then 12 bytes stand before the PNG or RVL. 32FC1 goes as inverse depth.

    Args:
        message: CompressedImage.
        max_pixels: More are refused, before they take memory.

    Returns:
        As `images.depth_from_message`.

    Raises:
        RefusedMessageError: It is no depth image, truncated, corrupt or too large.
    """
    encoding, _, transport = (part.strip() for part in message.format.partition(";"))
    data = bytes(message.data)
    if "compressedDepth" not in transport and (transport or encoding not in DEPTH_ENCODINGS):
        _check(encoding != "32FC1", "a PNG of 16UC1", message)
        return _sixteen_bits(data, message, max_pixels)
    _check(encoding in DEPTH_ENCODINGS, f"depth of one of {', '.join(DEPTH_ENCODINGS)}", message)
    if len(data) <= _DEPTH_HEADER.size:
        raise RefusedMessageError(
            "depth: compressed data", f"expected more than {_DEPTH_HEADER.size} bytes, got {len(data)}"
        )
    _, scale, offset = _DEPTH_HEADER.unpack_from(data)
    packing = transport.partition("compressedDepth")[2].strip() or "png"
    _check(packing in ("png", "rvl"), "compressedDepth as png or rvl", message)
    read = _from_rvl if packing == "rvl" else _sixteen_bits
    values = read(data[_DEPTH_HEADER.size :], message, max_pixels)
    return _depth_from_inverse(values, scale, offset) if encoding == "32FC1" else values


def _check(is_right: bool, wanted: str, message: Any) -> None:
    if not is_right:
        raise RefusedMessageError("depth: compressed format", f"expected {wanted}, got {message.format!r}")


def _sixteen_bits(data: bytes, message: Any, max_pixels: int) -> NDArray[np.uint16]:
    values, _ = _decoded(data, "depth", message, ("PNG",), max_pixels)
    if values.ndim != 2 or values.dtype != np.uint16:
        raise RefusedMessageError(
            "depth: compressed data",
            f"expected one channel of 16 bits in {message.format!r}, got {values.dtype} {values.shape}",
        )
    return values


def _from_rvl(data: bytes, _: Any, max_pixels: int) -> NDArray[np.uint16]:
    if len(data) < _RVL_SIZE.size:
        raise RefusedMessageError(
            "depth: compressed data", f"expected an image in RVL, got {len(data)} bytes"
        )
    width, height = _RVL_SIZE.unpack_from(data)
    with refused_as("depth: size"):
        check_size(height, width, max_pixels=max_pixels, limit=PIXEL_LIMIT)
    try:
        return unpack_rvl(data[_RVL_SIZE.size :], (height, width))
    except InvalidInputError as error:
        raise RefusedMessageError("depth: compressed data", str(error)) from error


def _depth_from_inverse(values: NDArray[np.uint16], scale: float, offset: float) -> NDArray[np.float32]:
    """Undo the quantisation: metres are scale / (value - offset), and 0 is no measurement."""
    if not (np.isfinite(scale) and np.isfinite(offset) and scale > 0):
        raise RefusedMessageError(
            "depth: compressed data", f"expected a finite quantisation, got {scale!r} and {offset!r}"
        )
    with np.errstate(divide="ignore"):
        depth_m = np.float32(scale) / (values.astype(np.float32) - np.float32(offset))
    is_depth = (values > 0) & (depth_m > 0) & np.isfinite(depth_m)
    depth_m[~is_depth] = np.nan
    return np.asarray(depth_m, dtype=np.float32)


def _decoded(
    data: bytes, what: str, message: Any, formats: tuple[str, ...], max_pixels: int
) -> tuple[NDArray[Any], str]:
    with refused_as(f"{what}: compressed data", f" (format {message.format!r})"):
        image = encoded_image(data, formats=formats)
        with refused_as(f"{what}: size"):
            check_size(*image.size, max_pixels=max_pixels, limit=PIXEL_LIMIT)
        # Unchanged by its EXIF tag too: a camera's rows are what its CameraInfo describes.
        return image.decode(cv2.IMREAD_UNCHANGED), image.format
