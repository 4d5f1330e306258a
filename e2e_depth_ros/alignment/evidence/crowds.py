"""Crowds: many samples close together know little more than one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CELLS = 8  # over the width, in each of which the errors of a network are alike
_CROWDED_SHARE = 0.3  # of the cells with a sample, below which samples crowd,
_CROWD = 3  # if there are as many samples for each of them


def shares_of_cells(u_px: NDArray[np.float32], v_px: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Weight of each sample, so that many close together count little more than one.

    Corners and scan lines crowd: n samples in a cell of an eighth of the width have one error of the network
    in common, and together are worth 2 n / (n + 1) of a sample alone, at most two.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        width: Of the image, pixels.

    Returns:
        (N,), in 0..1.
    """
    cell = _cells_of(u_px, v_px, width)
    shares: NDArray[np.float64] = 2 / (1 + np.bincount(cell)[cell])
    return shares


def are_crowded(u_px: NDArray[np.float32], v_px: NDArray[np.float32], size: tuple[int, int]) -> bool:
    """Whether samples leave most of the image empty though they are many: what they tell is extrapolated.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        size: (H, W) of the image.
    """
    occupied = np.count_nonzero(np.bincount(_cells_of(u_px, v_px, size[1])))
    cells = _CELLS**2 * size[0] / size[1]
    return bool(occupied < min(_CROWDED_SHARE * cells, len(u_px) / _CROWD))


def _cells_of(u_px: NDArray[np.float32], v_px: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    """Index of the square cell that each sample lies in."""
    column = (np.maximum(u_px, 0) * np.float32(_CELLS / width)).astype(np.int64)
    row = (np.maximum(v_px, 0) * np.float32(_CELLS / width)).astype(np.int64)
    cell: NDArray[np.int64] = row * (_CELLS + 1) + column
    return cell
