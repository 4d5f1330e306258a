"""Encoded images to pixels: the one way in for files and for what comes over the network.

A few hundred bytes may claim gigapixels, and a decoder believes them. So a format must be one of a short
list, its header is read here first, and only an image of a size that someone asked for reaches OpenCV. What
OpenCV would take without a word, though a part is missing, is refused. OpenCV's own limits, which
`e2e_depth_ros` sets before it is loaded, stand behind that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core import jpeg, png
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.heif import HEIF_FORMATS, decode_heif, is_turned
from e2e_depth_ros.core.image_heads import SIZE_READERS, is_tiff_turned
from e2e_depth_ros.core.opencv_limits import MAX_PIXELS_OPENCV_READS, MAX_SIDE_OPENCV_READS
from e2e_depth_ros.core.sixteen_bits import bits_in_use, eight_bits_from_sixteen
from e2e_depth_ros.core.user_file import read_file

CAMERA_FORMATS: Final = ("JPEG", "PNG")
"""What drivers and image transports send."""
FILE_FORMATS: Final = ("JPEG", "PNG", "BMP", "PNM", "TIFF", "WebP", *HEIF_FORMATS)
"""What `predict` and `evaluate` read."""
MAX_FILE_PIXELS: Final = MAX_PIXELS_OPENCV_READS
"""Larger image files are refused. 200 megapixels are what the largest cameras of phones write."""
MAX_FILE_BYTES: Final = 6 * MAX_FILE_PIXELS + (1 << 20)
"""Larger ones are refused unread: so many pixels have it without compression, in 16 bits, with a header."""

_GREY_FILL: Final = 128  # what libjpeg shows where it has no data
_BLOCK_PX: Final = 8


@dataclass(frozen=True)
class EncodedImage:
    """An image whose format is known and whose bytes are whole, as far as that shows without decoding it.

    Attributes:
        format: Say "JPEG".
        size: (H, W) that its header claims. Check it before `decode`.
        data: What the decoder is to get.
    """

    format: str
    size: tuple[int, int]
    data: bytes
    _png: png.Png | None = None

    def decode(self, flags: int) -> NDArray[Any]:
        """Decode it as OpenCV does, its channels in OpenCV's order.

        Args:
            flags: Of cv2.imdecode. HEIC and AVIF become three channels of 8 bits whatever they say.

        Raises:
            InvalidInputError: OpenCV can't, or a part of the picture is missing; or it is a HEIC, AVIF or
                TIFF that is to be turned, and `flags` forbid that.
        """
        if flags & cv2.IMREAD_IGNORE_ORIENTATION and self._is_always_turned():
            raise InvalidInputError(
                f"expected rows in the order of a calibration, got {self.format} that is turned"
            )
        if self.format in HEIF_FORMATS:
            return decode_heif(self.data, self.format)
        if self._png is not None:
            self._png.check_pixels()
        pixels = _decoded(self.data, flags)
        if self.format == "JPEG" and _ends_in_grey(pixels) and _is_filled(self.data):
            continued = _decoded(jpeg.with_more_data(self.data), flags)
            if not np.array_equal(pixels, continued):
                raise InvalidInputError(
                    "expected a whole JPEG, got one that is truncated before its end marker"
                )
        return pixels

    def _is_always_turned(self) -> bool:
        """Whether it comes out turned or mirrored, even where the decoder is told to leave that."""
        if self.format == "TIFF":  # OpenCV heeds the flag in other formats only
            return is_tiff_turned(self.data)
        return self.format in HEIF_FORMATS and is_turned(self.data)


def encoded_image(
    data: bytes, *, formats: tuple[str, ...] = FILE_FORMATS, keep_orientation: bool = False
) -> EncodedImage:
    """Look at an encoded image without decoding it.

    Args:
        data: The file.
        formats: Those that are allowed.
        keep_orientation: Whether its orientation tag will be asked for.

    Raises:
        InvalidInputError: It is of no allowed format, truncated or corrupt.
    """
    if data.startswith(jpeg.MAGIC) and "JPEG" in formats:
        return EncodedImage("JPEG", jpeg.check_jpeg(data), data)
    if data.startswith(png.MAGIC) and "PNG" in formats:
        whole = png.check_png(data, keep_orientation=keep_orientation)
        return EncodedImage("PNG", whole.size, whole.stripped, whole)
    for name, (magic, read_size) in SIZE_READERS.items():
        if name in formats and magic.match(data):
            try:
                return EncodedImage(name, read_size(data), data)
            except InvalidInputError as error:
                raise InvalidInputError(f"expected a whole {name}: {error}") from error
    raise InvalidInputError(
        f"expected an image of {', '.join(formats)}, got {len(data)} bytes that begin with {data[:8]!r}"
    )


def read_image(path: Path, *, upright: bool = True) -> NDArray[np.uint8]:
    """Read an image file of one of `FILE_FORMATS`.

    Args:
        path: The file.
        upright: Whether to follow its orientation tag; a calibration describes the rows as they are stored.

    Returns:
        (H, W, 3), uint8, RGB. Of 16 bits those in use are shown, see `sixteen_bits`.

    Raises:
        InvalidInputError: It does not exist, is truncated, too large, or no image.
    """
    return decode_image(read_file(path, MAX_FILE_BYTES), path, upright=upright)


def decode_image(data: bytes, path: Path | str, *, upright: bool = True) -> NDArray[np.uint8]:
    """Decode the bytes of an image file; see `read_image`.

    Args:
        data: What the file holds.
        path: What to call it in errors.
        upright: Whether to follow its orientation tag.

    Raises:
        InvalidInputError: It is truncated, too large or no image.
    """
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    bgr = decode_pixels(data, path, flags)
    if bgr.dtype == np.uint16:
        bgr = eight_bits_from_sixteen(bgr, bits_in_use(bgr))
    if bgr.dtype != np.uint8:
        raise InvalidInputError(f"expected an image of 8 or 16 bits in {path}, got {bgr.dtype}")
    if bgr.shape[:2] == (1, 1):  # OpenCV 4.5 turns no single pixel
        return np.ascontiguousarray(bgr[..., ::-1])
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)  # 30 times as fast as NumPy


def decode_pixels(
    data: bytes, path: Path | str, flags: int, *, formats: tuple[str, ...] = FILE_FORMATS
) -> NDArray[Any]:
    """Decode the bytes of an image file as OpenCV does, its channels in OpenCV's order.

    Args:
        data: What the file holds.
        path: What to call it in errors.
        flags: Of cv2.imdecode.
        formats: Those that are allowed.

    Raises:
        InvalidInputError: It is truncated, too large or no image.
    """
    try:
        image = encoded_image(data, formats=formats, keep_orientation=True)
        check_size(*image.size, max_pixels=MAX_FILE_PIXELS)
        return image.decode(flags)
    except InvalidInputError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def check_size(height: int, width: int, *, max_pixels: int, limit: str = "") -> None:
    """Refuse an image that is empty or too large.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        max_pixels: More are too many.
        limit: What users call that number, where they can set it.

    Raises:
        InvalidInputError: Names the limit and the size.
    """
    if height < 1 or width < 1 or height * width > max_pixels:
        allowed = f"{limit} = {max_pixels}" if limit else f"{max_pixels}"
        raise InvalidInputError(f"expected 1 to {allowed} pixels, got height {height} and width {width}")
    if (
        max(height, width) > MAX_SIDE_OPENCV_READS
    ):  # in our words, and where OpenCV was loaded without limits too
        raise InvalidInputError(
            f"expected up to {MAX_SIDE_OPENCV_READS} pixels a side, got height {height} and width {width}"
        )


def _decoded(data: bytes, flags: int) -> NDArray[Any]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InvalidInputError(f"OpenCV refuses it: {error.err}") from error
    if pixels is None:
        raise InvalidInputError(f"expected an image that OpenCV reads, got {len(data)} bytes that it doesn't")
    return np.asarray(pixels)


def _is_filled(data: bytes) -> bool:
    """Whether the brightness of a JPEG's last block is just what libjpeg shows where it has no data.

    Pictures hardly ever have that, and to ask for more costs a line on stderr: libjpeg calls what it didn't
    need corrupt.
    """
    stored = _decoded(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    edge = _edge_of_last_block(stored)
    return bool((stored[-edge:, -edge:] == _GREY_FILL).all())


def _edge_of_last_block(pixels: NDArray[Any]) -> int:
    """How many pixels of the last block there are at least, each way."""
    height, width = pixels.shape[:2]
    return int(min((height - 1) % _BLOCK_PX, (width - 1) % _BLOCK_PX)) + 1


def _ends_in_grey(pixels: NDArray[Any]) -> bool:
    """Whether the block in a corner is about as bright as what libjpeg shows where it has no data.

    Any corner, as the picture may have been turned. Its colour may be mixed with that of the block beside it.
    """
    edge = _edge_of_last_block(pixels)
    near, far = slice(None, edge), slice(-edge, None)
    for rows in (near, far):
        for columns in (near, far):
            block = np.ascontiguousarray(pixels[rows, columns])
            grey = cv2.cvtColor(block, cv2.COLOR_BGR2GRAY) if block.ndim == 3 else block
            if (np.abs(grey.astype(np.int16) - _GREY_FILL) <= 2).all():
                return True
    return False
