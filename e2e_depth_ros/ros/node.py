"""The lifecycle node: wires topics to the pipeline, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import SetBool, Trigger

from e2e_depth_ros.core.errors import E2EDepthError
from e2e_depth_ros.ros.diagnostics import Statistics
from e2e_depth_ros.ros.parameter_server import ParameterServer
from e2e_depth_ros.ros.parameters import Parameters
from e2e_depth_ros.ros.publishers import RELIABILITY, OutputPublishers
from e2e_depth_ros.ros.refusal import RefusedMessageError
from e2e_depth_ros.ros.stamps import StampedBuffer, StampOrder, stamp_ns
from e2e_depth_ros.ros.status import last_alignment_status, model_status
from e2e_depth_ros.ros.transforms import Transforms
from e2e_depth_ros.ros.worker import Worker

_SPARSE_QUEUE: Final = 5  # a slow executor must not lose the one cloud that belongs to a frame


class DepthNode(LifecycleNode):
    """Depth from images.

    Configure loads the model, activate subscribes and starts the worker; the two others undo it. Callbacks
    store, the worker computes and publishes.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters, services and diagnostics.

        Args:
            options: Of rclpy's Node.

        Raises:
            InvalidInputError: A parameter has a bad value.
        """
        super().__init__("depth", **options)
        self._pipeline: Any = None
        self._model: dict[str, Any] = {}
        self._outputs: OutputPublishers | None = None
        self._inputs: list[Any] = []
        self._group: Any = None
        self._worker: Worker | None = None
        self._dropped = 0  # by workers of earlier activations
        self._enabled = True
        self._alignment: Any = None
        self._aligned_s = 0.0
        self._camera_infos = StampedBuffer("camera_info")
        self._stamp_order = StampOrder()
        self._statistics = Statistics()
        self._parameters_in_use = ParameterServer(
            self, is_configured=lambda: self._pipeline is not None, on_change=self._on_parameters
        )
        self._transforms = Transforms(self)
        self._name = self.get_fully_qualified_name().lstrip("/")
        self.create_service(Trigger, "~/reset_alignment", self._on_reset_alignment)
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Diagnostics go on while simulated time stands still.
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def parameters(self) -> Parameters:
        """The current values."""
        return self._parameters_in_use.values

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and offer the outputs."""
        if not self._succeeds(self._load, "configure"):
            self._unload()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start to work."""
        result = super().on_activate(state)
        if result == TransitionCallbackReturn.SUCCESS and not self._succeeds(self._start, "activate"):
            self._stop()
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finish the frame at hand, then rest."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model."""
        self._unload()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop()
        self._unload()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after an unexpected error in a transition."""
        self.get_logger().error(f"a transition failed in state {state.label}; the node is unconfigured now")
        self._stop()
        self._unload()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Stop the worker before the node goes."""
        self._stop()
        super().destroy_node()

    def _succeeds(self, step: Callable[[], None], verb: str) -> bool:
        """Tell in one line why a transition fails: rclpy itself would say nothing."""
        try:
            step()
        except E2EDepthError as error:
            self.get_logger().error(f"cannot {verb}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a driver or library raises
            self.get_logger().error(f"cannot {verb}: {type(error).__name__}: {error}")
        else:
            return True
        return False

    def _load(self) -> None:
        # Torch takes seconds to import: not before a model is wanted.
        from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415
        from e2e_depth_ros.ros.pipeline import Pipeline  # noqa: PLC0415

        wanted = self.parameters
        estimator = Estimator.load(
            wanted.model,
            revision=wanted.revision or None,
            device=wanted.device,
            dtype=wanted.dtype,
            processing_resolution=None if wanted.processing_resolution < 0 else wanted.processing_resolution,
            num_threads=wanted.num_threads or None,
            sampling=wanted.sampling,
        )
        self._model = {
            "model": estimator.facts.name,
            "predicts": ", ".join(sorted(task.value for task in estimator.tasks)),
            "depth_kind": estimator.facts.depth_kind.value,
            "device": str(estimator.device),
            "dtype": str(estimator.dtype).removeprefix("torch."),
            "processing_resolution": estimator.processing_resolution,
        }
        self._pipeline = Pipeline(
            estimator,
            wanted,
            transforms=self._transforms,
            image_topic=self._image_topic(),
            node_name=self._name,
        )
        # A group never forgets the entities that it had: with one for each configuration nothing piles up.
        self._group = MutuallyExclusiveCallbackGroup()
        self._outputs = OutputPublishers(
            self, wanted.output_reliability, wanted.output_queue_size, self._group
        )
        facts = ", ".join(f"{key} {value}" for key, value in self._model.items())
        self.get_logger().info(f"ready: {facts}")

    def _unload(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._pipeline = self._alignment = None
        self._model = {}

    def _start(self) -> None:
        self._worker = Worker(self._process, self._on_failure, self._statistics.turn)
        wanted = self.parameters
        image_type = CompressedImage if wanted.image_transport == "compressed" else Image
        sparse = self._pipeline.sparse
        for message_type, topic, callback, depth in (
            (image_type, self._image_topic(), self._on_image, wanted.input_queue_size),
            (CameraInfo, "camera_info", self._camera_infos.put, wanted.input_queue_size),
            (PointCloud2, "sparse_points", sparse.points.put, _SPARSE_QUEUE),
            (Image, "sparse_depth", sparse.depth.put, _SPARSE_QUEUE),
        ):
            profile = QoSProfile(depth=depth, reliability=RELIABILITY[wanted.input_reliability])
            self._inputs.append(
                self.create_subscription(
                    message_type,
                    topic,
                    callback,
                    profile,
                    callback_group=self._group,
                    qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                )
            )

    def _stop(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._worker is not None:
            self._worker.stop()
            self._dropped += self._worker.dropped
            self._worker = None
        self._camera_infos.clear()
        self._stamp_order = StampOrder()

    def _image_topic(self) -> str:
        """Name the image topic after remapping; "/compressed" goes behind the remapped name."""
        if self.parameters.image_transport == "raw":
            return str(self.resolve_topic_name("image_raw"))
        name = "image_raw/compressed"
        resolved = str(self.resolve_topic_name(name))
        is_remapped = resolved != self.resolve_topic_name(name, only_expand=True)
        return resolved if is_remapped else f"{self.resolve_topic_name('image_raw')}/compressed"

    # Callbacks: they store

    def _on_image(self, message: Any) -> None:
        self._statistics.received()
        worker = self._worker
        if worker is None or not self._enabled:
            return
        try:
            self._stamp_order.check(stamp_ns(message.header))
            self._check_age(message.header)
        except RefusedMessageError as refusal:
            self._on_refusal(refusal)
        else:
            worker.put(message)

    def _check_age(self, header: Any) -> None:
        age_s = self._age_s(header)
        limit_s = self.parameters.max_image_age
        if limit_s > 0 and age_s > limit_s:
            raise RefusedMessageError(
                "image: age", f"expected at most max_image_age = {limit_s:g} s, got {age_s:.3f} s"
            )

    def _age_s(self, header: Any) -> float:
        return float(self.get_clock().now().nanoseconds - stamp_ns(header)) * 1e-9

    def _on_parameters(self, values: Parameters) -> None:
        if self._pipeline is not None:
            self._pipeline.parameters = values

    def _on_reset_alignment(self, _: Any, response: Any) -> Any:
        response.success = self._pipeline is not None
        response.message = "alignment starts anew" if response.success else "the node is not configured"
        if self._pipeline is not None:
            self._pipeline.reset_alignment()
        return response

    def _on_set_enabled(self, request: Any, response: Any) -> Any:
        self._enabled = request.data
        response.success = True
        response.message = "enabled" if request.data else "disabled: images are not processed"
        return response

    # The worker's thread

    def _process(self, image: Any) -> None:
        pipeline, outputs, statistics = self._pipeline, self._outputs, self._statistics
        wanted = outputs.wanted() if outputs is not None else set()
        if outputs is None or not wanted:
            self._alignment = None
            statistics.skipped()
            return
        camera_info = self._camera_infos.exact_or_latest(stamp_ns(image.header))
        result = pipeline.process(image, camera_info, wanted)
        outputs.publish(result.messages)
        for refusal in result.refusals:
            self._on_refusal(refusal)
        self._alignment, self._aligned_s = result.alignment, time.monotonic()
        topics = [output.value for output in result.messages]
        statistics.processed(topics, result.durations_s, self._age_s(image.header), result.non_finite)

    def _on_refusal(self, refusal: RefusedMessageError) -> None:
        self._statistics.refused(refusal)
        self.get_logger().warning(f"refused {refusal}", throttle_duration_sec=5.0)

    def _on_failure(self, error: Exception) -> None:
        if isinstance(error, RefusedMessageError):
            self._on_refusal(error)
            return
        self._statistics.failed(error)
        self.get_logger().error(f"a frame failed: {type(error).__name__}: {error}", throttle_duration_sec=5.0)

    # Diagnostics

    def _report(self) -> None:
        dropped = self._dropped + (self._worker.dropped if self._worker else 0)
        frames = self._statistics.status(f"{self._name}: frames", dropped=dropped, silence=self._silence())
        model = model_status(self._name, self._model, active=self._worker is not None, enabled=self._enabled)
        since_s = time.monotonic() - self._aligned_s
        alignment = last_alignment_status(self._name, self._alignment, since_s)
        message = DiagnosticArray(status=[frames, model, alignment])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _silence(self) -> str:
        if self._worker is None:
            return ""
        topic = self._image_topic()
        count = self.count_publishers(topic)
        hint = "; is their QoS compatible?" if count else ""
        return f"no image on {topic}: it has {count} publishers{hint}"
