"""The ground that the camera sees, where its height above it can be known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.ground import Ground, find_ground, height_above_ground
from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracking.track import FrameSamples
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms
from e2e_depth_ros.ros.aligning.waiting import Measurement, WaitingMeasurements
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.stamps import stamp_ns

_MOST_LOG_HEIGHT: Final = 0.35  # a factor of 1.4. On 38 rendered grounds 95 % of the errors were below 0.3
_PERIOD_NS: Final = 200_000_000  # to find the ground takes long, and between two frames it stays


class Sighting(NamedTuple):
    """What the ground tells at a frame.

    Attributes:
        samples: Of this frame; None without.
        late: Of earlier frames, whose transform came only now.
        absence: Why the ground gave nothing when it was last looked for; or that it did.
    """

    samples: Samples | None
    late: list[FrameSamples]
    absence: str


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
        self._last_plane: GroundPlane | None = None

    def reset(self) -> None:
        """Look anew at the next frame."""
        self._waiting.clear()
        self._looked_ns = None
        self._last_plane = None

    def look(
        self,
        relative: DepthMap,
        header: Any,
        frame_ns: int,
        view: FrameView,
        parameters: Parameters,
        why_uncalibrated: Callable[[FrameView], str],
    ) -> Sighting | None:
        """Look for the ground in a frame, unless that was done a moment ago.

        Args:
            relative: The network's depth of the frame.
            header: The frame's.
            frame_ns: Its time.
            view: The frame.
            parameters: The camera's height, or the frame on the ground.
            why_uncalibrated: Says why a view has no camera.

        Returns:
            What it tells; None where the parameters say nothing of the ground.
        """
        if not (parameters.camera_height or parameters.ground_frame):
            return None
        placed, refusals = self._waiting.take_placed(frame_ns, parameters.transform_timeout)
        for refusal in refusals:
            self._absence = str(refusal)
        late = []
        for earlier in placed:
            self._absence = earlier.found.reason
            if earlier.found.samples is not None:
                late.append(
                    FrameSamples(earlier.relative, earlier.frame_ns, earlier.found.samples, earlier.image)
                )
        samples = None
        if self._looked_ns is None or abs(frame_ns - self._looked_ns) >= _PERIOD_NS:
            self._looked_ns = frame_ns
            if view.camera is None:
                why = why_uncalibrated(view)
                self._absence = f"the ground cannot be measured without a usable camera_info: {why}"
            else:
                samples = self._seen(relative, header, view, view.camera, parameters)
        return Sighting(samples, late, self._absence)

    def _seen(
        self, relative: DepthMap, header: Any, view: FrameView, camera: Camera, parameters: Parameters
    ) -> Samples | None:
        find = partial(self._found, relative, header, camera, parameters)
        try:
            ground = find()
        except TransformError as error:
            self._absence = f"ground_frame: transform: {error}"
            if error.may_come and parameters.transform_timeout > 0 and stamp_ns(header) > 0:
                measurement = Measurement("ground_frame", find, 0, error)
                self._waiting.add(stamp_ns(header), relative, measurement, view.rgb)
            return None
        self._absence = ground.reason
        return ground.samples

    def _found(self, relative: DepthMap, header: Any, camera: Camera, parameters: Parameters) -> Ground:
        height_m, down = self._known(header, parameters)
        if height_m <= 0:
            return Ground(None, f"the camera is {-height_m:.3f} m below {parameters.ground_frame}")
        return find_ground(relative, camera, height_m, down=down)

    def contradicts(
        self, alignment: Alignment, header: Any, view: FrameView, parameters: Parameters
    ) -> Doubt | None:
        """Say why a sensor's metres can't be right where the camera's height above the ground is known.

        Args:
            alignment: Of the frame, by samples.
            header: The frame's.
            view: The frame.
            parameters: The camera's height, or the frame on the ground.

        Returns:
            No doubt where the two agree; None where nothing is known, or no ground is seen.
        """
        is_known = parameters.camera_height or parameters.ground_frame
        if not is_known or alignment.depth is None or view.camera is None:
            return None
        try:
            expected_m, down = self._known(header, parameters)
        except TransformError:
            return None
        height_m = height_above_ground(alignment.depth, view.camera, down=down)
        if height_m is None or expected_m <= 0:
            return None
        apart = abs(float(np.log(height_m / expected_m)))
        if apart < _MOST_LOG_HEIGHT:
            return NO_DOUBT
        words = f"by the samples the camera is {height_m:.2f} m above the ground, not {expected_m:.2f} m"
        return Doubt(words, apart)

    def plane(self, header: Any, parameters: Parameters) -> GroundPlane | None:
        """Say where TF has the ground at a frame.

        Until TF knows this frame's transform it is where it was last: images never wait.

        Args:
            header: The frame's.
            parameters: The frame on the ground.

        Returns:
            None where no frame is named, TF never told, or the camera is below it.
        """
        if not parameters.ground_frame:
            return None
        try:
            height_m, down = self._height_and_down(header, parameters)
        except TransformError:
            return self._last_plane
        self._last_plane = GroundPlane(down, height_m) if height_m > 0 else None
        return self._last_plane

    def _known(self, header: Any, parameters: Parameters) -> tuple[float, NDArray[np.float64] | None]:
        """Height of the camera, metres, by its parameter before TF; and (3,) where down is, if TF tells."""
        if parameters.camera_height:
            return parameters.camera_height, None
        return self._height_and_down(header, parameters)

    def _height_and_down(self, header: Any, parameters: Parameters) -> tuple[float, NDArray[np.float64]]:
        """Height of the camera, metres, above the x-y plane of a frame with z up; and (3,) where down is."""
        ground = Header(frame_id=parameters.ground_frame, stamp=header.stamp)
        camera_from_ground = self._transforms.pose(header, ground)
        up = camera_from_ground[:3, 2]
        return -float(up @ camera_from_ground[:3, 3]), -up
