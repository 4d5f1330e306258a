"""Depth edges: where a sample's place isn't exact enough, and where a sensor sees past the foreground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.core.pixels import nearest_pixels


@dataclass(frozen=True)
class EdgeSettings:
    """How near to a depth edge a sample is doubted. Values are choices where no measurement is told.

    Pixels are those of an image of width 640.
    """

    # Up to this `edge_doubt` samples tell what the network's error is; beyond, what the edge's place is:
    certain_doubt: float = 0.005
    enough_certain: int = 20  # so many such samples make do without the others
    doubtful_px: float = 3.3  # to either side of a sample, where log depth is compared
    doubtful_share: float = 0.4  # of its change between there, that an error of place may make
    behind_px: float = 15  # how far past an edge a sensor beside the camera may see
    grid_px: int = 4  # between pixels, of any image, at which edges are looked for
    least_step: float = 0.12  # of log depth, that is an edge
    behind_sigmas: float = 1.5  # standard deviations by which a sample behind it is too far,
    least_behind: float = 0.06  # but at least this, of log depth
    most_beside: float = 0.6  # share of that, by which it may miss the farther side


_SETTINGS = EdgeSettings()


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
    step = max(1, round(_SETTINGS.doubtful_px * width / 640))
    rows, columns = nearest_pixels(u_px, v_px, relative.shape)
    above, below = np.maximum(rows - step, 0), np.minimum(rows + step, height - 1)
    left, right = np.maximum(columns - step, 0), np.minimum(columns + step, width - 1)
    around = np.stack(
        [relative[above, columns], relative[below, columns], relative[rows, left], relative[rows, right]]
    )
    log_depth = model.log_depth(around.astype(np.float64))
    change = np.maximum(np.abs(log_depth[1] - log_depth[0]), np.abs(log_depth[3] - log_depth[2]))
    doubt: NDArray[np.float64] = np.square(_SETTINGS.doubtful_share * np.nan_to_num(change, nan=1.0))
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
    every = _SETTINGS.grid_px
    small = model.log_depth(relative[::every, ::every])
    small = np.where(np.isfinite(small), small, np.float32(-1e3))
    reach = max(1, round(_SETTINGS.behind_px * width / 640 / every))
    farthest = cv2.dilate(small, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rows, columns = nearest_pixels(u_px / every, v_px / every, small.shape)
    step = farthest[rows, columns] - log_depth
    behind: NDArray[np.bool_] = (
        (step > _SETTINGS.least_step)
        & (off > max(_SETTINGS.behind_sigmas * sigma, _SETTINGS.least_behind))
        & (np.abs(off - step) < _SETTINGS.most_beside * off)
    )
    return behind
