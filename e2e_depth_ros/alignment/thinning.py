"""Which of too many measurements are kept: by what they are, never by their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def one_of_each_pixel(pixel: NDArray[np.intp], depth_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Choose of the samples of a pixel the median: they are no evidence for each other.

    Args:
        pixel: (N,), the number of each sample's pixel.
        depth_m: (N,), metres.
    """
    order = np.lexsort((depth_m, pixel))
    first = np.flatnonzero(np.diff(pixel[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order[(first + last) // 2]] = True
    return chosen


def spread_evenly(measured: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Keep of the measured pixels (h, w) at most `most`, the first of each square block.

    The blocks tile the image, so what is kept lies evenly, and is the same each time. Every n-th row and
    column would miss a sensor that measures only those in between.
    """
    occupied = int(np.count_nonzero(measured))
    edge = 1
    while occupied > most:
        # Of an image that is measured everywhere this is the last step; lines and dots need a few more.
        edge = max(edge + 1, int(np.ceil(edge * np.sqrt(occupied / most))))
        first = _first_of_blocks(measured, edge)
        occupied = int(np.count_nonzero(first >= 0))
    if edge == 1:
        return measured
    rows, columns = np.nonzero(first >= 0)
    offset_rows, offset_columns = np.divmod(first[rows, columns], edge)
    kept = np.zeros_like(measured)
    kept[rows * edge + offset_rows, columns * edge + offset_columns] = True
    return kept


def _first_of_blocks(measured: NDArray[np.bool_], edge: int) -> NDArray[np.int32]:
    """Place within each block of edge x edge pixels, row by row, of its first measured one; -1 without."""
    height, width = measured.shape
    first = np.full((-(-height // edge), -(-width // edge)), -1, dtype=np.int32)
    for place in range(edge * edge):
        row, column = divmod(place, edge)
        here = measured[row::edge, column::edge]
        known = first[: here.shape[0], : here.shape[1]]
        known[here & (known < 0)] = place
        if (first >= 0).all():
            break
    return first


def chosen_by_hash(
    first: NDArray[np.float32], second: NDArray[np.float32], share: float
) -> NDArray[np.bool_]:
    """Choose about this share of the measurements, at least one, as if at random, but the same each time."""
    # Multiplicative hashing of the bits of two coordinates.
    key = first.view(np.uint32) * np.uint32(2654435761)
    key ^= second.view(np.uint32)
    key ^= key >> np.uint32(15)
    key *= np.uint32(2246822519)
    key ^= key >> np.uint32(13)
    chosen: NDArray[np.bool_] = key < np.uint32(share * np.iinfo(np.uint32).max)
    if len(key) and not chosen.any():
        chosen[np.argmin(key)] = True
    return chosen
