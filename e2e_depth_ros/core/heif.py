"""HEIC and AVIF, as phones write them: libheif and libavif read them, by pillow-heif and Pillow.

Not OpenCV, though some builds have AVIF: it has no HEIC, and does not turn what is to be turned. Both formats
say themselves how a picture is turned (irot and imir of ISO/IEC 23008-12); a tag in Exif has no effect.
"""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

HEIF_FORMATS: Final = ("HEIC", "AVIF")

_BROKEN: Final = (OSError, ValueError, RuntimeError, EOFError, SyntaxError)  # what Pillow raises
_EXTENT: Final = re.compile(rb"\0\0\0\x14ispe\0{4}(?=(.{8}))", re.DOTALL)
_TURNED: Final = re.compile(rb"\0\0\0\x09(?:irot[\x01-\x03]|imir)")


def size_of_heic(data: bytes) -> tuple[int, int]:
    """Read (H, W) of a HEIC, upright, or of a part that claims more; no pixel is decoded.

    Raises:
        InvalidInputError: It is truncated or corrupt, or pillow-heif is missing.
    """
    return _largest(_opened_heic(data).size[::-1], data)


def size_of_avif(data: bytes) -> tuple[int, int]:
    """Read (H, W) of an AVIF, as stored, or of a part that claims more; no pixel is decoded.

    Raises:
        InvalidInputError: It is truncated or corrupt, or Pillow lacks AVIF.
    """
    return _largest(_opened_avif(data).size[::-1], data)


def is_turned(data: bytes) -> bool:
    """Whether a HEIC or AVIF is shown in another position than it is stored in."""
    return _TURNED.search(data) is not None


def decode_heif(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a HEIC or AVIF, turned upright. Ask for its size first.

    Args:
        data: The file.
        name: One of `HEIF_FORMATS`.

    Returns:
        (H, W, 3), BGR as OpenCV has it; more than 8 bits become 8.

    Raises:
        InvalidInputError: It is truncated or corrupt, or what reads it is missing.
    """
    from PIL import ImageOps  # noqa: PLC0415 - a robot without such files needs no Pillow

    opened = _opened_heic(data) if name == "HEIC" else _opened_avif(data)
    try:
        image: Image = opened.to_pillow() if name == "HEIC" else ImageOps.exif_transpose(opened)
        return np.ascontiguousarray(np.asarray(image.convert("RGB"), np.uint8)[..., ::-1])
    except _BROKEN as error:
        raise InvalidInputError(f"expected a whole {name}: {first_line(error)}") from error


def _largest(size: tuple[int, int], data: bytes) -> tuple[int, int]:
    """The library's size, or what a tile or another picture in the file claims, if that has more pixels."""
    claims = [struct.unpack(">II", found[1])[::-1] for found in _EXTENT.finditer(data)]
    return max([size, *claims], key=lambda claim: claim[0] * claim[1])


def _opened_heic(data: bytes) -> Any:
    try:
        import pillow_heif  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InvalidInputError(
            "expected the Python package pillow_heif, found none: pip install pillow-heif"
        ) from error
    try:
        return pillow_heif.open_heif(data)
    except _BROKEN as error:
        raise InvalidInputError(first_line(error)) from error


def _opened_avif(data: bytes) -> Any:
    try:
        from PIL.AvifImagePlugin import AvifImageFile  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InvalidInputError(
            'expected Pillow 11.3 or later, which reads AVIF, found none: pip install "pillow>=11.3"'
        ) from error
    try:
        return AvifImageFile(io.BytesIO(data))  # unlike Image.open it takes 200 megapixels
    except _BROKEN as error:
        raise InvalidInputError(first_line(error)) from error
