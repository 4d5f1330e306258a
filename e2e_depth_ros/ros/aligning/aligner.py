"""Chooses what makes a frame metric: samples of a sensor, else the ground, else a given scale and shift."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import metric_from_relative
from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT
from e2e_depth_ros.alignment.ground import GROUND_SOURCE
from e2e_depth_ros.alignment.result import Alignment, AlignmentState, Uncertainty, with_error
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.shortfall import shortfall
from e2e_depth_ros.alignment.tracking.states import TrackerSettings
from e2e_depth_ros.alignment.tracking.track import FrameSamples
from e2e_depth_ros.alignment.tracking.tracker import AlignmentTracker
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.aligning.ground_input import GroundInput
from e2e_depth_ros.ros.aligning.sparse import SparseInputs
from e2e_depth_ros.ros.aligning.transforms import Transforms
from e2e_depth_ros.ros.aligning.waiting import WaitingMeasurements
from e2e_depth_ros.ros.declarations.declaration import settings_from_parameters
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import stamp_ns

_REMEMBERED_NS: Final = 1_000_000_000  # a sensor slower than the camera is refused in some frames only
_LIMITS: Final = ("sparse_min_depth", "sparse_max_depth")
_GIVEN_LOG_STD: Final = 0.1  # of log depth by a given scale, before anything was measured
_GIVEN_SIGMAS: Final = 2.0  # of it, from where on measured depth contradicts a given scale


class Aligner:
    """Turns relative depth into metric depth, frame by frame.

    `align` belongs to one thread; sparse inputs and resets may come from others.

    Attributes:
        sparse: Where metric measurements are put.
    """

    def __init__(self, transforms: Transforms) -> None:
        """Start without any scale.

        Args:
            transforms: Finds where the sensor and the ground are.
        """
        self.sparse = SparseInputs(transforms)
        self._transforms = transforms
        self._waiting: WaitingMeasurements[Samples] = WaitingMeasurements()
        self._ground = GroundInput(transforms)
        self._tracker = AlignmentTracker()
        self._reset = threading.Event()
        self._ground_doubt = NO_DOUBT
        self._measured: tuple[float, float] | None = None  # scale and shift
        self._fault: tuple[int, str] | None = None
        self._sensor_ns: int | None = None
        self._last_ns = 0

    def reset(self) -> None:
        """Forget scale and shift before the next frame, and the measurements that wait. From any thread."""
        self.sparse.clear()
        self._reset.set()

    def align(
        self,
        relative: DepthMap,
        header: Any,
        view: FrameView,
        parameters: Parameters,
        *,
        arrived_ns: int | None = None,
    ) -> tuple[Alignment, list[RefusedMessageError]]:
        """Align a frame.

        A sensor's samples go first. Where none were usable for `fresh_duration`, the ground is looked for,
        if the camera's height above it can be known. A given scale and shift serve where nothing else does.

        Args:
            relative: The network's depth of the frame.
            header: The frame's.
            view: The frame.
            parameters: Of the node.
            arrived_ns: When it came, by any clock that runs; by default now. It counts where the frame has no
                stamp: else nothing would ever grow old.

        Returns:
            The alignment; and what had to be refused.
        """
        frame_ns = stamp_ns(header) or (time.time_ns() if arrived_ns is None else arrived_ns)
        self._settle(frame_ns, parameters)
        if view.may_be_distorted:
            # The tracker must not see it either: it would judge the next rectified frame by this one.
            return _withheld(relative, self.sparse.why_uncalibrated(view)), []
        late, refusals = self._come_late(frame_ns, parameters)
        sensed = self.sparse.sense(header, view, parameters)
        refusals += sensed.refusals
        for measurement in sensed.waiting:
            refusals += self._waiting.add(frame_ns, relative, measurement, view.rgb)
        samples = sensed.samples
        found = [earlier.samples for earlier in late] + ([] if samples is None else [samples])
        faults = [str(refusal) for refusal in refusals]
        faults += [shortfall(empty.source, empty.dropped, _LIMITS) for empty in found if len(empty) == 0]
        absence = self._absence(header, frame_ns, faults)
        alignment = sighting = None
        if found:
            alignment = self._tracker.update(
                relative, frame_ns, samples, image=view.rgb, late=late, absence=absence
            )
            self._note_use(alignment, frame_ns)
            absence = f"{found[-1].source}: {alignment.reason}"
        if self._sensor_rests(frame_ns, parameters):
            sighting = self._ground.look(
                relative, header, frame_ns, view, parameters, self.sparse.why_uncalibrated
            )
        if sighting is not None:
            samples, late = sighting.samples, sighting.late
            absence = f"{absence}; {sighting.absence}"
        if alignment is None or (sighting is not None and (samples is not None or late)):
            alignment = self._tracker.update(
                relative, frame_ns, samples, image=view.rgb, late=late, absence=absence
            )
        alignment = self._checked_by_ground(alignment, header, view, parameters)
        if alignment.state is not AlignmentState.LOST:
            self._measured = alignment.scale, alignment.shift_m
        elif parameters.fixed_scale > 0:
            alignment = _given(relative, parameters, alignment, self._measured)
        return alignment, refusals

    def ground_plane(self, header: Any, parameters: Parameters) -> GroundPlane | None:
        """Say where TF has the ground at a frame; None where it does not tell."""
        return self._ground.plane(header, parameters)

    def _checked_by_ground(
        self, alignment: Alignment, header: Any, view: FrameView, parameters: Parameters
    ) -> Alignment:
        """Doubt a sensor that contradicts the camera's height, and the ground where a sensor did so last.

        The ground can't confirm itself. Of a sensor the deviation stays: it may be right, and what fills the
        lower image a table.
        """
        if alignment.state is not AlignmentState.FRESH:
            return alignment
        if alignment.source == GROUND_SOURCE:
            last = self._ground_doubt
            words = f"when a sensor measured last: {last.reason}"
            return alignment.doubted(last._replace(reason=words) if last else last)
        found = self._ground.contradicts(alignment, header, view, parameters)
        if found is None:
            return alignment
        self._ground_doubt = found
        return alignment.doubted(found._replace(log_error=0.0))

    def _settle(self, frame_ns: int, parameters: Parameters) -> None:
        if frame_ns < self._last_ns:  # a recording began again: what waits is of the run before
            self._waiting.clear()
            self._ground.reset()
            self._transforms.forget()
        self._last_ns = frame_ns
        if self._reset.is_set():
            self._reset.clear()
            self._tracker.reset()
            self._waiting.clear()
            self._ground.reset()
            self._fault = self._sensor_ns = None
            self._ground_doubt, self._measured = NO_DOUBT, None
        self._tracker.settings = settings_from_parameters(TrackerSettings, parameters)

    def _come_late(
        self, frame_ns: int, parameters: Parameters
    ) -> tuple[list[FrameSamples], list[RefusedMessageError]]:
        """Take the samples of earlier frames whose transform came only now."""
        placed, refusals = self._waiting.take_placed(frame_ns, parameters.transform_timeout)
        return [FrameSamples(one.relative, one.frame_ns, one.found, one.image) for one in placed], refusals

    def _note_use(self, alignment: Alignment, frame_ns: int) -> None:
        """Remember when a sensor's samples were last used."""
        if alignment.source == GROUND_SOURCE or not np.isfinite(alignment.age_s):
            return
        used_ns = frame_ns - round(alignment.age_s * 1e9)
        if used_ns != self._sensor_ns:
            self._sensor_ns, self._fault = used_ns, None

    def _absence(self, header: Any, frame_ns: int, faults: list[str]) -> str:
        """Say why there are no samples; a fault of a moment ago says more than that nothing came."""
        if faults:
            self._fault = frame_ns, "; ".join(faults)
        if self._fault is not None and abs(frame_ns - self._fault[0]) <= _REMEMBERED_NS:
            return self._fault[1]
        return self._waiting.status or self.sparse.absence(header)

    def _sensor_rests(self, frame_ns: int, parameters: Parameters) -> bool:
        if self._sensor_ns is None:
            return True
        return abs(frame_ns - self._sensor_ns) > parameters.fresh_duration * 1e9


def _withheld(relative: DepthMap, why: str) -> Alignment:
    """Say nothing in metres of an image that should have been rectified and was not."""
    nan = float("nan")
    reason = f"the image may be distorted and can't be rectified: {why}"
    return Alignment(None, nan, nan, AlignmentState.LOST, reason, "none", size=relative.size)


def _given(
    relative: DepthMap, parameters: Parameters, unmeasured: Alignment, measured: tuple[float, float] | None
) -> Alignment:
    """Apply the scale and shift that the parameters give; they are as wrong as those measured last say."""
    depth = metric_from_relative(relative, parameters.fixed_scale, parameters.fixed_shift)
    reason = f"scale and shift are given, not measured: {unmeasured.reason}"
    uncertainty: Uncertainty = partial(np.full, relative.size, _GIVEN_LOG_STD, np.float32)
    if measured is not None and depth.valid.any():
        apart = _apart(depth, metric_from_relative(relative, *measured))
        uncertainty = with_error(uncertainty, lambda: apart)
        usual = float(np.median(apart[depth.valid]))
        if usual > _GIVEN_SIGMAS * _GIVEN_LOG_STD:
            reason += f"; by those measured last, depth is off by {usual:.0%}"
    return replace(
        unmeasured,
        depth=depth,
        scale=parameters.fixed_scale,
        shift_m=parameters.fixed_shift,
        state=AlignmentState.HELD,
        reason=reason,
        source="fixed scale",
        samples_used=0,
        uncertainty=uncertainty,
    )


def _apart(given: DepthMap, measured: DepthMap) -> NDArray[np.float32]:
    """Error, (H, W), >= 0, of given depth if measured depth is right: of its log, or over itself if larger.

    A multiple of the given depth has to reach what is true, however much too near it is.
    """
    both = given.valid & measured.valid
    ratio = np.divide(measured.values, given.values, out=np.ones_like(given.values), where=both)
    return np.asarray(np.maximum(ratio - 1, -np.log(ratio)), np.float32)
