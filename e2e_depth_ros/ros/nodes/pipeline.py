"""The path of one frame from messages to messages, for a worker thread or a benchmark. It knows no node."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.core.image_size import check_image_size
from e2e_depth_ros.core.maps import DepthMap, NormalMap
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.model.clock import Clock
from e2e_depth_ros.model.estimator import Estimate
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.aligning.aligner import Aligner
from e2e_depth_ros.ros.aligning.sparse import SparseInputs
from e2e_depth_ros.ros.aligning.transforms import Transforms
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView, ViewFinder
from e2e_depth_ros.ros.inputs.image_reader import ImageReader
from e2e_depth_ros.ros.inputs.masks import MaskInput
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, refused_as
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import (
    METRIC_OUTPUTS,
    RELATIVE_OUTPUTS,
    Output,
    need_alignment,
    tasks_for,
)
from e2e_depth_ros.ros.outputs.products import Products


class ImageEstimator(Protocol):
    """What the pipeline asks of an `Estimator`."""

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can predict."""

    def estimate(self, rgb: NDArray[np.uint8], *, tasks: Collection[Task]) -> Estimate:
        """Look at one image (H, W, 3)."""

    def forget_last_frame(self) -> None:
        """Carry nothing over to the next image."""


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a frame.

    Attributes:
        messages: What to publish. A wanted output is missing where it can't be told: metric ones without
            an alignment, clouds without a calibration.
        alignment: Of this frame; None where no wanted output needs it.
        durations_s: Seconds of each stage, in their order: read, rectify, those of the estimator, align,
            outlines, and one for each message.
        refusals: What couldn't be used, though the frame could.
        non_finite: Pixels that the network predicted as NaN or infinite.
        uncalibrated: Why there is no calibration; empty with one.
    """

    messages: Mapping[Output, Any]
    alignment: Alignment | None
    durations_s: Mapping[str, float]
    refusals: tuple[RefusedMessageError, ...]
    non_finite: int
    uncalibrated: str = ""


class Pipeline:
    """Turns frames into outputs. Holds what lasts from frame to frame: calibration and alignment.

    `process` belongs to one thread. Parameters, sparse inputs and resets may come from others.

    Attributes:
        parameters: Read anew at each frame; replace them to change them.
        masks: Where masks are put.
        images: Reads the images.
    """

    def __init__(
        self,
        estimator: ImageEstimator,
        parameters: Parameters | None = None,
        *,
        transforms: Transforms | None = None,
        image_topic: str = "image_raw",
        node_name: str = "depth",
    ) -> None:
        """Make a pipeline.

        Args:
            estimator: The network.
            parameters: By default all defaults.
            transforms: By default none are known.
            image_topic: Full name; images of one that contains "image_rect" count as rectified.
            node_name: Under which the alignment's status is reported.
        """
        self.parameters = parameters or Parameters()
        self._aligner = Aligner(transforms or Transforms())
        self._estimator = estimator
        self._node_name = node_name
        self._comes_rectified = "image_rect" in image_topic
        self._view_finder = ViewFinder()
        self.masks = MaskInput()
        self.images = ImageReader()
        self._scene_ended = threading.Event()
        self._last_ns = 0

    @property
    def sparse(self) -> SparseInputs:
        """Where metric measurements are put."""
        return self._aligner.sparse

    def reset_alignment(self) -> None:
        """Forget scale and shift before the next frame, and the measurements that wait. From any thread.

        The estimator forgets the last frame too, because a caller resets when the scene has changed.
        """
        self._aligner.reset()
        self._scene_ended.set()

    def process(
        self,
        image: Any,
        camera_info: Any | None,
        wanted: Collection[Output],
        *,
        arrived_ns: int | None = None,
    ) -> Result:
        """Do what the wanted outputs need for a frame, and no more.

        Args:
            image: Image or CompressedImage.
            camera_info: CameraInfo of its camera, or None. Without a usable one an image that may be
                distorted has no metric outputs.
            wanted: The outputs that someone listens to.
            arrived_ns: When the image came, for one without a stamp; by default now.

        Returns:
            The messages, with the stamp and frame of the image.

        Raises:
            RefusedMessageError: The image can't be used.
        """
        parameters = self.parameters
        refusals: list[RefusedMessageError] = []
        clock = Clock()
        self.sparse.expect_frame(image.header)
        rgb = self.images.rgb(image, parameters)
        clock.lap("read")
        view = self._view_finder.view(rgb, image.header, camera_info, rectify=self._is_to_rectify(parameters))
        if view.refusal is not None and _is_to_be_told(view, camera_info, wanted):
            refusals.append(view.refusal)
        if parameters.uses_mask:
            masked, refused = self.masks.over(view, image.header, parameters)
            view = replace(view, masked=masked)
            refusals.extend(refused)
        clock.lap("rectify")
        self._follow_time(stamp_ns(image.header))
        estimate = self._estimate(view, wanted, refusals)
        clock.add(estimate.durations_s)
        relative, alignment = _depth_shown(estimate.depth, view.valid), None
        if relative is not None and need_alignment(wanted):
            alignment, refused = self._aligner.align(
                relative, image.header, view, parameters, arrived_ns=arrived_ns
            )
            if estimate.depth_std is not None:
                alignment = alignment.with_relative_std(estimate.depth_std, relative.kind)
            refusals.extend(refused)
            clock.lap("align")
        if relative is not None and estimate.outlines is not None:
            relative, alignment = _outlined(relative, alignment, estimate.outlines, wanted)
            clock.lap("outlines")
        products = Products(
            image.header,
            view,
            relative=relative,
            normals=_normals_shown(estimate.normals, view.valid),
            alignment=alignment,
            node_name=self._node_name,
            ground=self._aligner.ground_plane(image.header, parameters) if parameters.level_ground else None,
            stretch=parameters.relative_range == "image",
        )
        messages = {}
        for output in Output:
            if output in wanted:
                message = output.message(products, parameters)
                clock.lap(output.value)
                if message is not None:
                    messages[output] = message
        return Result(
            messages,
            alignment,
            clock.durations_s,
            tuple(refusals),
            estimate.non_finite,
            "" if view.camera is not None else self.sparse.why_uncalibrated(view),
        )

    def _is_to_rectify(self, parameters: Parameters) -> bool:
        return parameters.rectify == "always" or (parameters.rectify == "auto" and not self._comes_rectified)

    def _follow_time(self, frame_ns: int) -> None:
        """Let the estimator carry nothing over from another scene: after a reset, or where time went back."""
        if self._scene_ended.is_set() or frame_ns < self._last_ns:
            self._scene_ended.clear()
            self._estimator.forget_last_frame()
        self._last_ns = frame_ns

    def _estimate(
        self, view: FrameView, wanted: Collection[Output], refusals: list[RefusedMessageError]
    ) -> Estimate:
        tasks = tasks_for(wanted)
        for task in tasks - self._estimator.tasks:
            can = ", ".join(sorted(known.value for known in self._estimator.tasks))
            refusals.append(RefusedMessageError("model: task", f"asked for {task.value}, it predicts {can}"))
        tasks &= self._estimator.tasks
        if not tasks:
            return Estimate(None, None, {})
        with refused_as("image: size"):
            check_image_size(view.rgb.shape)
            return self._estimator.estimate(view.rgb, tasks=tasks)


def _is_to_be_told(view: FrameView, camera_info: Any | None, wanted: Collection[Output]) -> bool:
    """Whether the frame lacks what it was to have: relative depth needs no calibration."""
    return camera_info is not None or (view.may_be_distorted and not METRIC_OUTPUTS.isdisjoint(wanted))


def _outlined(
    relative: DepthMap, alignment: Alignment | None, outlines: Outlines, wanted: Collection[Output]
) -> tuple[DepthMap, Alignment | None]:
    """Let what is wanted follow the image's outlines, after the alignment: it fits what the network said."""
    if alignment is not None and not METRIC_OUTPUTS.isdisjoint(wanted):
        alignment = alignment.following(outlines)
    if not RELATIVE_OUTPUTS.isdisjoint(wanted):
        relative = outlines.followed_by(relative)
    return relative, alignment


def _depth_shown(depth: DepthMap | None, valid: NDArray[np.bool_] | None) -> DepthMap | None:
    """Take out what rectification had nothing to show for."""
    if depth is None or valid is None:
        return depth
    return DepthMap(depth.values, depth.valid & valid, depth.kind)


def _normals_shown(normals: NormalMap | None, valid: NDArray[np.bool_] | None) -> NormalMap | None:
    if normals is None or valid is None:
        return normals
    return NormalMap(normals.values, normals.valid & valid)
