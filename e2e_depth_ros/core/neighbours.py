"""The nearest of sparse measurements, and how well they support each other."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_COMPARED = 12
"""Among fewer samples than this, neighbours say nothing."""

_ONE_TREE, _EXACT = 4, -1  # FLANN's words for a single k-d tree, and for looking until the nearest are found
_SUPPORTERS = 8  # neighbours, of which the third most alike tells how well a sample is supported
_THIRD = 2
_USUAL_SUPPORT = 3.0  # times the median, within which a sample is supported,
_SUPPORT_LOG = (0.1, 0.4)  # but at least and at most this


def nearest_samples(
    place: NDArray[np.float32], at: NDArray[np.float32], count: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the nearest of N samples to each of M places, exactly, by a k-d tree.

    Args:
        place: (N, D), of the samples, in units in which distance is meant; N at least 1.
        at: (M, D).
        count: How many; fewer if there are fewer.

    Returns:
        Indices (M, K), nearest first, and distances (M, K).
    """
    # OpenCV's stubs lack it.
    tree = cv2.flann_Index(np.ascontiguousarray(place, np.float32), {"algorithm": _ONE_TREE})  # type: ignore[attr-defined]
    found, squared = tree.knnSearch(
        np.ascontiguousarray(at, np.float32), min(count, len(place)), params={"checks": _EXACT}
    )
    return found.astype(np.intp), np.sqrt(np.asarray(squared, np.float32))


def without_itself(nearest: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave each of N samples out of its own nearest ones.

    Args:
        nearest: (N, K), indices, as `nearest_samples` gives them of the samples themselves.

    Returns:
        (N, K - 1). Where many lie at one place a sample need not find itself; then the farthest goes.
    """
    others = nearest != np.arange(len(nearest))[:, None]
    others[others.all(axis=1), -1] = False
    rest: NDArray[np.intp] = nearest[others].reshape(len(nearest), -1)
    return rest


def lack_of_support(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32], log_depth: NDArray[Any]
) -> NDArray[Any]:
    """How much three neighbours of each sample differ from it, over what is usual among these.

    An outlier among honest neighbours differs from nearly all of them, an honest sample at a depth edge only
    from those on the other side.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the measured depth.

    Returns:
        (N,): below 1 it is supported. 0 for all, among fewer samples than it takes.
    """
    if len(log_depth) < LEAST_COMPARED:
        return np.zeros(len(log_depth))
    place = np.stack([u_px, v_px], axis=1)
    nearest, _ = nearest_samples(place, place, _SUPPORTERS + 1)
    differs = np.abs(log_depth[nearest] - log_depth[:, None])
    differs[nearest == np.arange(len(log_depth))[:, None]] = np.inf  # a sample must not support itself
    third = np.partition(differs, _THIRD, axis=1)[:, _THIRD]
    return np.asarray(third / np.clip(_USUAL_SUPPORT * np.median(third), *_SUPPORT_LOG))
