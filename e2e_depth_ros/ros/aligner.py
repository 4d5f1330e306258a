"""Chooses what makes a frame metric: samples of a sensor, else the ground, else a given scale and shift."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import metric_from_relative
from e2e_depth_ros.alignment.ground import Ground, find_ground
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracker import AlignmentTracker
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.parameters import Parameters
from e2e_depth_ros.ros.refusal import RefusedMessageError
from e2e_depth_ros.ros.shortfall import shortfall
from e2e_depth_ros.ros.sparse import SparseInputs
from e2e_depth_ros.ros.stamps import stamp_ns
from e2e_depth_ros.ros.transforms import Transforms
from e2e_depth_ros.ros.view import View

_REMEMBERED_NS: Final = 1_000_000_000  # a sensor slower than the camera is refused in some frames only
_GROUND_PERIOD_NS: Final = 200_000_000  # to find the ground takes long, and between two frames it stays
_GIVEN_LOG_STD: Final = 0.1  # nobody measures how wrong a given scale is


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
        self._tracker = AlignmentTracker()
        self._reset = threading.Event()
        self._fault: tuple[int, str] | None = None
        self._sensor_ns: int | None = None
        self._ground_ns: int | None = None
        self._ground_absence = ""

    def reset(self) -> None:
        """Forget scale and shift before the next frame, and the measurements that wait. From any thread."""
        self.sparse.clear()
        self._reset.set()

    def align(
        self, relative: DepthMap, header: Any, view: View, parameters: Parameters
    ) -> tuple[Alignment, list[RefusedMessageError]]:
        """Align a frame.

        A sensor's samples go first. Where none were usable for `fresh_duration`, the ground is looked for,
        if the camera's height above it can be known. A given scale and shift serve where nothing else does.

        Args:
            relative: The network's depth of the frame.
            header: The frame's.
            view: The frame.
            parameters: Of the node.

        Returns:
            The alignment; and what had to be refused.
        """
        self._settle(parameters)
        frame_ns = stamp_ns(header)
        samples, refusals = self.sparse.samples_for(header, view, parameters)
        faults = [str(refusal) for refusal in refusals]
        if samples is not None and len(samples) == 0:
            faults.append(shortfall(samples.source, samples.dropped))
        absence = self._absence(header, faults)
        alignment = None
        if samples is not None:
            alignment = self._tracker.update(relative, frame_ns, samples, absence=absence)
            if alignment.age_s == 0:
                self._sensor_ns, self._fault = frame_ns, None
            absence = f"{samples.source}: {alignment.reason}"
        ground = None
        if self._sensor_rests(frame_ns, parameters):
            ground, absence = self._ground(relative, header, view, parameters, absence)
        if alignment is None or ground is not None:
            alignment = self._tracker.update(relative, frame_ns, ground, absence=absence)
        if alignment.state is AlignmentState.LOST and parameters.fixed_scale > 0:
            alignment = _given(relative, parameters, alignment)
        return alignment, refusals

    def _settle(self, parameters: Parameters) -> None:
        if self._reset.is_set():
            self._reset.clear()
            self._tracker.reset()
            self._fault = self._sensor_ns = self._ground_ns = None
        self._tracker.settings = replace(
            self._tracker.settings,
            fresh_duration_s=parameters.fresh_duration,
            hold_duration_s=parameters.hold_duration,
            local=parameters.local_correction,
        )

    def _absence(self, header: Any, faults: list[str]) -> str:
        """Say why there are no samples; a fault of a moment ago says more than that nothing came."""
        now_ns = stamp_ns(header)
        if faults:
            self._fault = now_ns, "; ".join(faults)
        if self._fault is not None and abs(now_ns - self._fault[0]) <= _REMEMBERED_NS:
            return self._fault[1]
        return self.sparse.absence(header)

    def _sensor_rests(self, frame_ns: int, parameters: Parameters) -> bool:
        if self._sensor_ns is None:
            return True
        return abs(frame_ns - self._sensor_ns) > parameters.fresh_duration * 1e9

    def _ground(
        self, relative: DepthMap, header: Any, view: View, parameters: Parameters, absence: str
    ) -> tuple[Samples | None, str]:
        """Look for the ground now and then; return its samples, and why there is no scale without them."""
        if not (parameters.camera_height or parameters.ground_frame):
            return None, absence
        frame_ns = stamp_ns(header)
        if self._ground_ns is not None and abs(frame_ns - self._ground_ns) < _GROUND_PERIOD_NS:
            return None, f"{absence}; {self._ground_absence}"
        self._ground_ns = frame_ns
        try:
            ground = self._found_ground(relative, header, view, parameters)
        except RefusedMessageError as refusal:
            ground = Ground(None, str(refusal))
        self._ground_absence = ground.reason
        return ground.samples, f"{absence}; {ground.reason}"

    def _found_ground(self, relative: DepthMap, header: Any, view: View, parameters: Parameters) -> Ground:
        if view.camera is None:
            why = self.sparse.why_uncalibrated(view)
            return Ground(None, f"the ground cannot be measured without a usable camera_info: {why}")
        height_m, down = parameters.camera_height, None
        if not height_m:
            pose = self._transforms.pose(header.frame_id, parameters.ground_frame, header.stamp)
            height_m, down = _height_and_down(pose)
            if height_m <= 0:
                return Ground(None, f"the camera is {-height_m:.3f} m below {parameters.ground_frame}")
        return find_ground(relative, view.camera, height_m, down=down)


def _height_and_down(camera_from_ground: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Height of the camera, metres, above the x-y plane of a frame with z up; and (3,) where down is."""
    up = camera_from_ground[:3, 2]
    return -float(up @ camera_from_ground[:3, 3]), -up


def _given(relative: DepthMap, parameters: Parameters, unmeasured: Alignment) -> Alignment:
    """Apply the scale and shift that the parameters give."""
    return replace(
        unmeasured,
        depth=metric_from_relative(relative, parameters.fixed_scale, parameters.fixed_shift),
        scale=parameters.fixed_scale,
        shift_m=parameters.fixed_shift,
        state=AlignmentState.HELD,
        reason=f"scale and shift are given, not measured: {unmeasured.reason}",
        source="fixed scale",
        samples_used=0,
        uncertainty=lambda: np.full(relative.size, _GIVEN_LOG_STD, dtype=np.float32),
    )
