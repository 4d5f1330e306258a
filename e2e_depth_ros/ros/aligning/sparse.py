"""Sparse metric messages to samples of a frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from e2e_depth_ros.alignment.samples import (
    Samples,
    joined,
    samples_from_depth,
    samples_from_points,
    thin,
)
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.aligning.transforms import TransformError, Transforms, pose_from_numbers
from e2e_depth_ros.ros.aligning.waiting import Measurement
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import NO_CAMERA_INFO, FrameView
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.frames import check_frame, same_frame
from e2e_depth_ros.ros.messages.images import depth_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.messages.stamps import StampedBuffer, stamp_ns
from e2e_depth_ros.ros.telling.silence import Silence


class Sensed(NamedTuple):
    """What the sensors have of a frame.

    Attributes:
        samples: Those whose place is known; None if there are none.
        waiting: Measurements whose place may be known in a moment.
        refusals: What can't be used.
    """

    samples: Samples | None
    waiting: list[Measurement[Samples]]
    refusals: list[RefusedMessageError]


@dataclass(frozen=True, eq=False)
class _SampledFrame:
    """What of a frame places samples in it; without its image, which would fill the memory as they wait.

    Attributes:
        header: The image's.
        view: The frame, with an image of the same size that takes no memory.
        parameters: As they were at the frame.
    """

    header: Any
    view: FrameView
    parameters: Parameters

    @classmethod
    def of(cls, header: Any, view: FrameView, parameters: Parameters) -> _SampledFrame:
        return cls(header, replace(view, rgb=np.broadcast_to(np.uint8(0), view.rgb.shape)), parameters)

    def may_wait_for(self, error: TransformError) -> bool:
        # Without a stamp TF was asked for its newest transform, and there is no telling how long one waits.
        return error.may_come and self.parameters.transform_timeout > 0 and stamp_ns(self.header) > 0

    def projected(
        self, points_m: NDArray[Any], pose: NDArray[np.float64], camera: Camera, source: str
    ) -> Samples:
        return samples_from_points(
            points_m,
            pose,
            camera,
            min_depth_m=self.parameters.sparse_min_depth,
            max_depth_m=self.parameters.sparse_max_depth,
            source=source,
        )

    def finished(self, samples: Samples) -> Samples:
        if self.parameters.remove_masked_samples:
            samples = self.view.without_masked(samples)
        return thin(samples, self.parameters.max_samples)


class SparseInputs:
    """The metric measurements that wait for their frame.

    They are looked for only after the network has run: one with the frame's own stamp, as a depth camera
    sends it, has had the time to arrive by then.

    Attributes:
        points: PointCloud2 messages; any thread may put them.
        depth: Depth images; any thread may put them.
        silences: Why nothing comes on an input, by its name, where nothing comes. Replace it as a whole.
    """

    def __init__(self, transforms: Transforms) -> None:
        """Start with nothing.

        Args:
            transforms: Finds where the points' sensor sits.
        """
        self.points = StampedBuffer("sparse_points")
        self.depth = StampedBuffer("sparse_depth")
        self.silences: Mapping[str, Silence] = {}
        self._transforms = transforms
        self._described: tuple[tuple[float, ...], str] | None = None  # extrinsics, and the frame they are of

    def expect_frame(self, header: Any) -> None:
        """Keep what is closest to a frame whose way begins; `sense` asks for it at the end."""
        self.points.keep_closest(stamp_ns(header))
        self.depth.keep_closest(stamp_ns(header))

    def sense(self, header: Any, view: FrameView, parameters: Parameters) -> Sensed:
        """Take the measurements that belong to a frame.

        Args:
            header: The frame's.
            view: The frame.
            parameters: Range of depth, time and pose.
        """
        frame = _SampledFrame.of(header, view, parameters)
        sensed, found = Sensed(None, [], []), []
        for buffer, read in ((self.points, self._read_points), (self.depth, self._read_depth)):
            try:
                message = buffer.take_closest(
                    stamp_ns(header), round(parameters.approx_sync_max_interval * 1e9)
                )
                if message is None:
                    continue
                place, memory = read(message, frame)
                try:
                    found.append(place())
                except TransformError as error:
                    if not frame.may_wait_for(error):
                        raise RefusedMessageError(f"{buffer.topic}: transform", str(error)) from error
                    sensed.waiting.append(Measurement(buffer.topic, place, memory, error))
            except RefusedMessageError as refusal:
                sensed.refusals.append(refusal)
            except InvalidInputError as error:
                sensed.refusals.append(RefusedMessageError("sparse: content", str(error)))
        if not found:
            return sensed
        return sensed._replace(samples=thin(joined(found), parameters.max_samples))

    def absence(self, header: Any) -> str:
        """Say why there are no samples for a frame, where nothing was refused."""
        frame_ns = stamp_ns(header)
        for buffer in (self.points, self.depth):
            lead_ns = buffer.lead_ns(frame_ns)
            if lead_ns is not None:
                return f"what waits of {buffer.topic} is {lead_ns * 1e-9:.3f} s newer than the image"
        silences = [
            self.silences[name] for name in ("sparse_points", "sparse_depth") if name in self.silences
        ]
        faults = [silence.words for silence in silences if silence.is_fault]
        if not faults and len(silences) == 2 and not any(silence.publishers for silence in silences):
            faults = ["neither has a publisher"]
        return ": ".join(["no samples from sparse_points or sparse_depth", *faults])

    def why_uncalibrated(self, view: FrameView) -> str:
        """Say why a view has no camera."""
        refusal, silence = view.refusal, self.silences.get("camera_info")
        words = "none came yet" if refusal is None else str(refusal)
        came = refusal is not None and refusal.reason != NO_CAMERA_INFO
        return words if came or silence is None else f"{words}; {silence.words}"

    def clear(self) -> None:
        """Forget what waits, and which frame it came in."""
        self._described = None
        self.points.clear()
        self.depth.clear()

    def _read_points(self, message: Any, frame: _SampledFrame) -> tuple[Callable[[], Samples], int]:
        points_m = points_from_message(message)
        if frame.view.camera is None:
            raise RefusedMessageError(
                "sparse_points: camera_info",
                f"expected a usable camera_info to project points: {self.why_uncalibrated(frame.view)}",
            )
        return partial(
            self._placed_points, points_m, message.header, frame.view.camera, frame
        ), points_m.nbytes

    def _placed_points(
        self, points_m: NDArray[np.float32], sensor: Any, camera: Camera, frame: _SampledFrame
    ) -> Samples:
        return frame.finished(frame.projected(points_m, self._pose(sensor, frame), camera, "sparse_points"))

    def _pose(self, sensor: Any, frame: _SampledFrame) -> NDArray[np.float64]:
        """Find where a sensor was when it measured, as seen by the camera when it took the image.

        Args:
            sensor: Header of what was measured.
            frame: The image.
        """
        extrinsics, fixed_frame = frame.parameters.sparse_extrinsics, frame.parameters.fixed_frame
        if not any(extrinsics):
            return self._transforms.pose(frame.header, sensor, fixed_frame=fixed_frame)
        described = self._described
        if described is None or described[0] != extrinsics:
            self._described = described = extrinsics, sensor.frame_id
        if not same_frame(sensor.frame_id, described[1]):
            raise RefusedMessageError(
                "sparse_points: frame",
                f"expected {described[1]!r}, the first that came and so the one that sparse_extrinsics"
                f" describes, got {sensor.frame_id!r}; if that is right, call ~/reset_alignment",
            )
        return self._motion(sensor, frame) @ pose_from_numbers(extrinsics)

    def _motion(self, sensor: Any, frame: _SampledFrame) -> NDArray[np.float64]:
        """Find where the camera was when a sensor measured, as seen by the camera when it took the image."""
        then = Header(frame_id=frame.header.frame_id, stamp=sensor.stamp)
        return self._transforms.pose(frame.header, then, fixed_frame=frame.parameters.fixed_frame)

    def _read_depth(self, message: Any, frame: _SampledFrame) -> tuple[Callable[[], Samples], int]:
        check_frame("sparse_depth", message.header, frame.header, ": it must be registered to the image")
        samples = samples_from_depth(
            depth_from_message(message, max_pixels=frame.parameters.max_image_pixels),
            frame.view.size,
            min_depth_m=frame.parameters.sparse_min_depth,
            max_depth_m=frame.parameters.sparse_max_depth,
            source="sparse_depth",
        )
        place = partial(self._placed_depth, frame.view.from_raw(samples), message.header, frame)
        return place, 3 * samples.depth_m.nbytes

    def _placed_depth(self, samples: Samples, sensor: Any, frame: _SampledFrame) -> Samples:
        pose, camera = self._motion(sensor, frame), frame.view.camera
        if camera is None or np.array_equal(pose, np.eye(4)):  # without calibration it stays where it is
            return frame.finished(samples)
        x, y = camera.normalized_from_pixels(samples.u_px, samples.v_px)
        points_m = np.stack([x, y, np.ones_like(x)], axis=-1) * samples.depth_m[:, None]
        moved = frame.projected(points_m, pose, camera, samples.source)
        dropped = dict(Counter(samples.dropped) + Counter(moved.dropped))
        return frame.finished(replace(moved, dropped=dropped, doubt=samples.doubt))
