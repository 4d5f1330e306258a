"""The depth node: wires topics to the pipeline, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from e2e_depth_ros.ros.aligning.transforms import Transforms
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.topics import MaskOutput
from e2e_depth_ros.ros.inputs.calibrations import CameraInfos
from e2e_depth_ros.ros.inputs.subscriptions import Input
from e2e_depth_ros.ros.messages.image_transport import transport_topic, transport_type
from e2e_depth_ros.ros.nodes.alignment_log import AlignmentLog
from e2e_depth_ros.ros.nodes.estimators import estimator_from_parameters
from e2e_depth_ros.ros.nodes.image_node import ImageNode
from e2e_depth_ros.ros.nodes.pipeline import Pipeline
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.outputs.publishers import OutputPublishers
from e2e_depth_ros.ros.telling.status import last_alignment_status

_SPARSE_QUEUE: Final = 5  # a slow executor must not lose the one cloud that belongs to a frame
_MASK_QUEUE: Final = 1


class DepthNode(ImageNode[Parameters]):
    """Depth from images; see `ImageNode`."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters, services and diagnostics.

        Args:
            options: Of rclpy's Node.

        Raises:
            InvalidInputError: A parameter has a bad value.
        """
        self._pipeline: Any = None
        self._outputs: OutputPublishers[Output] | None = None
        self._alignment: Any = None
        self._aligned_s = 0.0
        self._alignment_log = AlignmentLog()
        self._camera_infos = CameraInfos()
        self._mask_level: bytes | None = None
        super().__init__("depth", Parameters(), **options)
        self._transforms = Transforms(self)
        self.create_service(Trigger, "~/reset_alignment", self._on_reset_alignment)

    def _load(self) -> Any:
        return estimator_from_parameters(self.parameters)

    def _offer(self, model: Any) -> Mapping[str, Any]:
        wanted, estimator = self.parameters, model
        place = estimator.place
        self._pipeline = Pipeline(
            estimator,
            wanted,
            transforms=self._transforms,
            image_topic=self._image_topic(),
            node_name=self._name,
        )
        self._outputs = OutputPublishers(
            self,
            Output,
            overrides=self._qos_overrides,
            reliability=wanted.output_reliability,
            queue_size=wanted.output_queue_size,
            group=self._group,
        )
        return {
            "model": estimator.facts.name,
            "predicts": ", ".join(sorted(task.value for task in estimator.tasks)),
            "depth_kind": estimator.facts.depth_kind.value,
            "engine": place.engine,
            "device": place.device,
            "dtype": place.precision,
            "threads": place.threads or "",
            "processing_resolution": estimator.processing_resolution,
            "upsampling": estimator.upsampling,
        }

    def _unload(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._pipeline = self._alignment = None
        self._alignment_log = AlignmentLog()

    def _other_inputs(self) -> list[Input]:
        wanted, pipeline = self.parameters, self._pipeline
        sparse_transport = wanted.sparse_depth_transport
        sparse_depth = transport_topic(self, "sparse_depth", sparse_transport)
        inputs = [
            Input(
                CameraInfo, "camera_info", self._camera_infos.put, wanted.input_queue_size, may_be_kept=True
            ),
            Input(PointCloud2, "sparse_points", pipeline.sparse.points.put, _SPARSE_QUEUE),
            Input(
                transport_type(sparse_transport),
                sparse_depth,
                pipeline.sparse.depth.put,
                _SPARSE_QUEUE,
                name="sparse_depth",
            ),
        ]
        if wanted.uses_mask:
            inputs.append(Input(Image, MaskOutput.MASK.value, pipeline.masks.put, _MASK_QUEUE))
        return inputs

    def _on_parameters(self, values: Parameters) -> None:
        if self._pipeline is not None:
            self._pipeline.parameters = values

    def _on_reset_alignment(self, _: Any, response: Any) -> Any:
        response.success = self._pipeline is not None
        response.message = "alignment starts anew" if response.success else "the node is not configured"
        if self._pipeline is not None:
            self._pipeline.reset_alignment()
        return response

    def _process(self, image: Any) -> Callable[[], None] | None:
        pipeline, outputs, statistics = self._pipeline, self._outputs, self._statistics
        wanted = outputs.wanted() if outputs is not None else set()
        if outputs is None or not wanted:
            self._alignment = None
            statistics.skipped()
            return None
        camera_info = self._camera_infos.for_image(image.header)
        result = pipeline.process(image, camera_info, wanted)

        def publish() -> None:
            outputs.publish(result.messages)
            for refusal in result.refusals:
                self._on_refusal(refusal)
            for line in self._alignment_log.lines(result, wanted):
                if line.is_warning:  # rclpy refuses two levels from one place
                    self.get_logger().warning(line.words)
                else:
                    self.get_logger().info(line.words)
            self._alignment, self._aligned_s = result.alignment, time.monotonic()
            topics = [output.value for output in result.messages]
            statistics.processed(topics, result.durations_s, self._age_s(image.header), result.non_finite)

        return publish

    def _statuses(self) -> list[DiagnosticStatus]:
        pipeline = self._pipeline
        since_s = time.monotonic() - self._aligned_s
        if pipeline is not None:
            pipeline.sparse.silences = self._surroundings.silences
        statuses = [last_alignment_status(self._name, self._alignment, since_s)]
        if pipeline is not None:
            statuses.append(pipeline.images.status(self._name))
        if pipeline is not None and self.parameters.uses_mask:
            mask = pipeline.masks.status(self._name, self.parameters)
            self._tell_mask(mask)
            statuses.append(mask)
        return statuses

    def _tell_mask(self, status: DiagnosticStatus) -> None:
        """Log when masks begin or cease to be usable."""
        if status.level != self._mask_level:
            self._mask_level = status.level
            if status.level == DiagnosticStatus.OK:
                self.get_logger().info("a mask is in use")
            else:
                self.get_logger().warning(status.message)
