"""Alignment over time: scale, shift and local correction, how certain they are, and their state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, value_range
from e2e_depth_ros.alignment.correction import are_worth_a_correction, corrected_locally
from e2e_depth_ros.alignment.field import LocalField
from e2e_depth_ros.alignment.filtering import Estimate, change_between, thumbnail_of
from e2e_depth_ros.alignment.fit import MOST_SIGMA, AffineFit, agreeing, fit_affine
from e2e_depth_ros.alignment.gate import CERTAIN_DOUBT, edge_doubt, shares_of_cells
from e2e_depth_ros.alignment.neighbours import coherent_samples
from e2e_depth_ros.alignment.prior import OffsetPrior, offset_prior_of
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.alignment.samples import Samples, nearest_pixels
from e2e_depth_ros.alignment.states import TrackerSettings, state_with, state_without
from e2e_depth_ros.alignment.threads import one_thread
from e2e_depth_ros.alignment.verdict import FitCase, rank_correlation_of
from e2e_depth_ros.core.maps import DepthKind, DepthMap

_TRUSTED_DOUBT = 0.05**2  # variance of log depth at which a sample at an edge counts half in the fit
_LEAST_SIGMA = 0.01
_ENOUGH_FITTED = 20  # others, without which all have to serve
_CONFIRMED = 0.25  # share of samples confirmed by neighbours, from which the network is wrong. Outliers: 0.01
_INVERSE_CORRELATION = -0.7  # Spearman's, of confirmed samples and relative depth that is really disparity


@dataclass(frozen=True, eq=False)
class _Track:
    """What is remembered from frame to frame.

    Attributes:
        estimate: Scale and shift with their uncertainty.
        field: The local correction.
        staleness: Seconds of motion since the field was last fitted.
        thumbnail: Relative depth of the last frame, small.
        stamp_ns: Of the last frame.
        used_ns: Of the last frame with usable samples.
        fit: To its samples.
        source: What measured them.
        samples_used: How many of them agreed.
        inlier_ratio: Their share.
    """

    estimate: Estimate
    field: LocalField | None
    staleness: float
    thumbnail: NDArray[np.float32]
    stamp_ns: int
    used_ns: int
    fit: AffineFit
    source: str
    samples_used: int
    inlier_ratio: float


class AlignmentTracker:
    """Follows the alignment of one camera's relative depth from frame to frame.

    Attributes:
        settings: Read anew at each frame; replace them to change them.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._track: _Track | None = None
        self._note = ""

    def reset(self) -> None:
        """Forget everything; the next samples start anew."""
        self._track = None

    def update(
        self, relative: DepthMap, stamp_ns: int, samples: Samples | None, *, absence: str = "no samples"
    ) -> Alignment:
        """Align one frame.

        Args:
            relative: The network's output for the frame, at the native size.
            stamp_ns: Time of the frame.
            samples: Measurements new since the last frame, in this frame's pixels; None if there are none.
            absence: Why there are none, or why `samples` is empty, for the reason of the state.

        Returns:
            Metric depth, if the state is not lost, and the state with its reason.
        """
        with one_thread():
            return self._updated(relative, stamp_ns, samples, absence)

    def _updated(self, relative: DepthMap, stamp_ns: int, samples: Samples | None, absence: str) -> Alignment:
        self._note = ""
        if not relative.valid.any():
            return self._result(relative, stamp_ns, samples, None, "the image has no valid relative depth")
        ends = value_range(relative)
        thumbnail = thumbnail_of(relative)
        motion = self._predict(relative, thumbnail, stamp_ns, ends)
        fit: AffineFit | None = None
        if samples is not None:
            rows, columns = nearest_pixels(samples.u_px, samples.v_px, relative.size)
            on_valid = relative.valid[rows, columns]
            values = relative.values[rows, columns][on_valid].astype(np.float64)
            if len(samples) and not on_valid.any():
                absence = f"all {len(samples)} samples lie where there is no relative depth"
            samples = samples.select(on_valid, "no_relative_depth")
            prior = offset_prior_of(relative, *ends, values)
            fit = self._fit(relative, samples, values, ends, prior)
            if fit.model is not None and not fit.case.is_rejected:
                samples = self._correct(
                    fit, fit.model, samples, values, relative, thumbnail, stamp_ns, motion, prior
                )
        return self._result(relative, stamp_ns, samples, fit, absence)

    def _predict(
        self, relative: DepthMap, thumbnail: NDArray[np.float32], stamp_ns: int, ends: tuple[float, float]
    ) -> float:
        """Carry the track to this frame's time and range.

        Returns:
            How much the image changed: 0 still, 1 moved.
        """
        track = self._track
        if track is None:
            return 1.0
        elapsed_s = (stamp_ns - track.stamp_ns) * 1e-9
        if not 0 <= elapsed_s <= self.settings.reset_gap_s:
            self._note = f"time jumped by {elapsed_s:+.1f} s, alignment started anew; "
        elif track.estimate.model.kind is not relative.kind:
            self._note = f"depth is now {relative.kind.value}, alignment started anew; "
        if self._note:
            self._track = None
            return 1.0
        motion = change_between(track.thumbnail, thumbnail, ends[1] - ends[0])
        drift = self.settings.still_drift + motion * (self.settings.drift - self.settings.still_drift)
        self._track = replace(
            track,
            estimate=track.estimate.over(*ends).drifted(drift**2 * elapsed_s),
            field=track.field if track.field is None or track.field.layout.size == relative.size else None,
            staleness=track.staleness + motion * elapsed_s,
            thumbnail=thumbnail,
            stamp_ns=stamp_ns,
        )
        return motion

    def _fit(
        self,
        relative: DepthMap,
        samples: Samples,
        values: NDArray[np.float64],
        ends: tuple[float, float],
        prior: OffsetPrior,
    ) -> AffineFit:
        # What the state knows about the offset helps samples that determine the scale only.
        if self._track is not None:
            prior = self._track.estimate.offset_prior(prior)
        rough = AffineModel(ends[0], max(ends[1], ends[0] + 1e-9), 1.0, prior.mean, relative.kind)
        doubt = edge_doubt(samples.u_px, samples.v_px, relative.values, rough)
        trust = _TRUSTED_DOUBT / (_TRUSTED_DOUBT + doubt)
        trust *= shares_of_cells(samples.u_px, samples.v_px, relative.size[1])
        # At depth edges an error of a pixel or two says nothing of the network, if there are others.
        fitting = doubt <= CERTAIN_DOUBT
        if np.count_nonzero(fitting) < _ENOUGH_FITTED:
            fitting[:] = True

        def fitted(least_sigma: float) -> AffineFit:
            return fit_affine(
                values[fitting],
                samples.depth_m[fitting],
                relative.kind,
                value_range=ends,
                prior=prior,
                trust=trust[fitting],
                least_sigma=least_sigma,
            )

        fit = fitted(0.0)
        if fit.case in {FitCase.OUTLIERS, FitCase.FLIPPED} and _is_network_wrong(fit, samples, values):
            fit = replace(fit, case=FitCase.UNEXPLAINED)
        if fit.case is FitCase.UNEXPLAINED:
            # Honest samples that the fit leaves out as outliers would be anywhere.
            fit = replace(fitted(MOST_SIGMA), case=fit.case)
        if fit.model is None:
            return fit
        error = np.log(samples.depth_m.astype(np.float64)) - fit.model.log_depth(values)
        return replace(fit, inliers=agreeing(error, np.hypot(fit.sigma, np.sqrt(doubt))))

    def _correct(
        self,
        fit: AffineFit,
        model: AffineModel,
        samples: Samples,
        values: NDArray[np.float64],
        relative: DepthMap,
        thumbnail: NDArray[np.float32],
        stamp_ns: int,
        motion: float,
        prior: OffsetPrior,
    ) -> Samples:
        """Take a usable fit over into the track; count the samples that the local correction refuses."""
        track = self._track
        estimate, jumped = Estimate.start(model, fit.information, prior), True
        if track is not None:
            estimate, jumped = track.estimate.corrected(model, fit.information)
        field = None
        used, count = int(np.count_nonzero(fit.inliers)), len(samples)
        if self.settings.local and are_worth_a_correction(fit, samples, relative.size):
            previous = track.field if track else None
            field, samples, used = corrected_locally(estimate.model, fit, samples, values, relative, previous)
            if field is not None and not jumped:
                share = max(motion, self.settings.still_share)
                field = field.blended(previous, share)
        self._track = _Track(
            estimate=estimate,
            field=field,
            staleness=0.0,
            thumbnail=thumbnail,
            stamp_ns=stamp_ns,
            used_ns=stamp_ns,
            fit=fit,
            source=samples.source,
            samples_used=used,
            inlier_ratio=used / count,
        )
        return samples

    def _result(
        self,
        relative: DepthMap,
        stamp_ns: int,
        samples: Samples | None,
        fit: AffineFit | None,
        absence: str,
    ) -> Alignment:
        track = self._track
        missing = None if fit is None else fit.case
        if track is None:
            state, reason = state_without(missing, absence)
        else:
            age_s = (stamp_ns - track.used_ns) * 1e-9
            state, reason = state_with(track.fit, track.inlier_ratio, age_s, missing, absence, self.settings)
        nan = float("nan")
        result = Alignment(
            depth=None,
            scale=nan,
            shift_m=nan,
            state=state,
            reason=self._note + reason,
            source=track.source if track else (samples.source if samples is not None else "none"),
            samples_used=track.samples_used if track else 0,
            samples_dropped=dict(samples.dropped) if samples is not None else {},
            inlier_ratio=self._inlier_ratio(stamp_ns, fit),
            residual=fit.sigma if fit is not None else nan,
            condition=fit.spread if fit is not None else nan,
            age_s=(stamp_ns - track.used_ns) * 1e-9 if track else float("inf"),
            size=relative.size,
        )
        if track is None or state is AlignmentState.LOST:
            return result
        model = track.estimate.model
        metres = model.depth_m(relative.values)
        if track.field is not None:
            field = track.field.faded(float(np.exp(-track.staleness)))
            metres *= np.exp(field.correction(model.log_depth(relative.values)))

        def uncertainty() -> NDArray[np.float32]:
            left = max(track.fit.sigma, _LEAST_SIGMA) ** 2
            if track.field is None:
                return track.estimate.std(relative.values, left)
            variance = track.estimate.variance(relative.values)
            variance += track.field.variance(model.log_depth(relative.values), left)
            return np.sqrt(variance, out=variance)

        return replace(
            result,
            depth=DepthMap(metres, relative.valid, DepthKind.METRIC),
            scale=model.scale,
            shift_m=model.shift_m,
            uncertainty=uncertainty,
        )

    def _inlier_ratio(self, stamp_ns: int, fit: AffineFit | None) -> float:
        """Of this frame's samples; NaN without."""
        if fit is None or fit.model is None:
            return float("nan")
        was_used = self._track is not None and self._track.used_ns == stamp_ns and not fit.case.is_rejected
        return self._track.inlier_ratio if self._track is not None and was_used else fit.inlier_ratio


def _is_network_wrong(fit: AffineFit, samples: Samples, values: NDArray[np.float64]) -> bool:
    """Whether samples that contradict the image are right, as their neighbours confirm them."""
    confirmed = coherent_samples(samples.u_px, samples.v_px, samples.depth_m)
    if confirmed.mean() < _CONFIRMED:
        return False
    if fit.case is not FitCase.FLIPPED:
        return True
    # A network that takes a wall for a corridor may have it the wrong way round, but never as consistently
    # as one whose output is the inverse of what it is taken for.
    order = np.argsort(values[confirmed], kind="stable")
    depth_m = samples.depth_m[confirmed][order].astype(np.float64)
    correlation = rank_correlation_of(-depth_m if fit.model and fit.model.is_disparity else depth_m)
    return correlation > _INVERSE_CORRELATION
