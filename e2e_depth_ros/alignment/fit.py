"""One robust scale and shift that turns a relative depth map into metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.alignment.affine import LEAST_LIFTED, AffineModel, kind_has_shift
from e2e_depth_ros.alignment.prior import OffsetPrior
from e2e_depth_ros.alignment.samples import chosen_by_hash
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind

_OFFSETS = np.exp(np.linspace(np.log(0.001), np.log(9.0), 26))  # starting points
_LEAST_OFFSET = 5e-4  # a street seen past something at arm's length
_MAX_FITTED = 2048  # samples in the iterations; the result changes by far less than its error
_MAX_STARTS = 96  # samples that judge the starting points
_TUKEY = 4.685  # tuning constant of Tukey's biweight: 95 % efficiency on normal errors
_LEAST_SIGMA = 0.01  # no sensor and network agree better than this
_MOST_SIGMA = 0.3  # with a wider one even gross outliers would count
_ALIKE = 10.0  # errors of a network are alike over the whole image: extrapolated, samples are worth this many
_FEW = 12  # below this many samples their scatter says little about their error
_FEW_SIGMA = 0.05  # so this much is assumed
_INLIER_SIGMAS = 3.0

_LEAST_SAMPLES = 5  # below this an outlier can't be told
_LEAST_JUDGED = 8  # below this rank correlation and cost ratio are chance
_LEAST_SPREAD = 0.1
_MOST_COST_RATIO = 0.8  # and 0.3 over the root of the count. All outliers: 0.95 to 1.2; 30 %: 0.4 to 0.6
_DOUBTFUL_COST_RATIO = 0.7  # from here on the ranks must agree as well
_LEAST_RANK_CORRELATION = 0.25
_ONE_DEPTH_LOG_STD = 0.1
_CLOSE = 0.15  # error of log depth that even a weak network's fit keeps to at most samples
_MOST_CLOSE = 0.5  # share of samples that close: all outliers 0.24, 30 % outliers 0.75


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


@dataclass(frozen=True, eq=False)
class AffineFit:
    """Scale and shift, and how far to trust them.

    Attributes:
        model: The map from relative to metric; None when there were no samples.
        information: (2, 2), inverse covariance of the model's (log extent, log offset).
        case: How well the samples determine the two.
        inliers: (N,), bool, the samples that agree with the fit, in their given order.
        sigma: Robust standard deviation of log(measured / fitted) depth: about the relative error.
        spread: Standard deviation of the samples' relative depth over the range of the map's: below 0.1
            the shift is not determined.
        cost_ratio: Robust cost of the fit over that of one constant depth; near 1 the image explains nothing.
        rank_correlation: Spearman's, of relative and measured values; negative when flipped.
    """

    model: AffineModel | None
    information: NDArray[np.float64]
    case: FitCase
    inliers: NDArray[np.bool_]
    sigma: float
    spread: float
    cost_ratio: float
    rank_correlation: float

    @property
    def scale(self) -> float:
        """Metres (for disparity 1 / metres) for each unit of relative value, > 0; NaN without a fit."""
        return self.model.scale if self.model else float("nan")

    @property
    def shift_m(self) -> float:
        """Metres (for disparity 1 / metres) at relative value 0; NaN without a fit."""
        return self.model.shift_m if self.model else float("nan")

    @property
    def inlier_ratio(self) -> float:
        """Share of the samples that agree with the fit, 0..1; 0 without samples."""
        return float(self.inliers.mean()) if len(self.inliers) else 0.0


def fit_affine(
    relative_values: ArrayLike,
    depth_m: ArrayLike,
    kind: DepthKind,
    *,
    value_range: tuple[float, float] | None = None,
    prior: OffsetPrior | None = None,
    trust: ArrayLike | None = None,
) -> AffineFit:
    """Fit scale > 0 and shift, robustly, in the space that the model predicts.

    The starting point is the best, by a truncated cost, of a grid over the offset with two extents each: the
    median and the half-sample mode (Rousseeuw's least median of squares in one dimension). Gauss-Newton steps
    on log depth with Tukey's biweight refine it. The prior on the offset decides where few samples don't.
    The result is positive over the range by construction, does not depend on the order of the samples, and
    follows the unit of depth.

    Args:
        relative_values: (N,), the map at the samples.
        depth_m: (N,), measured depth there, metres, positive.
        kind: What the relative values are. For SCALE_INVARIANT and METRIC maps the shift is 0.
        value_range: 1 % and 99 % quantile of the whole map; by default the ends of the samples' own range.
        prior: What is known of the offset beforehand.
        trust: (N,), weight of each sample beforehand, 0..1; by default all 1.

    Returns:
        The fit, its `case` and its quality.

    Raises:
        InvalidInputError: Shapes differ, or a value is not finite, or a depth not positive.
    """
    r = np.asarray(relative_values, dtype=np.float64)
    z = np.asarray(depth_m, dtype=np.float64)
    if r.ndim != 1 or r.shape != z.shape:
        raise InvalidInputError(
            f"expected relative values and depth of one shape (N,), got {r.shape} and {z.shape}"
        )
    if not (np.isfinite(r).all() and np.isfinite(z).all() and (z > 0).all()):
        raise InvalidInputError("expected finite relative values and positive finite depth, got others")
    if len(r) == 0:
        return _no_fit()
    prior = prior or OffsetPrior()
    sign = -1.0 if kind is DepthKind.AFFINE_INVARIANT_DISPARITY else 1.0
    log_y = sign * np.log(z)
    low, high = _usable_range(r, value_range, kind)

    order = _canonical_order(r, log_y)
    r_fit, y_fit = r[order], log_y[order]
    weight = np.ones(len(order)) if trust is None else np.asarray(trust, dtype=np.float64)[order]
    model = _start(r_fit, y_fit, weight, low, high, kind, prior)
    model = _refined(model, r_fit, y_fit, weight, prior)

    error = log_y - sign * model.log_depth(r)
    sigma = max(_scatter(error), 1e-12)
    spread = float(np.std(r_fit)) / (high - low)
    cost_ratio = _cost_ratio(error[order], y_fit)
    correlation = _rank_correlation(y_fit)
    return AffineFit(
        model=model,
        information=_information(model, r_fit, error[order], weight, max(sigma, _LEAST_SIGMA)),
        case=_judge(y_fit, error, spread, cost_ratio, correlation, has_shift=model.has_shift),
        inliers=np.abs(error) < max(_INLIER_SIGMAS * sigma, 0.05),
        sigma=sigma,
        spread=spread,
        cost_ratio=cost_ratio,
        rank_correlation=correlation,
    )


def _start(
    r: NDArray[np.float64],
    log_y: NDArray[np.float64],
    trust: NDArray[np.float64],
    low: float,
    high: float,
    kind: DepthKind,
    prior: OffsetPrior,
) -> AffineModel:
    """Choose the best of a grid of offsets, each with its median extent and its half-sample mode."""
    if len(r) > _MAX_STARTS:  # sorted by r, so this keeps their distribution
        chosen = np.linspace(0, len(r) - 1, _MAX_STARTS).astype(int)
        r, log_y, trust = r[chosen], log_y[chosen], trust[chosen]
    offsets = _OFFSETS if kind_has_shift(kind) else np.zeros(1)
    t = (r - low) / (high - low)
    log_ratio = log_y - np.log(np.maximum(t + offsets[:, None], LEAST_LIFTED))  # (offsets, N)
    ranked = np.sort(log_ratio, axis=1)
    count = len(t)
    median = 0.5 * (ranked[:, (count - 1) // 2] + ranked[:, count // 2])
    third = int(0.35 * count)
    first = np.argmin(ranked[:, third:] - ranked[:, : count - third], axis=1)
    rows = np.arange(len(offsets))
    mode = 0.5 * (ranked[rows, first] + ranked[rows, first + third])
    centre = np.stack([median, mode])  # (2, offsets)
    error = np.abs(log_ratio - centre[..., None])  # (2, offsets, N)
    scatter = np.partition(error, third, axis=2)[..., third].min() / 0.454
    sigma = np.clip(scatter, 0.05, 0.3)
    cost = 0.5 * np.square(np.minimum(error / sigma, 2.5)) @ trust
    if kind_has_shift(kind):
        cost += (
            0.5
            * np.square(np.log(offsets / prior.mean) / prior.log_std_for(float(sigma)))
            * (1 + prior.unsampled * trust.sum() / _ALIKE)
        )
    which, best = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return AffineModel(low, high, float(np.exp(centre[which, best])), float(offsets[best]), kind)


def _refined(
    model: AffineModel,
    r: NDArray[np.float64],
    log_y: NDArray[np.float64],
    trust: NDArray[np.float64],
    prior: OffsetPrior,
) -> AffineModel:
    """Take Gauss-Newton steps on the log residual, with Tukey weights and the prior on the offset."""
    t = (r - model.low) / (model.high - model.low)
    log_extent, offset = np.log(model.extent), model.offset
    for _ in range(20):
        lifted = np.maximum(t + offset, LEAST_LIFTED)
        error = log_y - log_extent - np.log(lifted)
        scatter = min(max(_scatter(error), _FEW_SIGMA if len(r) < _FEW else 0.0), _MOST_SIGMA)
        width = _TUKEY * max(scatter, _LEAST_SIGMA)
        weight = trust * np.square(np.maximum(0.0, 1 - np.square(error / width)))
        s0, b0 = float(weight.sum()), float(weight @ error)
        if s0 <= 0:
            break
        if model.has_shift:
            slope = offset / lifted  # d log y / d log offset
            weighted = weight * slope
            # The prior is one more equation, whose weight is the scatter over the prior's width, squared.
            stiffness = (scatter / prior.log_std_for(scatter)) ** 2 * (1 + prior.unsampled * s0 / _ALIKE)
            s1, s2 = float(weighted.sum()), float(weighted @ slope) + stiffness + 1e-12 * s0
            b1 = float(weighted @ error) - stiffness * float(np.log(offset / prior.mean))
            determinant = s0 * s2 - s1 * s1
            steps = ((s2 * b0 - s1 * b1) / determinant, (s0 * b1 - s1 * b0) / determinant)
            offset = float(np.clip(offset * np.exp(np.clip(steps[1], -1.5, 1.5)), _LEAST_OFFSET, 1e3))
        else:
            steps = (b0 / s0, 0.0)
        log_extent += float(np.clip(steps[0], -1.5, 1.5))
        if max(map(abs, steps)) < 1e-3 * scatter + 1e-12:
            break
    return replace(model, extent=float(np.exp(log_extent)), offset=offset)


def _information(
    model: AffineModel,
    r: NDArray[np.float64],
    error: NDArray[np.float64],
    trust: NDArray[np.float64],
    sigma: float,
) -> NDArray[np.float64]:
    """Inverse covariance of (log extent, log offset)."""
    weight = trust * np.square(np.maximum(0.0, 1 - np.square(error / (_TUKEY * sigma))))
    jacobian = np.stack([np.ones(len(r)), model.offset_sensitivity(r)], axis=1)
    repeats = 1 + weight.sum() / _ALIKE
    result: NDArray[np.float64] = (jacobian * weight[:, None]).T @ jacobian / (sigma**2 * repeats)
    return result


def _usable_range(
    r: NDArray[np.float64], given: tuple[float, float] | None, kind: DepthKind
) -> tuple[float, float]:
    low, high = given if given is not None else (float(r.min()), float(r.max()))
    if not kind_has_shift(kind):
        low = 0.0
    if not high > low:  # a constant map: any range serves, as only the scale can be found
        high = low + max(abs(low), 1.0)
    return low, high


def _canonical_order(r: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Sort by relative value, so that the order of the samples can't matter; thin a great many."""
    chosen = np.arange(len(r))
    if len(r) > _MAX_FITTED:
        keys = r.astype(np.float32), y.astype(np.float32)
        chosen = np.flatnonzero(chosen_by_hash(*keys, _MAX_FITTED / len(r)))
    order: NDArray[np.intp] = chosen[np.lexsort((y[chosen], r[chosen]))]
    return order


def _scatter(error: NDArray[np.float64]) -> float:
    """Robust standard deviation about 0 that up to half of the errors being gross changes little."""
    size = np.abs(error)
    # First from the smallest third, which holds no gross errors; then from all that are alike.
    rank = int(0.35 * len(size))
    third = float(np.partition(size, rank)[rank]) / 0.454
    alike = size[size <= 3 * third]
    middle = len(alike) // 2
    return 1.4826 * float(np.partition(alike, middle)[middle]) if len(alike) else third


def _cost_ratio(error: NDArray[np.float64], log_y: NDArray[np.float64]) -> float:
    flat = log_y - np.median(log_y)
    limit = 2.5 * float(np.clip(_scatter(error), 0.05, 0.3))
    costs = [float(np.square(np.minimum(np.abs(e), limit)).mean()) for e in (error, flat)]
    return costs[0] / max(costs[1], 1e-12)


def _rank_correlation(log_y: NDArray[np.float64]) -> float:
    """Spearman's correlation of log_y with its own order, which is that of the relative values."""
    if len(log_y) < 3:
        return 1.0
    ranks = np.empty(len(log_y))
    ranks[np.argsort(log_y, kind="stable")] = np.arange(len(log_y))
    centred = np.arange(len(log_y)) - 0.5 * (len(log_y) - 1)
    return float(centred @ ranks / (centred @ centred))


def _judge(
    log_y: NDArray[np.float64],
    error: NDArray[np.float64],
    spread: float,
    cost_ratio: float,
    correlation: float,
    *,
    has_shift: bool,
) -> FitCase:
    case = FitCase.WELL_POSED
    count = len(error)
    if count < _LEAST_SAMPLES:
        case = FitCase.ONE_SAMPLE if count == 1 else FitCase.FEW_SAMPLES
    elif has_shift and spread < _LEAST_SPREAD:
        case = FitCase.NO_SPREAD
    elif has_shift and count >= _LEAST_JUDGED:
        if correlation < -_LEAST_RANK_CORRELATION:
            case = FitCase.FLIPPED
        elif cost_ratio > _MOST_COST_RATIO + 0.3 / np.sqrt(count) or (
            cost_ratio > _DOUBTFUL_COST_RATIO and correlation < _LEAST_RANK_CORRELATION
        ):
            # One constant depth does about as well. Because that is what was measured, because a weak
            # network sees little of a scene whose depth varies little, or because of outliers?
            if _scatter(log_y - np.median(log_y)) < _ONE_DEPTH_LOG_STD:
                case = FitCase.NO_SPREAD
            elif np.mean(np.abs(error) < _CLOSE) >= _MOST_CLOSE:
                case = FitCase.UNEXPLAINED
            else:
                case = FitCase.OUTLIERS
    return case


def _no_fit() -> AffineFit:
    nan = float("nan")
    return AffineFit(
        model=None,
        information=np.zeros((2, 2)),
        case=FitCase.NO_SAMPLES,
        inliers=np.zeros(0, dtype=np.bool_),
        sigma=nan,
        spread=0.0,
        cost_ratio=nan,
        rank_correlation=nan,
    )
