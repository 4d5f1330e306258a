"""The ground that the camera sees, where its height above it can be known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from e2e_depth_ros.alignment.ground import Ground, find_ground
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.track import LateSamples
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms
from e2e_depth_ros.ros.aligning.waiting import Measurement, WaitingMeasurements
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.stamps import stamp_ns

_PERIOD_NS: Final = 200_000_000  # to find the ground takes long, and between two frames it stays


class Sighting(NamedTuple):
    """What the ground tells at a frame.

    Attributes:
        samples: Of this frame; None without.
        late: Of earlier frames, whose transform came only now.
        absence: Why the ground gave nothing when it was last looked for; or that it did.
    """

    samples: Samples | None
    late: list[LateSamples]
    absence: str


class Floor(NamedTuple):
    """Where the floor is.

    Attributes:
        height_m: Of the camera above it, metres.
        down: (3,), direction of it in the optical frame; None where TF does not tell.
    """

    height_m: float
    down: NDArray[np.float64] | None


class GroundInput:
    """Looks for the ground now and then. For one thread."""

    def __init__(self, transforms: Transforms) -> None:
        """Start without having looked.

        Args:
            transforms: Finds where the ground is.
        """
        self._transforms = transforms
        self._waiting: WaitingMeasurements[Ground] = WaitingMeasurements()
        self._looked_ns: int | None = None
        self._absence = ""
        self._last_floor: Floor | None = None

    def reset(self) -> None:
        """Look anew at the next frame."""
        self._waiting.clear()
        self._looked_ns = None
        self._last_floor = None

    def look(
        self,
        relative: DepthMap,
        header: Any,
        view: FrameView,
        parameters: Parameters,
        why_uncalibrated: Callable[[FrameView], str],
    ) -> Sighting | None:
        """Look for the ground in a frame, unless that was done a moment ago.

        Args:
            relative: The network's depth of the frame.
            header: The frame's.
            view: The frame.
            parameters: The camera's height, or the frame on the ground.
            why_uncalibrated: Says why a view has no camera.

        Returns:
            What it tells; None where the parameters say nothing of the ground.
        """
        if not (parameters.camera_height or parameters.ground_frame):
            return None
        frame_ns = stamp_ns(header)
        placed, refusals = self._waiting.take_placed(frame_ns, parameters.transform_timeout)
        for refusal in refusals:
            self._absence = str(refusal)
        late = []
        for earlier in placed:
            self._absence = earlier.found.reason
            if earlier.found.samples is not None:
                late.append(LateSamples(earlier.relative, earlier.frame_ns, earlier.found.samples))
        samples = None
        if self._looked_ns is None or abs(frame_ns - self._looked_ns) >= _PERIOD_NS:
            self._looked_ns = frame_ns
            if view.camera is None:
                why = why_uncalibrated(view)
                self._absence = f"the ground cannot be measured without a usable camera_info: {why}"
            else:
                samples = self._seen(relative, header, view.camera, parameters)
        return Sighting(samples, late, self._absence)

    def _seen(
        self, relative: DepthMap, header: Any, camera: Camera, parameters: Parameters
    ) -> Samples | None:
        find = partial(self._found, relative, header, camera, parameters)
        try:
            ground = find()
        except TransformError as error:
            self._absence = f"ground_frame: transform: {error}"
            if error.may_come and parameters.transform_timeout > 0 and stamp_ns(header) > 0:
                self._waiting.add(stamp_ns(header), relative, Measurement("ground_frame", find, 0, error))
            return None
        self._absence = ground.reason
        return ground.samples

    def _found(self, relative: DepthMap, header: Any, camera: Camera, parameters: Parameters) -> Ground:
        floor = self._floor_at(header, parameters)
        if floor.height_m <= 0:
            return Ground(None, f"the camera is {-floor.height_m:.3f} m below {parameters.ground_frame}")
        return find_ground(relative, camera, floor.height_m, down=floor.down)

    def floor(self, header: Any, parameters: Parameters) -> Floor | None:
        """Say where the floor is at a frame.

        Until TF knows this frame's transform it is where it was last: images never wait.

        Args:
            header: The frame's.
            parameters: The camera's height, or the frame on the ground.

        Returns:
            None where the parameters say nothing of the ground, or TF never told.
        """
        if not (parameters.camera_height or parameters.ground_frame):
            return None
        try:
            floor = self._floor_at(header, parameters)
        except TransformError:
            return self._last_floor
        self._last_floor = floor if floor.height_m > 0 else None
        return self._last_floor

    def _floor_at(self, header: Any, parameters: Parameters) -> Floor:
        if parameters.camera_height:
            return Floor(parameters.camera_height, None)
        ground = Header(frame_id=parameters.ground_frame, stamp=header.stamp)
        return _floor_from_pose(self._transforms.pose(header, ground))


def _floor_from_pose(camera_from_ground: NDArray[np.float64]) -> Floor:
    """The x-y plane of a frame with z up."""
    up = camera_from_ground[:3, 2]
    return Floor(-float(up @ camera_from_ground[:3, 3]), -up)
