"""Times the node's own pipeline on messages, without DDS. Needs ROS's message packages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from std_msgs.msg import Header

from e2e_depth_ros.cli.demo.publisher import cloud_from_points
from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.core.errors import E2EDepthError
from e2e_depth_ros.model.estimator import Estimate, Estimator
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.nodes.pipeline import Pipeline
from e2e_depth_ros.ros.outputs.depth_outputs import Output

SUBSCRIPTIONS: Final = {
    "depth/image_rect subscribed": frozenset({Output.DEPTH}),
    "every output subscribed": frozenset(Output),
}
"""The cases to time, by name."""

_FRAME_ID: Final = "camera_optical_frame"
_PERIOD_NS: Final = 33_000_000
_SAMPLES: Final = 500


def distorting_camera(size: tuple[int, int]) -> Camera:
    """Describe a camera with images of (H, W) pixels, whose lens bends lines a little."""
    height, width = size
    intrinsics = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]])
    return Camera(size, intrinsics, DistortionModel.PLUMB_BOB, (-0.05, 0.01, 0.0, 0.0, 0.0))


class NodeTimer:
    """Feeds a distorted image and sparse points to the node's pipeline, as a robot would.

    Attributes:
        points_m: (N, 3), float32, what its sensor measures, in the camera's optical frame.
    """

    def __init__(self, estimator: Estimator, image: NDArray[np.uint8]) -> None:
        """Prepare the messages.

        Args:
            estimator: The network.
            image: (H, W, 3), uint8, RGB.
        """
        self._estimator = estimator
        self._image = image
        self._camera = distorting_camera((image.shape[0], image.shape[1]))
        self.points_m = self._plausible_points()

    def time(self, wanted: Collection[Output], frames: Iterable[Any]) -> list[dict[str, float]]:
        """Process a frame for each item of `frames`.

        Returns:
            For each frame the seconds of each stage.

        Raises:
            E2EDepthError: A wanted output did not come, so the timing would be of something else.
        """
        pipeline = Pipeline(_Synchronized(self._estimator))
        wanted = {output for output in wanted if output is not Output.NORMALS or self._predicts_normals}
        laps = []
        for index, _ in enumerate(frames):
            header = _header(index)
            pipeline.sparse.points.put(cloud_from_points(self.points_m, header))
            result = pipeline.process(
                message_from_array(self._image, "rgb8", header),
                message_from_camera(self._camera, header),
                wanted,
            )
            missing = sorted(output.value for output in wanted - set(result.messages))
            if missing:
                reason = result.alignment.reason if result.alignment else "no alignment"
                raise E2EDepthError(f"expected {', '.join(missing)}, got none: {reason}")
            laps.append(dict(result.durations_s))
        return laps

    @property
    def _predicts_normals(self) -> bool:
        return Task.NORMALS in self._estimator.tasks

    def _plausible_points(self) -> NDArray[np.float32]:
        """Make points (N, 3) of a scene that agrees with the network: its depth, from 1 to 5 metres."""
        header = _header(0)
        pipeline = Pipeline(self._estimator)
        result = pipeline.process(
            message_from_array(self._image, "rgb8", header),
            message_from_camera(self._camera, header),
            {Output.RELATIVE},
        )
        relative = np.asarray(depth_from_message(result.messages[Output.RELATIVE]), np.float32)
        rows, columns = np.nonzero(np.isfinite(relative))
        if len(rows) == 0:
            raise E2EDepthError("expected finite depth of the network, got none")
        drawn = np.random.default_rng(0).choice(len(rows), min(_SAMPLES, len(rows)), replace=False)
        rows, columns = rows[drawn], columns[drawn]
        spread = relative[rows, columns] - relative.min(initial=np.inf, where=np.isfinite(relative))
        depth_m = 1.0 + 4.0 * spread
        x, y = self._camera.rectified().normalized_from_pixels(columns, rows)
        return np.stack([x * depth_m, y * depth_m, depth_m], axis=-1).astype(np.float32)


class _Synchronized:
    """Makes the stages of a GPU their own; on a CPU it changes nothing."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    @property
    def tasks(self) -> frozenset[Task]:
        return self._estimator.tasks

    def estimate(self, rgb: NDArray[np.uint8], *, tasks: Collection[Task]) -> Estimate:
        return self._estimator.estimate(rgb, tasks=tasks, synchronize=True)

    def forget_last_frame(self) -> None:
        self._estimator.forget_last_frame()


def _header(index: int) -> Header:
    nanoseconds = 1_000_000_000 + index * _PERIOD_NS
    stamp = Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
    return Header(stamp=stamp, frame_id=_FRAME_ID)
