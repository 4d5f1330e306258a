"""What samples say about each other: surfaces are continuous, outliers are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.neighbours import LEAST_COMPARED, lack_of_support, nearest_samples, without_itself
from e2e_depth_ros.core.robust import STD_OF_MEDIAN_DEVIATION


@dataclass(frozen=True)
class NeighbourSettings:
    """How many are asked, and what it takes to agree. Values are choices where no measurement is told."""

    neighbours: int = 5  # that are asked
    coherent: int = 3  # of them, that make a sample coherent by having measured the same depth,
    confirming: int = 2  # and that make it likelier that it is honest
    same: float = 0.08  # difference of log depth up to which two measured the same
    least_rate: float = 0.02  # of anything that neighbours say: no more than fifty to one


_SETTINGS = NeighbourSettings()


def are_supported(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32], log_depth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Samples that three of their neighbours support, as well as is usual among these; no fit is asked.

    It costs some of the honest samples at depth edges.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the measured depth.

    Returns:
        (N,). All, among fewer samples than it takes.
    """
    return np.asarray(lack_of_support(u_px, v_px, log_depth) < 1)


def coherent_samples(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32], depth_m: NDArray[Any]
) -> NDArray[np.bool_]:
    """Samples that most of their neighbours in the image confirm, by having measured about the same.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        depth_m: (N,), metres.

    Returns:
        (N,). None is confirmed among fewer samples than it takes.
    """
    if len(depth_m) <= _SETTINGS.neighbours:
        return np.zeros(len(depth_m), dtype=np.bool_)
    log_depth = np.log(depth_m)
    nearest, is_itself = _nearest_in_image(u_px, v_px)
    counts = _alike(log_depth[nearest], log_depth, is_itself)
    # Where most are confirmed there are few outliers to confirm each other by chance.
    are_most = np.mean(counts >= _SETTINGS.coherent) > 0.5
    return np.asarray(counts >= _SETTINGS.coherent - int(are_most))


def outlier_probability(
    u_px: NDArray[np.float32],
    v_px: NDArray[np.float32],
    log_depth: NDArray[np.float64],
    far_off: NDArray[np.bool_],
    by_chance: float,
) -> NDArray[np.float64]:
    """Tell outliers from honest samples where the network is wrong, by what neighbours measured.

    Honest samples mostly have neighbours of the same depth, outliers have them by chance. How often either
    happens is counted: among the samples that agree with the fit, and between samples and the neighbours of
    others. So the share of the honest among those far off follows, and Bayes' rule gives each sample's own.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the measured depth.
        far_off: (N,), whether it is far from the fit.
        by_chance: Share of outliers that are near it all the same.

    Returns:
        (N,), in 0..1; 0 for all where none is far off.
    """
    if not far_off.any():
        return np.zeros(len(far_off))
    honest_share, rates = 0.0, np.ones((len(far_off), 2))
    if len(far_off) >= LEAST_COMPARED and not far_off.all():
        nearest, is_itself = _nearest_in_image(u_px, v_px)
        beside = log_depth[nearest]
        confirmed = _alike(beside, log_depth, is_itself) >= _SETTINGS.confirming
        order = np.lexsort((log_depth, u_px, v_px))
        others = np.empty_like(order)
        others[order] = np.roll(order, len(order) // 2)
        honest = float(confirmed[~far_off].mean())
        chance = float(np.mean(_alike(beside, log_depth[others], is_itself) >= _SETTINGS.confirming))
        if honest > chance:
            found = float(confirmed[far_off].sum()) / (np.count_nonzero(far_off) + 1)
            honest_share = float(np.clip((found - chance) / (honest - chance), 0, 1))
            table = np.clip([[1 - honest, 1 - chance], [honest, chance]], _SETTINGS.least_rate, 1)
            rates = table[confirmed.astype(np.intp)]
    far_share = float(far_off.mean())
    near_outliers = (1 - honest_share) * far_share * by_chance / (1 - by_chance)
    before = np.where(far_off, 1 - honest_share, min(near_outliers / max(1 - far_share, 1e-3), 0.5))
    outlier, honest_too = rates[:, 1] * before, rates[:, 0] * (1 - before)
    probability: NDArray[np.float64] = outlier / (outlier + honest_too)
    return probability


def local_median(
    place: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median value of each sample's nearest others, and their robust deviation about it.

    Args:
        place: (N, D), in units in which distance is meant.
        value: (N,).
    """
    own = np.asarray(place, np.float32)
    nearest, _ = nearest_samples(own, own, _SETTINGS.neighbours + 1)
    nearest = without_itself(nearest)
    values = value[nearest]
    median = np.median(values, axis=1)
    return median, STD_OF_MEDIAN_DEVIATION * np.median(np.abs(values - median[:, None]), axis=1)


def _alike(
    beside: NDArray[np.float64], log_depth: NDArray[np.float64], is_itself: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """How many of the neighbours (N, K) measured the same; a sample must not confirm itself."""
    same = (np.abs(beside - log_depth[:, None]) < _SETTINGS.same) & ~is_itself
    count: NDArray[np.intp] = np.count_nonzero(same, axis=1)
    return count


def _nearest_in_image(
    u_px: NDArray[np.float32], v_px: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Indices (N, K) of the nearest in the image, and which of them are the sample itself."""
    place = np.stack([u_px, v_px], axis=1)
    nearest, _ = nearest_samples(place, place, _SETTINGS.neighbours + 1)
    return nearest, nearest == np.arange(len(place))[:, None]
