"""How well samples determine scale and shift, and how to tell when they do not."""

from __future__ import annotations

from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.robust import STD_OF_MEDIAN_DEVIATION

ALIKE_SHARE: Final = 0.35
"""Share of errors, the smallest, that holds no gross ones."""
ALIKE_DEVIATION: Final = 0.454
"""Largest of this share of a normal distribution's absolute deviations, in standard deviations."""

# Values are choices where no measurement is told.
_LEAST_SAMPLES = 5  # fewer can't tell an outlier
_LEAST_JUDGED = 8  # of fewer, rank correlation and cost ratio are chance
_LEAST_SPREAD = 0.1  # of the samples' relative depth, over the map's range, that determines a shift
_MOST_COST_RATIO = 0.8  # that a fit explains the samples with. All outliers: 0.95 to 1.2; 30 %: 0.4 to 0.6
_CHANCE_COST_RATIO = 0.3  # by which it may be larger, over the root of the count
_DOUBTFUL_COST_RATIO = 0.7  # from which the ranks must agree as well
_LEAST_RANK_CORRELATION = 0.25  # with which they agree; below its negative they are flipped
_ONE_DEPTH = 0.1  # standard deviation of log depth below which all is one depth
_CLOSE = 0.15  # error of log depth that even a weak network's fit keeps to at most samples
_LEAST_CLOSE = 0.5  # share of samples that close: all outliers 0.24, 30 % outliers 0.75
COST_SIGMAS: Final = 2.5
"""Standard deviations at which a robust cost stops growing."""
LEAST_COST_SIGMA: Final = 0.05
"""Standard deviation of log depth that a robust cost counts with at least."""
MOST_COST_SIGMA: Final = 0.3
"""The same at most: with a wider one even gross outliers would count."""


class FitCase(Enum):
    """How well the samples determine scale and shift; the value is the reason for the status."""

    WELL_POSED = "scale and shift are well determined"
    NO_SAMPLES = "no samples"
    ONE_SAMPLE = "one sample determines the scale only"
    FEW_SAMPLES = "too few samples to tell outliers"
    NO_SPREAD = "samples lie at one depth or on a small patch: the shift is not determined"
    UNEXPLAINED = "the image explains little of how the measured depth varies"
    OUTLIERS = "samples disagree with the image: mostly outliers"
    FLIPPED = "relative depth falls where measured depth grows: is the model's output disparity?"

    @property
    def is_rejected(self) -> bool:
        """Whether scale and shift of such a fit must not be used at all."""
        return self in {FitCase.NO_SAMPLES, FitCase.OUTLIERS, FitCase.FLIPPED}

    @property
    def leaves_shift_open(self) -> bool:
        """Whether such samples tell the scale at best."""
        return self in {FitCase.ONE_SAMPLE, FitCase.FEW_SAMPLES, FitCase.NO_SPREAD}


def robust_scatter(error: NDArray[np.float64]) -> float:
    """Robust standard deviation about 0 that up to half of the errors being gross changes little."""
    size = np.abs(error)
    # First from the smallest third, which holds no gross errors; then from all that are alike.
    rank = int(ALIKE_SHARE * len(size))
    third = float(np.partition(size, rank)[rank]) / ALIKE_DEVIATION
    alike = size[size <= 3 * third]
    middle = len(alike) // 2
    return STD_OF_MEDIAN_DEVIATION * float(np.partition(alike, middle)[middle]) if len(alike) else third


def _cost_ratio(error: NDArray[np.float64], log_y: NDArray[np.float64]) -> float:
    """Robust cost of errors (N,) of log y over that of one constant depth: near 1 they explain nothing."""
    flat = log_y - np.median(log_y)
    sigma = float(np.clip(robust_scatter(error), LEAST_COST_SIGMA, MOST_COST_SIGMA))
    limit = COST_SIGMAS * sigma
    costs = [float(np.square(np.minimum(np.abs(e), limit)).mean()) for e in (error, flat)]
    return costs[0] / max(costs[1], 1e-12)


def rank_correlation_of(log_y: NDArray[np.float64]) -> float:
    """Spearman's correlation of log_y with its own order, which is that of the relative values."""
    if len(log_y) < 3:
        return 1.0
    ranks = np.empty(len(log_y))
    ranks[np.argsort(log_y, kind="stable")] = np.arange(len(log_y))
    centred = np.arange(len(log_y)) - 0.5 * (len(log_y) - 1)
    return float(centred @ ranks / (centred @ centred))


def judge_fit(
    log_y: NDArray[np.float64],
    error: NDArray[np.float64],
    spread: float,
    *,
    has_shift: bool,
) -> FitCase:
    """Say how well samples determine scale and shift.

    Args:
        log_y: (N,), log of what was measured (for disparity of its inverse), in the order of relative values.
        error: (N,), what the fit leaves of it.
        spread: Standard deviation of the samples' relative depth over the range of the map's.
        has_shift: Whether the kind of relative depth leaves a shift open.
    """
    case = FitCase.WELL_POSED
    count = len(error)
    if count < _LEAST_SAMPLES:
        case = FitCase.ONE_SAMPLE if count == 1 else FitCase.FEW_SAMPLES
    elif has_shift and spread < _LEAST_SPREAD:
        case = FitCase.NO_SPREAD
    elif has_shift and count >= _LEAST_JUDGED:
        correlation, cost_ratio = rank_correlation_of(log_y), _cost_ratio(error, log_y)
        if correlation < -_LEAST_RANK_CORRELATION:
            case = FitCase.FLIPPED
        elif cost_ratio > _MOST_COST_RATIO + _CHANCE_COST_RATIO / np.sqrt(count) or (
            cost_ratio > _DOUBTFUL_COST_RATIO and correlation < _LEAST_RANK_CORRELATION
        ):
            # One constant depth does about as well. Because that is what was measured, because a weak
            # network sees little of a scene whose depth varies little, or because of outliers?
            if robust_scatter(log_y - np.median(log_y)) < _ONE_DEPTH:
                case = FitCase.NO_SPREAD
            elif np.mean(np.abs(error) < _CLOSE) >= _LEAST_CLOSE:
                case = FitCase.UNEXPLAINED
            else:
                case = FitCase.OUTLIERS
    return case
