"""Whether a JPEG is whole, and how large it is, before a decoder takes memory and time for it.

libjpeg, through OpenCV, fills what is missing with grey and says nothing to its caller; older OpenCV does so
for a file that just ends, every one for a file that is cut and then padded or closed. References: ITU-T T.81
(the format), its annex K (the usual Huffman tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from e2e_depth_ros.core.errors import InvalidInputError

MAGIC: Final = b"\xff\xd8"

_MAX_SCANS: Final = 64  # a progressive file has about ten; each costs a pass over the whole image
_FILLED: Final = bytes(64)  # 170 coefficients of -1 in a row by the usual tables: no picture has that

# Any number of fill bytes may stand before a marker; ff 00 is a byte of data.
_MARKER: Final = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_MARKER_AFTER_SCAN: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_RESTART: Final = re.compile(rb"\xff([\xd0-\xd7])")
_RESTARTS: Final = bytes(range(0xD0, 0xD8))

_SOI, _EOI, _SOS, _DHT, _DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD
_STARTS_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE: Final = (0xC0, 0xC1)
_PROGRESSIVE: Final = 0xC2
_END_OF_BLOCK: Final = 0x00
_WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD8)))


class _Segment(NamedTuple):
    """A marker, what belongs to it, and where the data of a scan lie behind it."""

    kind: int
    content: bytes
    scan: slice


def check_jpeg(data: bytes) -> tuple[int, int]:
    """Walk through a JPEG from marker to marker, as libjpeg does.

    What follows the end marker is nobody's business: cameras append previews, and drivers whole buffers.

    Args:
        data: The file, from its first bytes ff d8.

    Returns:
        (H, W), as the header has it, unchecked.

    Raises:
        InvalidInputError: It ends early, is of a kind that isn't decoded here, or its data can't be whole.
    """
    frame: _Segment | None = None
    scans = 0
    symbols_of_zeros: dict[int, int] = {}
    for segment in _segments(data):
        if segment.kind in _STARTS_OF_FRAME:
            if frame or segment.kind not in (*_BASELINE, _PROGRESSIVE) or len(segment.content) < 6:
                raise InvalidInputError("expected a baseline or progressive JPEG, got one of another kind")
            frame = segment
        elif segment.kind == _DHT:
            symbols_of_zeros.update(_symbols_of_zeros(segment.content))
        elif segment.kind == _SOS:
            scans += 1
            if frame is None or scans > _MAX_SCANS:
                raise InvalidInputError(f"expected a JPEG of 1 to {_MAX_SCANS} scans after its header")
            symbols = {symbols_of_zeros.get(table) for table in _ac_tables(segment.content)}
            may_have_zeros = frame.kind == _PROGRESSIVE or symbols == {_END_OF_BLOCK}
            _check_scan(data[segment.scan], may_have_zeros=may_have_zeros)
    if frame is None or not scans:
        raise InvalidInputError("expected a JPEG with a picture, got one without")
    return int.from_bytes(frame.content[1:3], "big"), int.from_bytes(frame.content[3:5], "big")


def with_more_data(data: bytes) -> bytes:
    """Add data to the last scan of a JPEG that `check_jpeg` accepts.

    A decoder that had all it needs passes over it, and the picture stays the same. One that had filled the
    picture's rest with grey takes it for that rest.
    """
    scan, has_intervals, will_have = slice(0), False, False
    for segment in _segments(data):
        if segment.kind == _DRI:
            will_have = any(segment.content)
        elif segment.kind == _SOS:
            scan, has_intervals = segment.scan, will_have
    end = scan.stop
    while data[end - 1] == 0xFF:  # fill bytes: with what is added they would become markers
        end -= 1
    more = b"\x5a\xa5\x33\xcc" * 64
    if has_intervals:  # the data may end just where one does, be it the first
        restarts = len(_RESTART.findall(data, scan.start, end))
        more += bytes((0xFF, _RESTARTS[restarts % 8])) + more
    return data[:end] + more + data[end:]


def _segments(data: bytes) -> Iterator[_Segment]:
    """Go from marker to marker until the one that ends the picture.

    Raises:
        InvalidInputError: That one is missing, or another picture begins.
    """
    at = len(MAGIC)
    while marker := _MARKER.search(data, at):
        kind, at = marker[1][0], marker.end()
        if kind == _EOI:
            return
        if kind == _SOI:
            raise InvalidInputError("expected one JPEG, got the beginning of a second one inside of it")
        if kind in _WITHOUT_LENGTH:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end < at + 2 or end > len(data):
            break
        following = _MARKER_AFTER_SCAN.search(data, end) if kind == _SOS else None
        scan = slice(end, following.start() if following else end)
        yield _Segment(kind, data[at + 2 : end], scan)
        at = scan.stop
    raise InvalidInputError("expected a whole JPEG, got one that is truncated: its end marker is missing")


def _check_scan(scan: bytes, *, may_have_zeros: bool) -> None:
    if _FILLED in scan and not may_have_zeros:
        raise InvalidInputError("expected a whole JPEG, got one that is truncated and padded with zeros")
    # Each interval ends with the next of eight restart markers: a gap in them is one in the picture.
    order = b"".join(_RESTART.findall(scan))
    if order != (_RESTARTS * (len(order) // 8 + 1))[: len(order)]:
        raise InvalidInputError("expected a whole JPEG, got one that lacks a part between restart markers")


def _ac_tables(start_of_scan: bytes) -> set[int]:
    """Which Huffman tables for AC coefficients the components of a scan use."""
    selectors = start_of_scan[2 : 1 + 2 * start_of_scan[0] : 2] if start_of_scan else b""
    return {selector & 0x0F for selector in selectors}


def _symbols_of_zeros(segment: bytes) -> dict[int, int]:
    """What a code of nothing but zeros means in Huffman tables for AC coefficients, by their numbers.

    Only where it ends a block in all that a scan uses, an area of one colour is many bytes of zero. In the
    usual tables for brightness it is a coefficient; those for colour end a block with it, and a scan may be
    of one colour channel alone.
    """
    symbols = {}
    at = 0
    while at + 17 < len(segment):
        if segment[at] >> 4:
            symbols[segment[at] & 0x0F] = segment[at + 17]
        at += 17 + sum(segment[at + 1 : at + 17])
    return symbols
