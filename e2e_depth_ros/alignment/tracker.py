"""Alignment over time: scale and shift with their uncertainty, and the state they are in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, value_range
from e2e_depth_ros.alignment.fit import AffineFit, FitCase, OffsetPrior, fit_affine
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap

_PRIOR = OffsetPrior()
_CHANGE_SIGMAS = 3.0  # a fit this far from the state is a real change and is followed at once
_STILL = 0.01  # change of the relative map between frames, in parts of its range, that counts as motion


@dataclass(frozen=True)
class TrackerSettings:
    """How alignment behaves over time.

    Attributes:
        fresh_duration_s: Without new samples the state stays fresh for this long, seconds; a sensor slower
            than the camera needs at least its period.
        hold_duration_s: Without new samples the alignment is lost after this long, seconds.
        reset_gap_s: A gap between stamps longer than this starts alignment anew, as going back in time does.
        drift: Standard deviation by which log scale and offset wander in one second of motion.
        still_drift: The same while the image stands still.
        min_inlier_ratio: With a smaller share of agreeing samples the state is degraded.
        max_residual: With a larger relative error of the global fit the state is degraded.
        local: Whether to correct locally what scale and shift leave.
    """

    fresh_duration_s: float = 0.5
    hold_duration_s: float = 3.0
    reset_gap_s: float = 5.0
    drift: float = 0.05
    still_drift: float = 0.005
    min_inlier_ratio: float = 0.8
    max_residual: float = 0.35
    local: bool = True

    def __post_init__(self) -> None:
        for name in ("fresh_duration_s", "hold_duration_s", "reset_gap_s", "drift", "still_drift"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"expected {name} > 0, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class _Track:
    """The state of the filter: a model with the covariance of its (log extent, log offset)."""

    model: AffineModel
    covariance: NDArray[np.float64]
    thumbnail: NDArray[np.float32]
    stamp_ns: int
    used_ns: int
    case: FitCase
    fit: AffineFit
    source: str
    samples_used: int


class AlignmentTracker:
    """Follows the alignment of one camera's relative depth from frame to frame."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._track: _Track | None = None
        self._note = ""

    def reset(self) -> None:
        """Forget everything; the next samples start anew."""
        self._track = None
        self._note = ""

    def update(
        self, relative: DepthMap, stamp_ns: int, samples: Samples | None, *, absence: str = "no samples"
    ) -> Alignment:
        """Align one frame.

        Args:
            relative: The network's output for the frame, at the native size.
            stamp_ns: Time of the frame.
            samples: Measurements new since the last frame, in this frame's pixels; None if there are none.
            absence: Why there are none, for the reason of the state.

        Returns:
            Metric depth, if the state is not lost, and the state with its reason.
        """
        self._note = self._reset_after_time_jump(stamp_ns)
        low, high = value_range(relative)
        self._predict(relative, stamp_ns, low, high)
        fit: AffineFit | None = None
        if samples is not None:
            samples, values = _values_at(relative, samples)
            prior = self._offset_prior()
            fit = fit_affine(values, samples.depth_m, relative.kind, value_range=(low, high), prior=prior)
            if not fit.case.is_rejected:
                self._correct(fit, samples, relative, stamp_ns)
        return self._result(relative, stamp_ns, samples, fit, absence)

    def _reset_after_time_jump(self, stamp_ns: int) -> str:
        if self._track is None:
            return ""
        step_s = (stamp_ns - self._track.stamp_ns) * 1e-9
        if 0 <= step_s <= self.settings.reset_gap_s:
            return ""
        self._track = None
        return f"time jumped by {step_s:+.1f} s, alignment started anew"

    def _predict(self, relative: DepthMap, stamp_ns: int, low: float, high: float) -> None:
        track = self._track
        if track is None:
            return
        if track.model.kind is not relative.kind:
            self._track = None
            self._note = f"kind of depth changed to {relative.kind.value}, alignment started anew"
            return
        model, jacobian = track.model.over(low, max(high, low + 1e-9))
        thumbnail = _thumbnail(relative)
        motion = _motion(track.thumbnail, thumbnail, high - low)
        elapsed_s = (stamp_ns - track.stamp_ns) * 1e-9
        drift = self.settings.still_drift + (self.settings.drift - self.settings.still_drift) * motion
        covariance = track.covariance * np.outer(jacobian, jacobian) + np.eye(2) * drift**2 * elapsed_s
        self._track = replace(
            track, model=model, covariance=covariance, thumbnail=thumbnail, stamp_ns=stamp_ns
        )

    def _offset_prior(self) -> OffsetPrior:
        """What the state knows about the offset helps samples that determine the scale only."""
        if self._track is None or self._track.model.offset <= 0:
            return _PRIOR
        log_std = float(np.clip(np.sqrt(self._track.covariance[1, 1]), 0.02, _PRIOR.log_std))
        return OffsetPrior(self._track.model.offset, log_std)

    def _correct(self, fit: AffineFit, samples: Samples, relative: DepthMap, stamp_ns: int) -> None:
        if fit.model is None:
            return
        prior_information = np.diag([1e-6, 1 / _PRIOR.log_std**2])
        track = self._track
        if track is None:
            model = fit.model
            covariance = np.asarray(np.linalg.inv(fit.information + prior_information), dtype=np.float64)
        else:
            model, covariance = _fused(track.model, track.covariance, fit.model, fit.information)
        self._track = _Track(
            model=model,
            covariance=covariance,
            thumbnail=_thumbnail(relative),
            stamp_ns=stamp_ns,
            used_ns=stamp_ns,
            case=fit.case,
            fit=fit,
            source=samples.source,
            samples_used=int(np.count_nonzero(fit.inliers)),
        )

    def _result(
        self,
        relative: DepthMap,
        stamp_ns: int,
        samples: Samples | None,
        fit: AffineFit | None,
        absence: str,
    ) -> Alignment:
        track = self._track
        state, reason = self._state(stamp_ns, fit, absence)
        if self._note:
            reason = f"{self._note}; {reason}"
        lost = state is AlignmentState.LOST or track is None
        depth, log_std = (None, None) if track is None or lost else _metric(relative, track)
        nan = float("nan")
        return Alignment(
            depth=depth,
            log_std=log_std,
            scale=nan if track is None or lost else track.model.scale,
            shift_m=nan if track is None or lost else track.model.shift_m,
            state=state,
            reason=reason,
            source=track.source if track else (samples.source if samples is not None else "none"),
            samples_used=track.samples_used if track else 0,
            samples_dropped=dict(samples.dropped) if samples is not None else {},
            inlier_ratio=fit.inlier_ratio if fit is not None and fit.model else nan,
            residual=fit.sigma if fit is not None else nan,
            condition=fit.spread if fit is not None else nan,
            age_s=(stamp_ns - track.used_ns) * 1e-9 if track else float("inf"),
            size=relative.size,
        )

    def _state(self, stamp_ns: int, fit: AffineFit | None, absence: str) -> tuple[AlignmentState, str]:
        track, settings = self._track, self.settings
        missing = absence if fit is None else fit.case.value
        if track is None:
            return AlignmentState.LOST, f"no alignment yet: {missing}"
        age_s = (stamp_ns - track.used_ns) * 1e-9
        if age_s > settings.hold_duration_s:
            return AlignmentState.LOST, f"no usable samples for {age_s:.1f} s: {missing}"
        if age_s > settings.fresh_duration_s or (fit is not None and fit.case.is_rejected):
            return AlignmentState.HELD, f"no usable samples for {age_s:.1f} s: {missing}"
        shortcoming = self._shortcoming(track.fit)
        if shortcoming:
            return AlignmentState.DEGRADED, shortcoming
        return AlignmentState.FRESH, track.fit.case.value

    def _shortcoming(self, fit: AffineFit) -> str:
        if fit.case is not FitCase.WELL_POSED:
            return str(fit.case.value)
        if fit.inlier_ratio < self.settings.min_inlier_ratio:
            return f"only {fit.inlier_ratio:.0%} of the samples agree"
        if fit.sigma > self.settings.max_residual:
            return f"samples and image differ by {fit.sigma:.0%}"
        return ""


def _fused(
    model: AffineModel,
    covariance: NDArray[np.float64],
    measured: AffineModel,
    information: NDArray[np.float64],
) -> tuple[AffineModel, NDArray[np.float64]]:
    """One Kalman step in information form, which takes a measurement of the scale alone as well."""
    if not model.has_shift:
        covariance, information = covariance.copy(), information.copy()
        covariance[1, :] = covariance[:, 1] = information[1, :] = information[:, 1] = 0.0
        covariance[1, 1] = 1.0
        change = np.array([np.log(measured.extent / model.extent), 0.0])
    else:
        change = np.log([measured.extent / model.extent, measured.offset / model.offset])
    # How far is the measurement off, in its own precision and the state's?
    gain = covariance @ np.linalg.inv(np.eye(2) + information @ covariance) @ information
    surprise = float(change @ information @ np.linalg.inv(np.eye(2) + covariance @ information) @ change)
    if surprise > _CHANGE_SIGMAS**2:
        covariance = covariance + np.outer(change, change) + 0.1 * np.eye(2) * float(change @ change)
        gain = covariance @ np.linalg.inv(np.eye(2) + information @ covariance) @ information
    step = gain @ change
    fused = replace(
        model,
        extent=float(model.extent * np.exp(step[0])),
        offset=float(model.offset * np.exp(step[1])) if model.has_shift else 0.0,
    )
    left = (np.eye(2) - gain) @ covariance
    return fused, 0.5 * (left + left.T)


def _metric(relative: DepthMap, track: _Track) -> tuple[DepthMap, NDArray[np.float32]]:
    depth = np.exp(track.model.log_depth(relative.values))
    slope = track.model.offset_sensitivity(relative.values).astype(np.float32)
    cov = track.covariance
    variance = np.float32(cov[0, 0]) + slope * (np.float32(2 * cov[0, 1]) + slope * np.float32(cov[1, 1]))
    variance += np.float32(max(track.fit.sigma, 0.01) ** 2)
    return DepthMap(depth, relative.valid, DepthKind.METRIC), np.sqrt(np.maximum(variance, 0))


def _values_at(relative: DepthMap, samples: Samples) -> tuple[Samples, NDArray[np.float32]]:
    """Relative value of the nearest pixel of each sample; those on invalid pixels are dropped."""
    height, width = relative.size
    rows = np.clip(np.rint(samples.v_px), 0, height - 1).astype(np.intp)
    columns = np.clip(np.rint(samples.u_px), 0, width - 1).astype(np.intp)
    valid = relative.valid[rows, columns]
    values = relative.values[rows, columns][valid]
    return samples.select(valid, "no_relative_depth"), values


def _thumbnail(relative: DepthMap) -> NDArray[np.float32]:
    height, width = relative.size
    step = max(1, max(height, width) // 32)
    thumbnail: NDArray[np.float32] = relative.values[step // 2 :: step, step // 2 :: step].copy()
    return thumbnail


def _motion(before: NDArray[np.float32], now: NDArray[np.float32], extent: float) -> float:
    """Change between two relative maps, 0 when the image stands still to 1 when it moves."""
    if before.shape != now.shape:
        return 1.0
    change = np.abs(now - before)
    change = change[np.isfinite(change)]
    if len(change) == 0:
        return 1.0
    return float(np.clip(np.median(change) / (_STILL * max(extent, 1e-9)), 0, 1))
