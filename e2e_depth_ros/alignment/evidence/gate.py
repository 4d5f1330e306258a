"""Which samples the correction may believe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.edges import are_behind_edges
from e2e_depth_ros.alignment.evidence.neighbours import local_median, outlier_probability
from e2e_depth_ros.core.neighbours import LEAST_COMPARED


@dataclass(frozen=True)
class GateSettings:
    """When a sample is contradicted. Values are choices where no measurement is told."""

    global_sigmas: float = 4.0  # standard deviations from which a sample is far off the fit,
    least_limit: float = 0.05  # but at least this, of log depth; less never speaks against a sample
    most_doubt: float = 0.9  # probability of being an outlier from which a sample is dropped
    tail: float = 0.05  # share of the samples, at either end of log depth, that may be anything
    # At least and at most, of the range of log depth that outliers are spread over:
    outlier_width: tuple[float, float] = (0.3, 2.5)
    poor_sigma: float = 0.15  # relative error of a network so poor that neighbours differ for good reasons
    depth_scale: float = 0.25  # image widths that a difference of 1 in log depth counts as among neighbours
    most_compared: int = 600  # samples, of more of which none is told to be lonely
    neighbour_sigmas: float = 5.0  # usual deviations that contradict a sample
    # Of log depth, added to half the median deviation, that is usual in any case:
    least_deviation: float = 0.02


_SETTINGS = GateSettings()


@dataclass(frozen=True, eq=False)
class GateResult:
    """Which of N samples are believed, and why not the others.

    Attributes:
        keep: (N,), bool.
        doubt: (N,), probability that a sample is an outlier all the same, for the correction to judge
            by what it says of the network's error.
        behind: (N,), bool, those that measured the background of what the camera sees there.
        gross: Number that disagree with the global fit.
        occluded: Number that measured the background of what the camera sees there.
        lonely: Number that their neighbours contradict.
    """

    keep: NDArray[np.bool_]
    doubt: NDArray[np.float64]
    behind: NDArray[np.bool_]
    gross: int
    occluded: int
    lonely: int


def outlier_width(log_measured: NDArray[np.float64]) -> float:
    """Range of log depth over which outliers are spread: that of what was measured, (N,)."""
    first, last = np.quantile(log_measured, (_SETTINGS.tail, 1 - _SETTINGS.tail))
    return float(np.clip((last - first) / (1 - 2 * _SETTINGS.tail), *_SETTINGS.outlier_width))


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
    limit = max(_SETTINGS.global_sigmas * sigma, _SETTINGS.least_limit)
    far_off = np.abs(log_ratio) >= limit
    log_measured = log_depth + log_ratio
    # As outliers are spread, some agree with the fit.
    by_chance = min(2 * limit / outlier_width(log_measured), 0.5)
    doubt = outlier_probability(u_px, v_px, log_measured, far_off, by_chance)
    all_behind = np.zeros(len(far_off), dtype=np.bool_)
    if far_off.any() and len(far_off) >= LEAST_COMPARED:
        behind = are_behind_edges(u_px, v_px, log_depth, log_ratio, sigma, model, relative)
        all_behind = far_off & behind
        doubt[all_behind] = 1.0
    keep = doubt < _SETTINGS.most_doubt
    gross = int(np.count_nonzero(~keep))
    occluded = lonely = 0
    believed = np.flatnonzero(keep)
    if LEAST_COMPARED <= len(believed) <= _SETTINGS.most_compared and sigma < _SETTINGS.poor_sigma:
        width = relative.shape[1]
        place = np.stack([u_px / width, v_px / width, _SETTINGS.depth_scale * log_depth], axis=1)[believed]
        around, spread = local_median(place, log_ratio[believed])
        off = log_ratio[believed] - around
        behind = are_behind_edges(
            u_px[believed], v_px[believed], log_depth[believed], off, sigma, model, relative
        )
        typical = 0.5 * float(np.median(np.abs(off))) + _SETTINGS.least_deviation
        alone = ~behind & (np.abs(off) > _SETTINGS.neighbour_sigmas * np.maximum(spread, typical))
        occluded, lonely = int(np.count_nonzero(behind)), int(np.count_nonzero(alone))
        keep[believed[behind | alone]] = False
        all_behind[believed[behind]] = True
    # Where some were contradicted by their neighbours, as many others may be about to be.
    doubt = np.maximum(doubt, (occluded + lonely) / max(len(keep), 1))
    return GateResult(keep, doubt, all_behind, gross, occluded, lonely)
