"""Alignment over time: scale, shift and correction, how certain they are, and their state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel, value_range
from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.evidence.sensors import sensors_contradiction
from e2e_depth_ros.alignment.fitting.correction_fit import are_worth_a_correction, correction_from_samples
from e2e_depth_ros.alignment.fitting.fit import RobustFit
from e2e_depth_ros.alignment.fitting.frame_fit import fit_frame
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior, offset_prior_of
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.thinning import one_of_each_pixel
from e2e_depth_ros.alignment.tracking.doubts import Doubts, Update
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.alignment.tracking.glimpse import CUT, Glimpse
from e2e_depth_ros.alignment.tracking.states import Agreement, TrackerSettings, state_with, state_without
from e2e_depth_ros.alignment.tracking.track import FittedSamples, FrameSamples, Track, Wandering, Wanderings
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.pixels import nearest_pixels
from e2e_depth_ros.core.threads import one_thread

_COVERED = Doubt("the image shows nothing: is the lens covered?")


class AlignmentTracker:
    """Follows the alignment of one camera's relative depth from frame to frame.

    Attributes:
        settings: Read anew at each frame; replace them to change them.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._track: Track | None = None
        self._measured: Track | None = None  # as it was after the last samples
        self._wanderings = Wanderings()
        self._doubts = Doubts()
        self._note = ""

    def reset(self) -> None:
        """Forget everything; the next samples start anew."""
        self._track = self._measured = None
        self._wanderings.clear()
        self._doubts.clear()

    def update(
        self,
        relative: DepthMap,
        stamp_ns: int,
        samples: Samples | None,
        *,
        image: NDArray[np.uint8] | None = None,
        late: Sequence[FrameSamples] = (),
        absence: str = "no samples",
    ) -> Alignment:
        """Align one frame.

        Args:
            relative: The network's output for the frame, at the native size.
            stamp_ns: Time of the frame.
            samples: Measurements that are new since the last frame, in this frame's pixels; None if there are
                none.
            image: (H, W, 3), RGB, the frame: the correction follows its outlines where the network is weak.
            late: Measurements of earlier frames that became usable since the last frame. They are fitted to
                their own frames, and the result is carried on to this one.
            absence: Why there are no samples, or why the newest are empty; part of the state's reason.

        Returns:
            Metric depth, unless the state is lost, and the state with its reason.

        Raises:
            InvalidInputError: The image has another size than the relative depth, or is no RGB of uint8.
        """
        if image is not None:
            size = (*relative.size, 3)
            is_array = isinstance(image, np.ndarray)
            if not is_array or image.shape != size or image.dtype != np.uint8:
                found = f"{image.dtype} {image.shape}" if is_array else type(image).__name__
                raise InvalidInputError(f"expected an image of uint8 {size}, got {found}")
        with one_thread():
            return self._updated(relative, stamp_ns, samples, image, late, absence)

    def _updated(
        self,
        relative: DepthMap,
        stamp_ns: int,
        samples: Samples | None,
        image: NDArray[np.uint8] | None,
        late: Sequence[FrameSamples],
        absence: str,
    ) -> Alignment:
        fitted = None
        for earlier in late:
            fitted = self._caught_up(earlier)
        self._note = ""
        glimpse = Glimpse.of(relative, image)
        if not relative.valid.any():
            return self._result(relative, stamp_ns, None, "the image has no valid relative depth", glimpse)
        ends = value_range(relative)
        motion = self._predict(relative, glimpse, stamp_ns, ends)
        if samples is not None:
            fitted = self._taken(FrameSamples(relative, stamp_ns, samples, image), ends, glimpse, motion)
        return self._result(relative, stamp_ns, fitted, absence, glimpse)

    def _caught_up(self, late: FrameSamples) -> FittedSamples | None:
        """Take in samples of an earlier frame as if they had been on time; the track stays at the last frame.

        Returns:
            The fit to them; None if they don't belong to the current track.
        """
        track, measured = self._track, self._measured
        if not late.relative.valid.any():
            return None
        ends = value_range(late.relative)
        since = Wandering()
        if track is not None and measured is not None:
            is_of_now = 0 <= (track.stamp_ns - late.stamp_ns) * 1e-9 <= self.settings.reset_gap_s
            if not is_of_now or track.estimate.model.kind is not late.relative.kind:
                return None
            if measured.stamp_ns <= late.stamp_ns:
                since = self._wanderings.since(late.stamp_ns)
                self._track = measured.carried(
                    late.relative.size, ends, self._wanderings.since(measured.stamp_ns) - since
                )
            else:  # another sensor was faster, and what it told is kept
                self._track = track.carried(late.relative.size, ends, Wandering())
        motion = self._wanderings.motion_at(late.stamp_ns)
        fitted = self._taken(late, ends, Glimpse.of(late.relative, late.image), motion)
        used = self._track
        if fitted.fit.model is None or fitted.fit.case.is_rejected or used is None:
            self._track, self._measured = track, measured
        elif track is not None:
            used = replace(used, used_ns=max(track.used_ns, late.stamp_ns))
            now = used.carried(late.relative.size, ends, since)
            self._track = replace(now, stamp_ns=track.stamp_ns, glimpse=track.glimpse)
            self._measured = used if measured is not None and measured.stamp_ns <= late.stamp_ns else now
        return fitted

    def _taken(
        self,
        frame: FrameSamples,
        ends: tuple[float, float],
        glimpse: Glimpse,
        motion: float,
    ) -> FittedSamples:
        """Fit a frame's samples, and take the fit over into the track if they are usable."""
        relative, samples = frame.relative, frame.samples
        rows, columns = nearest_pixels(samples.u_px, samples.v_px, relative.size)
        on_valid = relative.valid[rows, columns]
        absence = ""
        if len(samples) and not on_valid.any():
            absence = f"all {len(samples)} samples lie where there is no relative depth"
        pixel = (rows * relative.size[1] + columns)[on_valid]
        samples = samples.select(on_valid, "no_relative_depth")
        once = one_of_each_pixel(pixel, samples.depth_m)
        samples = samples.select(once, "same_pixel")
        values = relative.values.ravel()[pixel[once]].astype(np.float64)
        prior = offset_prior_of(relative, *ends, values)
        # What the state knows about the offset helps samples that determine the scale only.
        known = prior if self._track is None else self._track.estimate.offset_prior(prior)
        fit = fit_frame(relative, samples, values, ends, known)
        if fit.model is not None and not fit.case.is_rejected:
            frame = replace(frame, samples=samples)
            samples = self._take_over(fit, fit.model, frame, values, glimpse, motion, prior)
        return FittedSamples(samples, fit, frame.stamp_ns, absence)

    def _predict(
        self, relative: DepthMap, glimpse: Glimpse, stamp_ns: int, ends: tuple[float, float]
    ) -> float:
        """Carry the track to this frame's time and range.

        Returns:
            How much changed; see `Glimpse.change_since`.
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
            self.reset()
            return 1.0
        motion = glimpse.change_since(track.glimpse, ends[1] - ends[0])
        moved = min(motion, 1.0)
        drift = self.settings.still_drift + moved * (self.settings.drift - self.settings.still_drift)
        seconds = max(elapsed_s, 1.0) if motion > CUT else elapsed_s
        wandering = Wandering(drift**2 * seconds, moved * seconds)
        self._wanderings.add(stamp_ns, motion, wandering)
        carried = track.carried(relative.size, ends, wandering)
        self._track = replace(carried, glimpse=glimpse, stamp_ns=stamp_ns)
        return motion

    def _take_over(
        self,
        fit: RobustFit,
        model: AffineModel,
        frame: FrameSamples,
        values: NDArray[np.float64],
        glimpse: Glimpse,
        motion: float,
        prior: OffsetPrior,
    ) -> Samples:
        """Take a usable fit over into the track; count the samples that the correction refuses."""
        samples = frame.samples
        track = self._track
        estimate, jumped = AffineEstimate.start(model, fit.information, prior), True
        if track is not None:
            estimate, jumped = track.estimate.updated(model, fit.information)
        update = Update(None if track is None else track.estimate.model, model, estimate, jumped, values)
        self._doubts.take(samples, frame.relative.size, update, glimpse, motion)
        doubt = samples.doubt or sensors_contradiction(samples, frame.relative.size)
        correction, agree = None, fit.inliers
        if self.settings.correction and are_worth_a_correction(fit, samples, frame.relative.size):
            previous = track.correction if track else None
            correction, samples, agree = correction_from_samples(
                estimate.model, fit, samples, values, frame.relative, frame.image, previous
            )
            if correction is not None and not jumped:
                share = max(min(motion, 1.0), self.settings.still_share)
                correction = correction.blended(previous, share)
        self._track = self._measured = Track(
            estimate=estimate,
            correction=correction,
            staleness=0.0,
            glimpse=glimpse,
            stamp_ns=frame.stamp_ns,
            used_ns=frame.stamp_ns,
            fit=fit,
            source=samples.source,
            agreement=Agreement.of(agree, samples, frame.relative.size[1]),
            doubt=doubt,
            common_log_std=samples.common_log_std,
        )
        return samples

    def _result(
        self,
        relative: DepthMap,
        stamp_ns: int,
        fitted: FittedSamples | None,
        absence: str,
        glimpse: Glimpse,
    ) -> Alignment:
        track = self._track
        samples, fit = (fitted.samples, fitted.fit) if fitted else (None, None)
        missing = None if fit is None else fit.case
        absence = (fitted and fitted.absence) or absence
        doubt = NO_DOUBT
        if track is None:
            state, reason = state_without(missing, absence)
        else:
            age_s = (stamp_ns - track.used_ns) * 1e-9
            doubt = max(track.doubt, self._doubts.standing, key=lambda one: (bool(one), one.log_error))
            flaw = _COVERED if glimpse.shows_nothing else doubt
            state, reason = state_with(
                track.fit, track.agreement, age_s, missing, absence, self.settings, flaw.reason
            )
        nan = float("nan")
        result = Alignment(
            depth=None,
            scale=nan,
            shift_m=nan,
            state=state,
            reason=self._note + reason,
            source=track.source if track else (samples.source if samples is not None else "none"),
            samples_used=track.agreement.used if track else 0,
            samples_dropped=dict(samples.dropped) if samples is not None else {},
            inlier_ratio=self._inlier_ratio(fitted),
            residual=fit.sigma if fit is not None else nan,
            condition=fit.spread if fit is not None else nan,
            age_s=(stamp_ns - track.used_ns) * 1e-9 if track else float("inf"),
            size=relative.size,
        )
        if track is None or state is AlignmentState.LOST:
            return result
        model = track.estimate.model
        metres = model.depth_m(relative.values)
        correction, outlined = track.faded_correction(), None
        if correction is not None:
            factor = correction.log_factor(model.log_depth(relative.values))
            metres *= np.exp(factor, out=factor)
            outlined = correction.outlined_share()
        return replace(
            result,
            depth=DepthMap(metres, relative.valid, DepthKind.METRIC),
            scale=model.scale,
            shift_m=model.shift_m,
            shift_is_open=model.has_shift and track.fit.case.leaves_shift_open,
            uncertainty=partial(track.log_std, relative.values, doubt.log_error),
            outlined=outlined,
        )

    def _inlier_ratio(self, fitted: FittedSamples | None) -> float:
        """Of this frame's samples, or those that were late; NaN without."""
        if fitted is None or fitted.fit.model is None:
            return float("nan")
        track, fit = self._track, fitted.fit
        was_used = track is not None and track.used_ns == fitted.stamp_ns and not fit.case.is_rejected
        return track.agreement.ratio if track is not None and was_used else fit.inlier_ratio
