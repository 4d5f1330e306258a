"""Measurements that are not of what the camera sees at their pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_OCCLUSION_CELLS = 160  # z-buffer cells along the long edge of the image
_OCCLUSION_REACH = 4  # cells to look left, right, up and down
_OCCLUSION_RATIO = 1.15  # a point this much farther than the points around it is behind them
_MIXED_RATIO = 1.25  # depth ratio within 3 x 3 pixels above which a depth image mixes two surfaces


def hidden_behind_others(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32], depth_m: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find samples that have clearly nearer ones close by on all four sides.

    Args:
        u_px: (N,), columns, inside the image.
        v_px: (N,), rows.
        depth_m: (N,), metres.
        size: (H, W) of the image.

    Returns:
        (N,).
    """
    if len(depth_m) < 3:
        return np.zeros(len(depth_m), dtype=np.bool_)
    # Cells smaller than a pixel would not reach from pixel to pixel.
    cell_px = max(max(size) / _OCCLUSION_CELLS, 1.0)
    rows, columns = int(np.ceil(size[0] / cell_px)) + 1, int(np.ceil(size[1] / cell_px)) + 1
    scale = np.float32(1 / cell_px)
    cell = (v_px * scale + np.float32(0.5)).astype(np.int32) * columns
    cell += (u_px * scale + np.float32(0.5)).astype(np.int32)
    nothing = float(np.finfo(np.float32).max)  # cv2 refuses inf as a border
    nearest = np.full(rows * columns, nothing, dtype=np.float32)
    np.minimum.at(nearest, cell, depth_m)
    image = nearest.reshape(rows, columns)
    reach = _OCCLUSION_REACH

    def nearest_beside(kernel: tuple[int, int], anchor: tuple[int, int]) -> NDArray[np.float32]:
        # Erosion takes the least value under the kernel; an anchor at its rim makes it look to one side.
        shape, kind = np.ones(kernel, np.uint8), cv2.BORDER_CONSTANT
        least = cv2.erode(image, shape, anchor=anchor, borderType=kind, borderValue=nothing)
        return np.asarray(least, dtype=np.float32)

    sideways, upright = (2 * reach + 1, reach), (reach, 2 * reach + 1)
    surround = nearest_beside(sideways, (reach - 1, reach))
    for kernel, anchor in ((sideways, (0, reach)), (upright, (reach, reach - 1)), (upright, (reach, 0))):
        np.maximum(surround, nearest_beside(kernel, anchor), out=surround)
    surround = surround.reshape(-1)[cell]
    hidden: NDArray[np.bool_] = depth_m > surround * np.float32(_OCCLUSION_RATIO)
    return hidden


def mixed_pixels(depth: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find pixels of a dense depth image (h, w) that may mix two surfaces: depth jumps beside them."""
    kernel = np.ones((3, 3), np.uint8)
    farthest = cv2.dilate(np.where(usable, depth, np.float32(0)), kernel)
    nearest = cv2.erode(np.where(usable, depth, np.finfo(np.float32).max), kernel)
    mixed: NDArray[np.bool_] = farthest * np.float32(1 / _MIXED_RATIO) > nearest
    return mixed
