"""How well samples determine scale and shift, and how to tell when they do not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.robust import STD_OF_MEDIAN_DEVIATION

ALIKE_SHARE: Final = 0.35
"""Share of errors, the smallest, that holds no gross ones."""
ALIKE_DEVIATION: Final = 0.454
"""Largest of this share of a normal distribution's absolute deviations, in standard deviations."""


@dataclass(frozen=True)
class VerdictSettings:
    """When samples determine scale and shift. Values are choices where no measurement is told."""

    least_samples: int = 5  # fewer can't tell an outlier
    least_judged: int = 8  # of fewer, rank correlation and cost ratio are chance
    least_spread: float = 0.1  # of the samples' relative depth, over the map's range, that determines a shift
    # That a fit explains the samples with. All outliers: 0.95 to 1.2; 30 %: 0.4 to 0.6.
    most_cost_ratio: float = 0.8
    chance_cost_ratio: float = 0.3  # by which it may be larger, over the root of the count
    doubtful_cost_ratio: float = 0.7  # from which the ranks must agree as well
    least_rank_correlation: float = 0.25  # with which they agree; below its negative they are flipped
    one_depth: float = 0.1  # standard deviation of log depth below which all is one depth
    close: float = 0.15  # error of log depth that even a weak network's fit keeps to at most samples
    least_close: float = 0.5  # share of samples that close: all outliers 0.24, 30 % outliers 0.75
    cost_sigmas: float = 2.5  # standard deviations at which a robust cost stops growing
    least_sigma: float = 0.05  # of log depth, that it counts with at least,
    most_sigma: float = 0.3  # and at most: with a wider one even gross outliers would count


_SETTINGS = VerdictSettings()


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


def cost_ratio_of(error: NDArray[np.float64], log_y: NDArray[np.float64]) -> float:
    """Robust cost of errors (N,) of log y over that of one constant depth: near 1 they explain nothing."""
    flat = log_y - np.median(log_y)
    sigma = float(np.clip(robust_scatter(error), _SETTINGS.least_sigma, _SETTINGS.most_sigma))
    limit = _SETTINGS.cost_sigmas * sigma
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
    cost_ratio: float,
    correlation: float,
    *,
    has_shift: bool,
) -> FitCase:
    """Say how well samples determine scale and shift.

    Args:
        log_y: (N,), log of what was measured (for disparity of its inverse).
        error: (N,), what the fit leaves of it.
        spread: Standard deviation of the samples' relative depth over the range of the map's.
        cost_ratio: As `cost_ratio_of` gives it.
        correlation: Spearman's, of relative and measured values.
        has_shift: Whether the kind of relative depth leaves a shift open.
    """
    case = FitCase.WELL_POSED
    count = len(error)
    if count < _SETTINGS.least_samples:
        case = FitCase.ONE_SAMPLE if count == 1 else FitCase.FEW_SAMPLES
    elif has_shift and spread < _SETTINGS.least_spread:
        case = FitCase.NO_SPREAD
    elif has_shift and count >= _SETTINGS.least_judged:
        if correlation < -_SETTINGS.least_rank_correlation:
            case = FitCase.FLIPPED
        elif cost_ratio > _SETTINGS.most_cost_ratio + _SETTINGS.chance_cost_ratio / np.sqrt(count) or (
            cost_ratio > _SETTINGS.doubtful_cost_ratio and correlation < _SETTINGS.least_rank_correlation
        ):
            # One constant depth does about as well. Because that is what was measured, because a weak
            # network sees little of a scene whose depth varies little, or because of outliers?
            if robust_scatter(log_y - np.median(log_y)) < _SETTINGS.one_depth:
                case = FitCase.NO_SPREAD
            elif np.mean(np.abs(error) < _SETTINGS.close) >= _SETTINGS.least_close:
                case = FitCase.UNEXPLAINED
            else:
                case = FitCase.OUTLIERS
    return case
