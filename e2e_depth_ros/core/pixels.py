"""Places in an image, and the pixels that they fall on.

Convention: pixel (0, 0) is centred at (0, 0), so an image of size (H, W) reaches from -0.5 to W - 0.5 and
H - 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def are_inside(u_px: NDArray[Any], v_px: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which places (N,) lie in an image of `size` (H, W); one that is NaN does not."""
    height, width = size
    with np.errstate(invalid="ignore"):
        inside: NDArray[np.bool_] = (
            (u_px >= -0.5) & (u_px < width - 0.5) & (v_px >= -0.5) & (v_px < height - 0.5)
        )
    return inside


def nearest_pixels(
    u_px: NDArray[Any], v_px: NDArray[Any], size: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (N,) of the pixels nearest to places in an image of `size` (H, W)."""
    height, width = size
    rows: NDArray[np.intp] = np.clip(np.rint(v_px), 0, height - 1).astype(np.intp)
    columns: NDArray[np.intp] = np.clip(np.rint(u_px), 0, width - 1).astype(np.intp)
    return rows, columns


def cells_of(u_px: NDArray[Any], v_px: NDArray[Any], width: int, columns: int) -> NDArray[np.intp]:
    """Number (N,) of the square cell that each place lies in, row by row.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        width: Of the image, pixels.
        columns: Cells over the width; a row of numbers has one more, for places on the very edge.
    """
    column, row = (np.maximum([u_px, v_px], 0) * (columns / width)).astype(np.intp)
    return np.asarray(row * (columns + 1) + column)
