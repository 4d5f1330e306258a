"""The size that an image file claims, read from its first bytes.

JPEG and PNG have modules of their own: they come over the network, and are looked through whole.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.heif import size_of_avif, size_of_heic

Size = tuple[int, int]

_PNM: Final = re.compile(rb"P[1-6](?:\s|#[^\n\r]*[\n\r])+(\d{1,9})(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})\s")
_EXR_WINDOW: Final = b"dataWindow\0box2i\0\x10\0\0\0"
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 256, 257, 322, 323
_TIFF_ORIENTATION, _UPRIGHT = 274, 1
_TIFF_NUMBERS: Final = {3: "H", 4: "I"}


def size_of_bmp(data: bytes) -> Size:
    """Read (H, W) of a BMP; its rows may run upwards or downwards."""
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = _unpack("<HH", data, 18)
    else:
        width, height = _unpack("<ii", data, 18)
    return abs(height), width


def size_of_pnm(data: bytes) -> Size:
    """Read (H, W) of a PBM, PGM or PPM."""
    head = _PNM.match(data)
    if head is None:
        raise InvalidInputError("expected width and height in its first line")
    return int(head[2]), int(head[1])


def size_of_tiff(data: bytes) -> Size:
    """Read (H, W) of the first picture in a TIFF, or of its tiles where they are larger."""
    found = _tiff_numbers(data)
    if _TIFF_WIDTH not in found or _TIFF_HEIGHT not in found:
        raise InvalidInputError("expected width and height in its first directory")
    return (
        max(found[_TIFF_HEIGHT], found.get(_TIFF_TILE_HEIGHT, 0)),
        max(found[_TIFF_WIDTH], found.get(_TIFF_TILE_WIDTH, 0)),
    )


def is_tiff_turned(data: bytes) -> bool:
    """Whether the first picture of a TIFF is to be turned or mirrored."""
    return _tiff_numbers(data).get(_TIFF_ORIENTATION, _UPRIGHT) != _UPRIGHT


def _tiff_numbers(data: bytes) -> dict[int, int]:
    """Read the entries of a TIFF's first directory that are one number, by tag."""
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = _unpack(f"{order}I", data, 4)
    (count,) = _unpack(f"{order}H", data, directory)
    found: dict[int, int] = {}
    for index in range(count):
        at = directory + 2 + 12 * index
        tag, kind, number = _unpack(f"{order}HHI", data, at)
        if number == 1 and kind in _TIFF_NUMBERS:
            (found[tag],) = _unpack(order + _TIFF_NUMBERS[kind], data, at + 8)
    return found


def size_of_webp(data: bytes) -> Size:
    """Read (H, W) of a WebP that is as long as it says."""
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise InvalidInputError("it is truncated")
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = _unpack("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        (bits,) = _unpack("<I", data, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8X":
        if len(data) < 30:
            raise InvalidInputError("it is truncated")
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    raise InvalidInputError("expected a VP8 picture")


def size_of_exr(data: bytes) -> Size:
    """Read (H, W) of an OpenEXR."""
    at = data[: 1 << 16].find(_EXR_WINDOW)
    if at < 0:
        raise InvalidInputError("expected a data window in its header")
    left, top, right, bottom = _unpack("<iiii", data, at + len(_EXR_WINDOW))
    return bottom - top + 1, right - left + 1


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise InvalidInputError("it is truncated") from error


SIZE_READERS: Final[dict[str, tuple[re.Pattern[bytes], Callable[[bytes], Size]]]] = {
    "BMP": (re.compile(rb"BM"), size_of_bmp),
    "PNM": (re.compile(rb"P[1-6]\s"), size_of_pnm),
    "TIFF": (re.compile(rb"II\*\0|MM\0\*"), size_of_tiff),
    "WebP": (re.compile(rb"RIFF....WEBP", re.DOTALL), size_of_webp),
    "OpenEXR": (re.compile(rb"v/1\x01"), size_of_exr),
    "AVIF": (re.compile(rb"\0\0..ftyp(?:....){0,16}?avi[fs]", re.DOTALL), size_of_avif),  # before HEIC's kin
    "HEIC": (re.compile(rb"\0\0..ftyp(?:....){0,16}?he[iv][cmsx]", re.DOTALL), size_of_heic),
}
"""By format: how it begins, and how its size is read."""
