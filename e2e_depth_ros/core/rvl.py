"""Depth images packed by RVL (A. D. Wilson, Fast Lossless Depth Image Compression, ISS 2017).

The pixels are told in turns: how many are 0, how many after them aren't, and for each of those its difference
to the last one that wasn't 0. Each number is written in groups of three bits, the lowest first, with a fourth
that says whether another group follows; signs are folded in (0, -1, 1, -2, ...). Eight groups fill a word of
32 bits from its upper end; words are little-endian.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

_GROUP_BITS: Final = 3
_MAX_GROUPS: Final = 10  # 30 bits: more than an image has pixels, or two of its pixels can differ by
_MAX_BYTES_PER_PIXEL: Final = 4  # a difference of 17 bits takes three; what goes beyond is never looked at


def unpack_rvl(data: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Unpack an image.

    Args:
        data: What was packed, without a header. What follows the last pixel is left alone.
        size: (H, W) of the image; check it before, the memory is taken for it.

    Returns:
        (H, W), uint16.

    Raises:
        InvalidInputError: The data end before the image, or don't fit it.
    """
    count = size[0] * size[1]
    numbers = _numbers(data[: count * _MAX_BYTES_PER_PIXEL + 64])
    turns, end = _turns(numbers, count)
    is_difference = np.ones(end, dtype=bool)
    is_difference[turns] = False
    is_difference[turns + 1] = False
    folded = numbers[:end][is_difference]
    differences = (folded >> 1) ^ -(folded & 1)
    lengths = np.empty(2 * len(turns), dtype=np.int64)
    lengths[0::2], lengths[1::2] = numbers[turns], numbers[turns + 1]
    is_measured = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    depth = np.zeros(count, dtype=np.uint16)
    depth[is_measured] = np.cumsum(differences).astype(np.uint16)  # wraps around, as the packer's does
    return depth.reshape(size)


def _numbers(data: bytes) -> NDArray[np.int64]:
    """Read all numbers at once, wherever they stand."""
    words = np.frombuffer(data[: len(data) & ~3], dtype="<u4")
    octets = words.astype(">u4").view(np.uint8)
    groups = np.empty(2 * len(octets), dtype=np.uint8)
    groups[0::2], groups[1::2] = octets >> 4, octets & 15
    last = np.flatnonzero(groups < 8)
    if not len(last):
        raise _too_short()
    first = np.empty_like(last)
    first[0], first[1:] = 0, last[:-1] + 1
    longest = int((last - first).max()) + 1
    if longest > _MAX_GROUPS:
        raise InvalidInputError(
            f"expected numbers of up to {_MAX_GROUPS} groups in RVL, got one of {longest}"
        )
    numbers = (groups[last] & 7).astype(np.int64)
    for back in range(1, longest):
        goes_on = np.flatnonzero(last - first >= back)
        numbers[goes_on] = (numbers[goes_on] << _GROUP_BITS) | (groups[last[goes_on] - back] & 7)
    return numbers


def _turns(numbers: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], int]:
    """Find where each turn begins: its two counts say where the next does.

    Returns:
        Index of each turn's first number, and of the first number after the image.
    """
    # A view whose elements are Python's own integers: several times as quick as an array's one by one.
    numbers_one_by_one = numbers.data
    available = len(numbers)
    turns = []
    at = pixels = 0
    while pixels < count:
        if at + 2 > available:
            raise _too_short()
        turns.append(at)
        measured = numbers_one_by_one[at + 1]
        pixels += numbers_one_by_one[at] + measured
        at += 2 + measured
    if at > available:
        raise _too_short()
    if pixels > count:
        raise InvalidInputError(f"expected {count} pixels in RVL, got {pixels}")
    return np.array(turns, dtype=np.int64), at


def _too_short() -> InvalidInputError:
    return InvalidInputError("expected a whole image in RVL, got one that is truncated")
