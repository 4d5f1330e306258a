"""Sparse metric messages to samples of a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.samples import Samples, samples_from_depth, samples_from_points, thin
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.clouds import points_from_message
from e2e_depth_ros.ros.images import depth_from_message
from e2e_depth_ros.ros.parameters import Parameters
from e2e_depth_ros.ros.refusal import RefusedMessageError
from e2e_depth_ros.ros.silence import Silence
from e2e_depth_ros.ros.stamps import StampedBuffer, stamp_ns
from e2e_depth_ros.ros.transforms import Transforms, pose_from_numbers
from e2e_depth_ros.ros.view import View


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
        """Keep what is closest to a frame whose way begins; `samples_for` asks for it at the end."""
        self.points.keep_closest(stamp_ns(header))
        self.depth.keep_closest(stamp_ns(header))

    def samples_for(
        self, header: Any, view: View, parameters: Parameters
    ) -> tuple[Samples | None, list[RefusedMessageError]]:
        """Take the measurements that belong to a frame.

        Args:
            header: The frame's.
            view: The frame.
            parameters: Range of depth, time and pose.

        Returns:
            All samples, or None if none came; and what had to be refused.
        """
        refusals: list[RefusedMessageError] = []
        taken = [
            self._samples(self.points, self._from_points, header, view, parameters, refusals),
            self._samples(self.depth, self._from_depth, header, view, parameters, refusals),
        ]
        samples = _merged([samples for samples in taken if samples is not None])
        if samples is None:
            return None, refusals
        if parameters.remove_masked_samples:
            samples = view.without_masked(samples)
        return thin(samples, parameters.max_samples), refusals

    def absence(self, header: Any) -> str:
        """Say why there are no samples for a frame, where nothing was refused."""
        frame_ns = stamp_ns(header)
        for name, buffer in (("sparse_points", self.points), ("sparse_depth", self.depth)):
            lead_ns = buffer.lead_ns(frame_ns)
            if lead_ns is not None:
                return f"what waits of {name} is {lead_ns * 1e-9:.3f} s newer than the image"
        silences = [
            self.silences[name] for name in ("sparse_points", "sparse_depth") if name in self.silences
        ]
        faults = [silence.words for silence in silences if silence.is_fault]
        if not faults and len(silences) == 2 and not any(silence.publishers for silence in silences):
            faults = ["neither has a publisher"]
        return ": ".join(["no samples from sparse_points or sparse_depth", *faults])

    def why_uncalibrated(self, view: View) -> str:
        """Say why a view has no camera."""
        if view.refusal is not None:
            return str(view.refusal)
        silence = self.silences.get("camera_info")
        return "none came yet" if silence is None else silence.words

    def clear(self) -> None:
        """Forget what waits, and which frame it came in."""
        self._described = None
        self.points.clear()
        self.depth.clear()

    @staticmethod
    def _samples(
        buffer: StampedBuffer,
        read: Callable[[Any, Any, View, Parameters], Samples],
        header: Any,
        view: View,
        parameters: Parameters,
        refusals: list[RefusedMessageError],
    ) -> Samples | None:
        try:
            message = buffer.take_closest(stamp_ns(header), round(parameters.approx_sync_max_interval * 1e9))
            return None if message is None else read(message, header, view, parameters)
        except RefusedMessageError as refusal:
            refusals.append(refusal)
        except InvalidInputError as error:
            refusals.append(RefusedMessageError("sparse: content", str(error)))
        return None

    def _from_points(self, message: Any, header: Any, view: View, parameters: Parameters) -> Samples:
        points_m = points_from_message(message)
        if view.camera is None:
            raise RefusedMessageError(
                "sparse_points: camera_info",
                f"expected a usable camera_info to project points: {self.why_uncalibrated(view)}",
            )
        return samples_from_points(
            points_m,
            self._pose(message.header.frame_id, header, parameters),
            view.camera,
            min_depth_m=parameters.sparse_min_depth,
            max_depth_m=parameters.sparse_max_depth,
            source="sparse_points",
        )

    def _pose(self, frame_id: str, header: Any, parameters: Parameters) -> NDArray[np.float64]:
        """Find the sensor's pose in the camera's frame."""
        extrinsics = parameters.sparse_extrinsics
        if not any(extrinsics):
            return self._transforms.pose(header.frame_id, frame_id, header.stamp)
        described = self._described
        if described is None or described[0] != extrinsics:
            self._described = described = extrinsics, frame_id
        if frame_id != described[1]:
            raise RefusedMessageError(
                "sparse_points: frame",
                f"expected {described[1]!r}, the first that came and so the one that sparse_extrinsics"
                f" describes, got {frame_id!r}; if that is right, call ~/reset_alignment",
            )
        return pose_from_numbers(extrinsics)

    def _from_depth(self, message: Any, header: Any, view: View, parameters: Parameters) -> Samples:
        frames = header.frame_id, message.header.frame_id
        if all(frames) and frames[0] != frames[1]:
            raise RefusedMessageError(
                "sparse_depth: frame",
                f"expected depth registered to the image, in its frame {frames[0]!r}, got {frames[1]!r}",
            )
        samples = samples_from_depth(
            depth_from_message(message),
            view.size,
            min_depth_m=parameters.sparse_min_depth,
            max_depth_m=parameters.sparse_max_depth,
            source="sparse_depth",
        )
        return view.from_raw(samples)


def _merged(found: list[Samples]) -> Samples | None:
    if len(found) < 2:
        return found[0] if found else None
    dropped: dict[str, int] = {}
    for samples in found:
        for reason, count in samples.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return Samples(
        np.concatenate([samples.u_px for samples in found]),
        np.concatenate([samples.v_px for samples in found]),
        np.concatenate([samples.depth_m for samples in found]),
        dropped,
        " + ".join(samples.source for samples in found),
    )
