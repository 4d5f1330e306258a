"""The lifecycle node that works on the newest image: what the depth node and the mask node share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool

from e2e_depth_ros.core.errors import E2EDepthError
from e2e_depth_ros.ros.declarations.declaration import BadParameterError
from e2e_depth_ros.ros.declarations.image_parameters import Struct
from e2e_depth_ros.ros.declarations.parameter_server import ParameterServer
from e2e_depth_ros.ros.declarations.qos import QosOverrides
from e2e_depth_ros.ros.inputs.subscriptions import Input, InputSubscriptions
from e2e_depth_ros.ros.messages.image_transport import transport_topic, transport_type
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, Throttle, one_line
from e2e_depth_ros.ros.messages.stamps import StampOrder, stamp_ns
from e2e_depth_ros.ros.running.callbacks import resume_callbacks
from e2e_depth_ros.ros.running.loading import StoppedError, load_unless
from e2e_depth_ros.ros.running.worker import Worker
from e2e_depth_ros.ros.telling.diagnostics import Statistics
from e2e_depth_ros.ros.telling.status import Activity, model_status
from e2e_depth_ros.ros.telling.surroundings import Surroundings

_PATIENCE_S: Final = 2.0  # for the image at hand when the node stops; who waits for that has its own deadline


class ImageNode(LifecycleNode, Generic[Struct]):
    """Looks at images with a network.

    Configure loads the model, activate subscribes and starts the worker; the two others undo it. Callbacks
    store, the worker computes and publishes.
    """

    def __init__(self, name: str, defaults: Struct, **options: Any) -> None:
        """Declare parameters, services and diagnostics.

        Args:
            name: Of the node.
            defaults: Its parameters, unless given.
            options: Of rclpy's Node.

        Raises:
            InvalidInputError: A parameter has a bad value.
        """
        super().__init__(name, **options)
        self._model: Mapping[str, Any] = {}
        self._group: Any = None
        self._worker: Worker | None = None
        self._abandoned: Worker | None = None  # still works on its last image, which took too long
        self._haste = 0  # how many times the process was told to end
        self._dropped = 0  # by workers of earlier activations
        self._enabled = True
        self._stamp_order = StampOrder()
        self._statistics = Statistics()
        self._throttle = Throttle()
        self._surroundings = Surroundings(self)
        self._qos_overrides = QosOverrides(self)
        self._input_subscriptions = InputSubscriptions(self, self._qos_overrides, self._surroundings)
        self._failure: BaseException | None = None
        try:
            self._parameters_in_use = ParameterServer(
                self, defaults, is_configured=lambda: bool(self._model), on_change=self._on_parameters
            )
        except Exception:
            self.destroy_node()
            raise
        self._name = self.get_fully_qualified_name().lstrip("/")
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Diagnostics go on while simulated time stands still.
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def parameters(self) -> Struct:
        """The current values."""
        return self._parameters_in_use.values

    def hasten(self, count: int) -> None:
        """Learn, in any thread, that the process is to end: 1 ends loading, 2 waits for no image either."""
        self._haste = count

    def on_callback_error(self, error: BaseException) -> None:
        """Tell and count an error that a callback or the taking of a message raised, and listen on."""
        self._on_failure(error, "a callback")
        resume_callbacks(self)

    def set_parameters_atomically(self, parameter_list: list[Any]) -> Any:
        """Set parameters all at once, in their declared types; the parameter services call this."""
        return self._parameters_in_use.set(parameter_list, super().set_parameters_atomically)

    def set_parameters(self, parameter_list: list[Any]) -> list[Any]:
        """Set parameters one after the other."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    # What a node does of its own

    @abstractmethod
    def _load(self) -> Any:
        """Load the model, in a thread of its own: the node may go meanwhile, so ROS is out of reach there."""

    @abstractmethod
    def _offer(self, model: Any) -> Mapping[str, Any]:
        """Offer the outputs of a loaded model; return what diagnostics tell of it."""

    @abstractmethod
    def _unload(self) -> None:
        """Let go of what `_offer` made, as far as it came."""

    @abstractmethod
    def _process(self, image: Any) -> Callable[[], None] | None:
        """Work on an image message, in the worker's thread.

        Returns:
            What publishes the result; None where there is none. It is not called if the node stopped
            meanwhile.
        """

    def _other_inputs(self) -> list[Input]:
        """Name what to listen to besides the image."""
        return []

    def _is_due(self) -> bool:
        """Whether an image that comes now is wanted."""
        return True

    def _interrupt(self) -> None:
        """Let the image at hand end soon, as the node stops."""

    def _on_parameters(self, values: Struct) -> None:
        """Take changed parameters into use."""

    def _statuses(self) -> list[DiagnosticStatus]:
        """Report for diagnostics what only this node knows."""
        return []

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and offer the outputs."""
        if not self._succeeds(self._configure, "configure"):
            self._release()
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
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop()
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after an unexpected error in a transition."""
        self.get_logger().error(f"a transition failed in state {state.label}; the node is unconfigured now")
        self._stop()
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Stop the worker, then let the node go, and all that keeps it in the graph."""
        self._stop()
        super().destroy_node()
        # rclpy leaves it alive, and with it the node: its shared memory would stay behind for ever, and its
        # name in the graph for 20 s.
        self._state_machine.destroy_when_not_in_use()

    @property
    def has_bad_parameter(self) -> bool:
        """Whether a parameter is why the last transition failed."""
        return isinstance(self._failure, BadParameterError)

    def _succeeds(self, step: Callable[[], None], verb: str) -> bool:
        """Tell in one line why a transition fails: rclpy itself would say nothing."""
        self._failure = None
        try:
            step()
        except StoppedError as stopped:
            self._failure = stopped
            self.get_logger().info(f"told to end before it could {verb}")
        except BaseException as error:  # noqa: BLE001 - whatever a driver or library raises
            self._failure = error
            kind = "" if isinstance(error, E2EDepthError) else f"{type(error).__name__}: "
            self.get_logger().error(one_line(f"cannot {verb}: {kind}{error}"))
        return self._failure is None

    def _configure(self) -> None:
        # A group never forgets the entities that it had: with one for each configuration nothing piles up.
        self._group = MutuallyExclusiveCallbackGroup()
        wanted = self.parameters
        where = "" if wanted.device == "auto" else f" on {wanted.device}"
        self.get_logger().info(one_line(f"loading {wanted.model}{where} ..."))
        self._model = self._offer(load_unless(lambda: self._haste > 0, self._load))
        facts = ", ".join(f"{key} {value}" for key, value in self._model.items())
        self.get_logger().info(f"ready: {facts}")

    def _release(self) -> None:
        self._unload()
        self._model = {}

    def _start(self) -> None:
        self._worker = Worker(self._process, self._on_failure, self._statistics.turn, after=self._abandoned)
        wanted = self.parameters
        images = Input(
            transport_type(wanted.image_transport),
            self._image_topic(),
            self._on_image,
            wanted.input_queue_size,
            name="image",
        )
        self._input_subscriptions.open(
            (images, *self._other_inputs()), reliability=wanted.input_reliability, group=self._group
        )

    def _stop(self) -> None:
        self._input_subscriptions.close()
        if self._worker is not None:
            self._interrupt()
            self._abandoned = None
            if not self._worker.stop(_PATIENCE_S, is_urgent=lambda: self._haste > 1):
                self._abandoned = self._worker
                self.get_logger().warning(
                    f"the image at hand takes longer than {_PATIENCE_S:g} s: nothing comes of it"
                )
            self._dropped += self._worker.dropped
            self._worker = None
        self._stamp_order = StampOrder()

    def _image_topic(self) -> str:
        return transport_topic(self, "image_raw", self.parameters.image_transport)

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
            if self._is_due():
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

    def _on_set_enabled(self, request: Any, response: Any) -> Any:
        self._enabled = request.data
        response.success = True
        response.message = "enabled" if request.data else "disabled: images are not processed"
        return response

    # The worker's thread

    def _on_refusal(self, refusal: RefusedMessageError) -> None:
        self._statistics.refused(refusal)
        if self._throttle.passes(refusal.reason):
            self.get_logger().warning(f"refused {refusal}")

    def _on_failure(self, error: BaseException, what: str = "a frame") -> None:
        if isinstance(error, RefusedMessageError):
            self._on_refusal(error)
            return
        self._statistics.failed(error)
        kind = type(error).__name__
        if self._throttle.passes(f"failed: {kind}"):
            self.get_logger().error(one_line(f"{what} failed: {kind}: {error}"))

    # Diagnostics

    def _report(self) -> None:
        dropped = self._dropped + (self._worker.dropped if self._worker else 0)
        self._input_subscriptions.look()
        self._surroundings.look()
        silence = self._surroundings.silence("image")
        frames = self._statistics.status(f"{self._name}: frames", dropped=dropped, silence=silence)
        model = model_status(self._name, self._model, self._activity())
        graph = self._surroundings.status(self._name)
        message = DiagnosticArray(status=[frames, model, graph, *self._statuses()])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _activity(self) -> Activity:
        if self._worker is None:
            return Activity.INACTIVE
        if not self._worker.is_alive:
            return Activity.DEAD
        return Activity.ACTIVE if self._enabled else Activity.DISABLED
