"""Depth edges: where a sample's place isn't exact enough, and where a sensor sees past the foreground."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.core.pixels import nearest_pixels

CERTAIN_DOUBT = 0.005
"""Up to this `edge_doubt` samples tell what the network's error is; beyond, what the edge's place is."""

_EDGE_PX = 15  # at a width of 640: how far past an edge a sensor beside the camera may see
_DOUBTFUL_PX = 3.3  # at a width of 640: to either side of a sample
_DOUBTFUL_SHARE = 0.4  # of the change of log depth between there
_EDGE_STEP = 4  # pixels between those at which edges are looked for


def edge_doubt(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32], relative: NDArray[np.float32], model: AffineModel
) -> NDArray[np.float64]:
    """Variance that an error of place of a pixel or two gives the log depth of a sample: large at edges.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        relative: (H, W), relative depth; NaN where invalid.
        model: From relative to metric, roughly; its extent doesn't matter.

    Returns:
        (N,), in log depth squared.
    """
    height, width = relative.shape
    step = max(1, round(_DOUBTFUL_PX * width / 640))
    rows, columns = nearest_pixels(u_px, v_px, relative.shape)
    above, below = np.maximum(rows - step, 0), np.minimum(rows + step, height - 1)
    left, right = np.maximum(columns - step, 0), np.minimum(columns + step, width - 1)
    around = np.stack(
        [relative[above, columns], relative[below, columns], relative[rows, left], relative[rows, right]]
    )
    log_depth = model.log_depth(around.astype(np.float64))
    change = np.maximum(np.abs(log_depth[1] - log_depth[0]), np.abs(log_depth[3] - log_depth[2]))
    doubt: NDArray[np.float64] = np.square(_DOUBTFUL_SHARE * np.nan_to_num(change, nan=1.0))
    return doubt


def are_behind_edges(
    u_px: NDArray[np.float32],
    v_px: NDArray[np.float32],
    log_depth: NDArray[np.float64],
    off: NDArray[np.float64],
    sigma: float,
    model: AffineModel,
    relative: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Samples too far for their pixel, but right for the farther side of a depth edge near by.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the fitted depth.
        off: (N,), by how much the log of what was measured differs from what is expected.
        sigma: Robust relative error of the fit.
        model: The fit.
        relative: (H, W), relative depth; NaN where invalid.

    Returns:
        (N,).
    """
    width = relative.shape[1]
    small = model.log_depth(relative[::_EDGE_STEP, ::_EDGE_STEP])
    small = np.where(np.isfinite(small), small, np.float32(-1e3))
    reach = max(1, round(_EDGE_PX * width / 640 / _EDGE_STEP))
    farthest = cv2.dilate(small, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rows, columns = nearest_pixels(u_px / _EDGE_STEP, v_px / _EDGE_STEP, small.shape)
    step = farthest[rows, columns] - log_depth
    behind: NDArray[np.bool_] = (
        (step > 0.12) & (off > max(1.5 * sigma, 0.06)) & (np.abs(off - step) < 0.6 * off)
    )
    return behind
