"""One robust scale and shift that turns a relative depth map into metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.alignment.affine import LEAST_LIFTED, AffineModel, kind_has_shift
from e2e_depth_ros.alignment.evidence.gate import GateSettings
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior
from e2e_depth_ros.alignment.fitting.verdict import (
    ALIKE_DEVIATION,
    ALIKE_SHARE,
    FitCase,
    VerdictSettings,
    cost_ratio_of,
    judge_fit,
    rank_correlation_of,
    robust_scatter,
)
from e2e_depth_ros.alignment.thinning import chosen_by_hash
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.core.robust import biweight

_OFFSETS = np.exp(np.linspace(np.log(0.001), np.log(9.0), 26))  # starting points


@dataclass(frozen=True)
class FitSettings:
    """How scale and shift are fitted. Values are choices where no measurement is told."""

    least_offset: float = 5e-4  # that of a street seen past something at arm's length
    most_fitted: int = 2048  # samples in the iterations; more change the result by far less than its error
    most_starts: int = 96  # samples that judge the starting points
    most_step: float = 1.5  # of log extent and log offset at a time: a factor of 4.5
    least_sigma: float = 0.01  # relative error; no sensor and network agree better
    usual_sigma: float = 0.05  # that of a good network,
    usual_samples: int = 12  # and the samples it counts for beside these samples' own scatter: few say little
    # Samples that more are worth where the fit is extrapolated: a network errs alike all over:
    alike: float = 10.0
    inlier_sigmas: float = 3.0  # standard deviations within which a sample agrees
    few: float = 80.0  # samples, of which one that disagrees still has a quarter of its say in the deviation
    remote: float = 0.12  # standard deviation, of log depth, that is added far from all samples
    extrapolated: float = 0.7  # standard deviation for each unit of log depth beyond what was measured


_SETTINGS = FitSettings()


@dataclass(frozen=True, eq=False)
class RobustFit:
    """Scale and shift, and how far to trust them.

    Attributes:
        model: The map from relative to metric; None when there were no samples.
        information: (2, 2), inverse covariance of the model's (log extent, log offset).
        case: How well the samples determine the two.
        inliers: (N,), bool, the samples that agree with the fit, in their given order.
        sigma: Robust standard deviation of log(measured / fitted) depth: about the relative error.
        spread: Standard deviation of the samples' relative depth over the range of the map's: below 0.1
            the shift is not determined.
        scatter: Plain standard deviation of log(measured / fitted) depth, outliers and all, up to 1.
        covered: Least and largest relative value that was measured.
        least_offset: The model's may be as small as this: a larger one flattens the map, and hides how far a
            depth is from those that were measured.
        remoteness: (h, w), float32, any size: share of the network's error that no sample tells of, 0..1;
            None where samples have no place.
    """

    model: AffineModel | None
    information: NDArray[np.float64]
    case: FitCase
    inliers: NDArray[np.bool_]
    sigma: float
    spread: float
    scatter: float
    covered: tuple[float, float]
    least_offset: float = float("inf")
    remoteness: NDArray[np.float32] | None = None

    @property
    def inlier_ratio(self) -> float:
        """Share of the samples that agree with the fit, 0..1; 0 without samples."""
        return float(self.inliers.mean()) if len(self.inliers) else 0.0

    def left_variance(self, log_depth: NDArray[Any], model: AffineModel) -> NDArray[Any]:
        """Variance, in log depth squared, of what one scale and shift leave at pixels.

        Few samples can't tell whether the one that disagrees is an outlier or the network wrong: then it
        counts as the latter. Beyond the depths that were measured, and far from the samples in the image, the
        error grows with the distance to them.

        Args:
            log_depth: (H, W), log of the fitted depth, of any size.
            model: That gave it: this fit's, or one that has followed it.
        """
        doubt = (_SETTINGS.few / (_SETTINGS.few + len(self.inliers))) ** 2
        usual = max(self.sigma, _SETTINGS.least_sigma) ** 2
        usual += doubt * max(self.scatter**2 - usual, 0.0)
        ends = model.log_depth(np.array(self.covered))
        if self.least_offset < model.offset:
            ends, log_depth = (model.with_offset(self.least_offset, each) for each in (ends, log_depth))
        beyond = log_depth - np.clip(log_depth, ends.min(), ends.max())
        result: NDArray[Any] = np.square(_SETTINGS.extrapolated * beyond) + usual
        if self.remoteness is not None:
            result += _SETTINGS.remote**2 * cv2.resize(self.remoteness, log_depth.shape[::-1])
        return result.astype(log_depth.dtype, copy=False)


def fit_affine(
    relative_values: ArrayLike,
    depth_m: ArrayLike,
    kind: DepthKind,
    *,
    value_range: tuple[float, float] | None = None,
    prior: OffsetPrior | None = None,
    trust: ArrayLike | None = None,
    least_sigma: float = 0.0,
) -> RobustFit:
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
        least_sigma: Relative error that the network has at least: samples this far off are no outliers.

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
    model = _start(r_fit, y_fit, weight, low, high, kind, prior, least_sigma)
    model = _refined(model, r_fit, y_fit, weight, prior, least_sigma)

    error = log_y - sign * model.log_depth(r)
    sigma = _sigma_of(robust_scatter(error), len(error))
    spread = float(np.std(r_fit)) / (high - low)
    cost_ratio = cost_ratio_of(error[order], y_fit)
    correlation = rank_correlation_of(y_fit)
    return RobustFit(
        model=model,
        information=_information(model, r_fit, error[order], weight, max(sigma, _SETTINGS.least_sigma)),
        case=judge_fit(y_fit, error, spread, cost_ratio, correlation, has_shift=model.has_shift),
        inliers=agreeing(error, sigma),
        sigma=sigma,
        spread=spread,
        scatter=float(np.sqrt(np.sum(np.square(np.clip(error, -1, 1))) / max(len(error) - 2, 1))),
        covered=(float(r.min()), float(r.max())),
    )


def agreeing(error: NDArray[np.float64], sigma: ArrayLike) -> NDArray[np.bool_]:
    """Whether errors (N,) of log depth are no larger than their standard deviation lets expect."""
    limit = np.maximum(_SETTINGS.inlier_sigmas * np.asarray(sigma), GateSettings.least_limit)
    return np.asarray(np.abs(error) < limit)


def _start(
    r: NDArray[np.float64],
    log_y: NDArray[np.float64],
    trust: NDArray[np.float64],
    low: float,
    high: float,
    kind: DepthKind,
    prior: OffsetPrior,
    least_sigma: float,
) -> AffineModel:
    """Choose the best of a grid of offsets, each with its median extent and its half-sample mode."""
    if len(r) > _SETTINGS.most_starts:  # sorted by r, so this keeps their distribution
        chosen = np.linspace(0, len(r) - 1, _SETTINGS.most_starts).astype(int)
        r, log_y, trust = r[chosen], log_y[chosen], trust[chosen]
    offsets = _OFFSETS if kind_has_shift(kind) else np.zeros(1)
    t = (r - low) / (high - low)
    log_ratio = log_y - np.log(np.maximum(t + offsets[:, None], LEAST_LIFTED))  # (offsets, N)
    ranked = np.sort(log_ratio, axis=1)
    count = len(t)
    median = 0.5 * (ranked[:, (count - 1) // 2] + ranked[:, count // 2])
    third = int(ALIKE_SHARE * count)
    first = np.argmin(ranked[:, third:] - ranked[:, : count - third], axis=1)
    rows = np.arange(len(offsets))
    mode = 0.5 * (ranked[rows, first] + ranked[rows, first + third])
    centre = np.stack([median, mode])  # (2, offsets)
    error = np.abs(log_ratio - centre[..., None])  # (2, offsets, N)
    scatter = np.partition(error, third, axis=2)[..., third].min() / ALIKE_DEVIATION
    sigma = np.clip(scatter, max(VerdictSettings.least_sigma, least_sigma), VerdictSettings.most_sigma)
    cost = 0.5 * np.square(np.minimum(error / sigma, VerdictSettings.cost_sigmas)) @ trust
    if kind_has_shift(kind):
        repeats = 1 + prior.unsampled * trust.sum() / _SETTINGS.alike
        cost += 0.5 * np.square(np.log(offsets / prior.mean) / prior.log_std_for(float(sigma))) * repeats
    which, best = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return AffineModel(low, high, float(np.exp(centre[which, best])), float(offsets[best]), kind)


def _refined(
    model: AffineModel,
    r: NDArray[np.float64],
    log_y: NDArray[np.float64],
    trust: NDArray[np.float64],
    prior: OffsetPrior,
    least_sigma: float,
) -> AffineModel:
    """Take Gauss-Newton steps on the log residual, with Tukey weights and the prior on the offset."""
    t = (r - model.low) / (model.high - model.low)
    log_extent, offset = np.log(model.extent), model.offset
    most_step, most_sigma = _SETTINGS.most_step, VerdictSettings.most_sigma
    for _ in range(20):
        lifted = np.maximum(t + offset, LEAST_LIFTED)
        error = log_y - log_extent - np.log(lifted)
        scatter = robust_scatter(error)
        sigma = min(max(_sigma_of(scatter, len(r)), least_sigma), most_sigma)
        # Enough samples that agree exactly are exact, whatever the prior says.
        scatter = min(scatter, most_sigma) if len(r) >= _SETTINGS.usual_samples else sigma
        weight = trust * biweight(error, max(sigma, _SETTINGS.least_sigma))
        s0, b0 = float(weight.sum()), float(weight @ error)
        if s0 <= 0:
            break
        if model.has_shift:
            slope = offset / lifted  # d log y / d log offset
            weighted = weight * slope
            # The prior is one more equation, whose weight is the scatter over the prior's width, squared.
            stiffness = (scatter / prior.log_std_for(scatter)) ** 2
            stiffness *= 1 + prior.unsampled * s0 / _SETTINGS.alike
            s1, s2 = float(weighted.sum()), float(weighted @ slope) + stiffness + 1e-12 * s0
            b1 = float(weighted @ error) - stiffness * float(np.log(offset / prior.mean))
            determinant = s0 * s2 - s1 * s1
            steps = ((s2 * b0 - s1 * b1) / determinant, (s0 * b1 - s1 * b0) / determinant)
            stretched = offset * np.exp(np.clip(steps[1], -most_step, most_step))
            offset = float(np.clip(stretched, _SETTINGS.least_offset, 1e3))
        else:
            steps = (b0 / s0, 0.0)
        log_extent += float(np.clip(steps[0], -most_step, most_step))
        if max(map(abs, steps)) < 1e-3 * scatter + 1e-12:
            break
    return replace(model, extent=float(np.exp(log_extent)), offset=offset)


def _sigma_of(scatter: float, count: int) -> float:
    """Standard deviation of errors, given the robust one of some: the fewer, the nearer to what is usual."""
    squares = count * scatter**2 + _SETTINGS.usual_samples * _SETTINGS.usual_sigma**2
    return float(np.sqrt(squares / (count + _SETTINGS.usual_samples)))


def _information(
    model: AffineModel,
    r: NDArray[np.float64],
    error: NDArray[np.float64],
    trust: NDArray[np.float64],
    sigma: float,
) -> NDArray[np.float64]:
    """Inverse covariance of (log extent, log offset)."""
    weight = trust * biweight(error, sigma)
    jacobian = np.stack([np.ones(len(r)), model.offset_sensitivity(r)], axis=1)
    repeats = 1 + weight.sum() / _SETTINGS.alike
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
    most = _SETTINGS.most_fitted
    if len(r) > most:
        keys = r.astype(np.float32), y.astype(np.float32)
        chosen = np.flatnonzero(chosen_by_hash(*keys, most / len(r)))
        if len(chosen) < 0.5 * most:  # most samples are one and the same, and so is their hash
            chosen = np.lexsort((y, r))[np.linspace(0, len(r) - 1, most).astype(np.intp)]
    order: NDArray[np.intp] = chosen[np.lexsort((y[chosen], r[chosen]))]
    return order


def _no_fit() -> RobustFit:
    nan = float("nan")
    none = np.zeros(0, dtype=np.bool_)
    return RobustFit(None, np.zeros((2, 2)), FitCase.NO_SAMPLES, none, nan, 0.0, nan, (nan, nan))
