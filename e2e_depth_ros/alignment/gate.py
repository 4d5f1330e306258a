"""Which samples the correction may believe."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.neighbours import (
    LEAST_COMPARED,
    MOST_COMPARED,
    local_median,
    outlier_probability,
)
from e2e_depth_ros.core.pixels import nearest_pixels

CERTAIN_DOUBT = 0.005
"""Up to this `edge_doubt` samples tell what the network's error is; beyond, what the edge's place is."""

POOR_SIGMA = 0.15
"""With a network this poor, neighbours differ for good reasons."""

_GLOBAL_SIGMAS = 4.0
_LEAST_LOG = 0.05
_ALIKE_LOG = 0.1
_ALIKE_DOUBT = 0.1  # at most, of a sample that is as far off as its neighbours
_MOST_DOUBT = 0.9  # probability of being an outlier from which a sample is dropped
_OUTLIER_WIDTH = (0.3, 2.5)  # at least and at most, of log depths
_NEIGHBOUR_SIGMAS = (6.0, 4.0)  # as long as few samples are gross, and where many are
_MANY_GROSS = 0.03
_DEPTH_SCALE = 0.25  # image widths that a difference of 1 in log depth counts as among neighbours
_CELLS = 8  # over the width, in each of which the errors of a network are alike
_CROWDED_SHARE = 0.3  # of the cells with a sample, below which samples crowd,
_CROWD = 3  # if there are as many samples for each of them
_EDGE_PX = 15  # at a width of 640: how far past an edge a sensor beside the camera may see
_DOUBTFUL_PX = 3.3  # at a width of 640: to either side of a sample
_DOUBTFUL_SHARE = 0.4  # of the change of log depth between there
_EDGE_STEP = 4  # pixels between those at which edges are looked for


@dataclass(frozen=True, eq=False)
class GateResult:
    """Which of N samples are believed, and why not the others.

    Attributes:
        keep: (N,), bool.
        doubt: (N,), probability that a sample is an outlier all the same, for the correction to judge
            by what it says of the network's error.
        gross: Number that disagree with the global fit.
        occluded: Number that measured the background of what the camera sees there.
        lonely: Number that their neighbours contradict.
    """

    keep: NDArray[np.bool_]
    doubt: NDArray[np.float64]
    gross: int
    occluded: int
    lonely: int


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


def outlier_width(log_measured: NDArray[np.float64]) -> float:
    """Range of log depth over which outliers are spread: that of what was measured, (N,)."""
    first, last = np.quantile(log_measured, (0.05, 0.95))
    return float(np.clip((last - first) / 0.9, *_OUTLIER_WIDTH))


def gate_samples(
    u_px: NDArray[np.float32],
    v_px: NDArray[np.float32],
    log_depth: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    sigma: float,
    model: AffineModel,
    relative: NDArray[np.float32],
) -> GateResult:
    """Drop samples that the fit, the image or their neighbours contradict.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the fitted depth.
        log_ratio: (N,), log(measured / fitted).
        sigma: Robust relative error of the fit.
        model: The fit.
        relative: (H, W), relative depth; NaN where invalid.
    """
    width = relative.shape[1]
    place = np.stack([u_px / width, v_px / width, _DEPTH_SCALE * log_depth], axis=1)
    limit = max(_GLOBAL_SIGMAS * sigma, _LEAST_LOG)
    far_off = np.abs(log_ratio) >= limit
    log_measured = log_depth + log_ratio
    # As outliers are spread, some agree with the fit.
    by_chance = min(2 * limit / outlier_width(log_measured), 0.5)
    doubt = outlier_probability(u_px, v_px, log_measured, far_off, by_chance)
    if far_off.any() and len(far_off) >= LEAST_COMPARED:
        if len(far_off) <= MOST_COMPARED:
            # Where a network is wrong about a whole object, the samples on it are off alike.
            around, spread = local_median(place, log_ratio)
            alike = far_off & (np.abs(log_ratio - around) < _ALIKE_LOG) & (spread < _ALIKE_LOG)
            doubt[alike] = np.minimum(doubt[alike], _ALIKE_DOUBT)
        behind = _behind_edge(u_px, v_px, log_depth, log_ratio, sigma, model, relative)
        doubt[far_off & behind] = 1.0
    keep = doubt < _MOST_DOUBT
    gross = int(np.count_nonzero(~keep))
    occluded = lonely = 0
    believed = np.flatnonzero(keep)
    if LEAST_COMPARED <= len(believed) <= MOST_COMPARED and sigma < POOR_SIGMA:
        around, spread = local_median(place[believed], log_ratio[believed])
        off = log_ratio[believed] - around
        behind = _behind_edge(
            u_px[believed], v_px[believed], log_depth[believed], off, sigma, model, relative
        )
        typical = 0.5 * float(np.median(np.abs(off))) + 0.02
        sigmas = _NEIGHBOUR_SIGMAS[gross > _MANY_GROSS * len(keep)]
        alone = ~behind & (np.abs(off) > sigmas * np.maximum(spread, typical))
        occluded, lonely = int(np.count_nonzero(behind)), int(np.count_nonzero(alone))
        keep[believed[behind | alone]] = False
    # Where some were contradicted by their neighbours, as many others may be about to be.
    doubt = np.maximum(doubt, (occluded + lonely) / max(len(keep), 1))
    return GateResult(keep, doubt, gross, occluded, lonely)


def _behind_edge(
    u_px: NDArray[np.float32],
    v_px: NDArray[np.float32],
    log_depth: NDArray[np.float64],
    off: NDArray[np.float64],
    sigma: float,
    model: AffineModel,
    relative: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Samples too far for their pixel, but right for the farther side of a depth edge near by."""
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
