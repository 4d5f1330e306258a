"""Whether a PNG is whole, and how large it is, before a decoder takes memory and time for it.

OpenCV from 4.11 on takes memory for as much as a chunk claims to hold, and decompresses whatever follows the
last row. Reference: the PNG specification (W3C), sections 5, 8 and 11.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError

MAGIC: Final = b"\x89PNG\r\n\x1a\n"

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_INTERLACED: Final = (
    (0, 8, 0, 8),
    (0, 8, 4, 8),
    (4, 8, 0, 4),
    (0, 4, 2, 4),
    (2, 4, 0, 2),
    (0, 2, 1, 2),
    (1, 2, 0, 1),
)
_MAX_CHUNKS: Final = 100_000
_SURPLUS_BYTES: Final = 1 << 16  # after the last row
_BLOCK_BYTES: Final = 1 << 24  # decompressed at a time


@dataclass(frozen=True)
class Png:
    """A PNG whose chunks are whole.

    Attributes:
        size: (H, W), as the header has it, unchecked.
        stripped: The file without the chunks that no pixel depends on: text, profiles, animation.
    """

    size: tuple[int, int]
    stripped: bytes
    _pixels: bytes
    _expected_bytes: int

    def check_pixels(self) -> None:
        """Decompress what the file holds, and keep nothing of it. Ask only once its size was accepted.

        Raises:
            InvalidInputError: It holds more or less than the pixels of its size.
        """
        left, data = self._expected_bytes, self._pixels
        stream = zlib.decompressobj()
        try:
            while left > 0:
                block = stream.decompress(data, min(left, _BLOCK_BYTES))
                if not block:
                    raise InvalidInputError("expected a whole PNG, got one that lacks a part of its pixels")
                left -= len(block)
                data = stream.unconsumed_tail
            surplus = stream.decompress(data, _SURPLUS_BYTES)
        except zlib.error as error:
            raise InvalidInputError(f"expected a whole PNG, got one that is corrupt ({error})") from error
        if len(surplus) == _SURPLUS_BYTES:
            raise InvalidInputError("expected a PNG of its own size, got one with more data than pixels")


def check_png(data: bytes, *, keep_orientation: bool = False) -> Png:
    """Walk through a PNG from chunk to chunk.

    Args:
        data: The file, from its signature.
        keep_orientation: Whether to leave in what may say that the camera was turned (eXIf).

    Raises:
        InvalidInputError: It ends early, or a chunk is longer than the file or doesn't match its checksum.
    """
    wanted = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", *([b"eXIf"] if keep_orientation else [])}
    kept, pixels = [MAGIC], []
    header = b""
    at = len(MAGIC)
    for number in range(_MAX_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise InvalidInputError(
                f"expected a whole PNG, got one that is truncated: a chunk claims {length} bytes, and"
                f" {max(len(data) - at - 12, 0)} are left"
            )
        if kind in wanted:
            content = data[at + 8 : end - 4]
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise InvalidInputError(f"expected a whole PNG, got a wrong checksum of its {kind.decode()}")
            if (kind == b"IHDR") != (number == 0):
                break
            header = header or content
            if kind == b"IDAT":
                pixels.append(content)
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            return _png(header, b"".join(kept), b"".join(pixels))
    raise InvalidInputError(f"expected a PNG with one header and up to {_MAX_CHUNKS} chunks, got no such one")


def _png(header: bytes, stripped: bytes, pixels: bytes) -> Png:
    if len(header) != 13 or header[9] not in _CHANNELS or header[8] not in (1, 2, 4, 8, 16):
        raise InvalidInputError(f"expected a header of PNG, got {header.hex()}")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    parts = [(height, width)]
    if header[12]:
        parts = [
            (-(-max(height - top, 0) // rows), -(-max(width - left, 0) // columns))
            for top, rows, left, columns in _INTERLACED
        ]
    expected = sum(part[0] * (1 + -(-part[1] * bits // 8)) for part in parts if all(part))
    return Png((height, width), stripped, pixels, expected)
