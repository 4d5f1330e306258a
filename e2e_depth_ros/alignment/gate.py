"""Which samples the local correction may believe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.samples import nearest_pixels

_GLOBAL_SIGMAS = 4.0
_LEAST_LOG = 0.05
_ALIKE_LOG = 0.1
_NEIGHBOURS = 5
_COHERENT = 3  # of them, that measured about the same depth
_SAME_LOG = 0.08
_NEIGHBOUR_SIGMAS = (6.0, 4.0)  # as long as few samples are gross, and where many are
_MANY_GROSS = 0.03
_POOR_SIGMA = 0.15  # with a network this poor, neighbours differ for good reasons
_MOST_COMPARED = 600  # beyond this, medians of cells do the work of the neighbours
_CELLS = 8  # over the width, in each of which the errors of a network are alike
_EDGE_PX = 15  # at a width of 640: how far past an edge a sensor beside the camera may see
_DOUBTFUL_SHARE = 0.4  # of the change of log depth over 4 pixels at a width of 640
_EDGE_STEP = 4  # pixels between those at which edges are looked for


@dataclass(frozen=True, eq=False)
class GateResult:
    """Which of N samples are believed, and why not the others.

    Attributes:
        keep: (N,), bool.
        gross: Number that disagree with the global fit.
        occluded: Number that measured the background of what the camera sees there.
        lonely: Number that their neighbours contradict.
    """

    keep: NDArray[np.bool_]
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
    step = max(1, round(2 * width / 640))
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
    column = (np.maximum(u_px, 0) * np.float32(_CELLS / width)).astype(np.int64)
    row = (np.maximum(v_px, 0) * np.float32(_CELLS / width)).astype(np.int64)
    cell = row * (_CELLS + 1) + column
    shares: NDArray[np.float64] = 2 / (1 + np.bincount(cell)[cell])
    return shares


def coherent_samples(
    u_px: NDArray[np.float32],
    v_px: NDArray[np.float32],
    depth_m: NDArray[Any],
    asked: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Samples that most of their neighbours in the image confirm: surfaces are like that, outliers are not.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        depth_m: (N,), metres.
        asked: (N,), those that are asked about; by default all.

    Returns:
        (M,), for each of those asked about. None is confirmed among fewer samples than it takes.
    """
    asked = np.ones(len(depth_m), dtype=np.bool_) if asked is None else asked
    if len(depth_m) <= _NEIGHBOURS:
        return np.zeros(int(asked.sum()), dtype=np.bool_)
    # Every k-th of many, in the order of their place, serves as neighbour.
    order = np.lexsort((depth_m, u_px, v_px))
    others = order[:: -(-len(order) // _MOST_COMPARED)]
    place = np.stack([u_px, v_px], axis=1).astype(np.float64)
    log_depth = np.log(depth_m)
    nearest = others[_nearest(place[asked], place[others])]
    same = np.abs(log_depth[nearest] - log_depth[asked, None]) < _SAME_LOG
    # Each is its own nearest, or might be; it must not confirm itself.
    is_itself = nearest == np.flatnonzero(asked)[:, None]
    counts = (same & ~is_itself).sum(axis=1)
    # Where most are confirmed there are few outliers to confirm each other by chance.
    enough = _COHERENT - int(np.mean(counts >= _COHERENT) > 0.5) if len(counts) else _COHERENT
    confirmed: NDArray[np.bool_] = counts >= enough
    return confirmed


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
    keep = np.abs(log_ratio) < max(_GLOBAL_SIGMAS * sigma, _LEAST_LOG)
    far_off = ~keep
    if len(keep) >= 12 and far_off.any():
        # Where a network is wrong about a whole object, the samples on it are far off, but confirm each
        # other: by what they measured, or by being off alike.
        confirmed = coherent_samples(u_px, v_px, np.exp(log_depth + log_ratio), far_off)
        if len(keep) <= _MOST_COMPARED:
            place = np.stack([u_px / relative.shape[1], v_px / relative.shape[1], 0.25 * log_depth], axis=1)
            around, spread = _neighbours(place, log_ratio)
            confirmed |= ((np.abs(log_ratio - around) < _ALIKE_LOG) & (spread < _ALIKE_LOG))[far_off]
        behind = _behind_edge(u_px, v_px, log_depth, log_ratio, sigma, model, relative)
        keep[far_off] = confirmed & ~behind[far_off]
    gross = int(np.count_nonzero(~keep))
    occluded = lonely = 0
    believed = np.flatnonzero(keep)
    if 12 <= len(believed) <= _MOST_COMPARED and sigma < _POOR_SIGMA:
        width = relative.shape[1]
        place = np.stack([u_px / width, v_px / width, 0.25 * log_depth], axis=1)
        around, spread = _neighbours(place[believed], log_ratio[believed])
        off = log_ratio[believed] - around
        behind = _behind_edge(
            u_px[believed], v_px[believed], log_depth[believed], off, sigma, model, relative
        )
        typical = 0.5 * float(np.median(np.abs(off))) + 0.02
        sigmas = _NEIGHBOUR_SIGMAS[gross > _MANY_GROSS * len(keep)]
        alone = ~behind & (np.abs(off) > sigmas * np.maximum(spread, typical))
        occluded, lonely = int(np.count_nonzero(behind)), int(np.count_nonzero(alone))
        keep[believed[behind | alone]] = False
    return GateResult(keep, gross, occluded, lonely)


def _neighbours(
    place: NDArray[np.float64], log_ratio: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median log ratio of each sample's nearest others, and their robust deviation about it."""
    squared = np.square(place).sum(axis=1).astype(np.float32)
    compact = place.astype(np.float32)
    distance = squared[:, None] + squared - 2 * (compact @ compact.T)
    np.einsum("ii->i", distance)[:] = np.inf
    count = min(_NEIGHBOURS, len(place) - 1)
    nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
    ratios = log_ratio[nearest]
    median = np.median(ratios, axis=1)
    return median, 1.4826 * np.median(np.abs(ratios - median[:, None]), axis=1)


def _nearest(place: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices (N, neighbours + 1) into M others of those nearest to N places, in any order."""
    middle = others.mean(axis=0)
    a, b = (place - middle).astype(np.float32), (others - middle).astype(np.float32)
    distance = np.square(b).sum(axis=1) - 2 * (a @ b.T)  # less the square of the place, alike for all
    count = min(_NEIGHBOURS + 1, len(others))
    nearest: NDArray[np.intp] = np.argpartition(distance, count - 1, axis=1)[:, :count]
    return nearest


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
