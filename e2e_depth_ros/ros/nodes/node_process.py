"""The process of a node: its start, its end, and what goes wrong on the way.

Nothing heavy is imported here at the top, so that signals are in hand within milliseconds.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError, MissingDependencyError
from e2e_depth_ros.ros import WITHOUT_ROS
from e2e_depth_ros.ros.messages.refusal import one_line
from e2e_depth_ros.ros.running.kept_memory import keep_memory
from e2e_depth_ros.ros.running.stop_signals import StopSignals

if TYPE_CHECKING:  # needs rclpy
    from e2e_depth_ros.ros.nodes.image_node import ImageNode

    NodeClass = Callable[[], ImageNode[Any]]

_CHECK_PERIOD_S: Final = 0.1
_LAST_DOMAIN: Final = 232  # its ports are the last below 65536
_LEAST_ADDRESS_SPACE: Final = 3 * 2**30  # bytes; with less, libraries that ROS and torch bring abort or hang
_HELP: Final = """usage: {0} [--ros-args [-p PARAMETER:=VALUE] [-r NAME:=NEW_NAME] [--params-file FILE] ...]

Runs the node until SIGINT or SIGTERM. `ros2 param describe` tells of the parameters of one that runs, and
docs/parameters.md of all of them.
"""


def run_node(
    executable: str, find_class: Callable[[], NodeClass], args: Sequence[str] | None = None
) -> NoReturn:
    """Run a node until SIGINT, SIGTERM or the end of its ROS context, then end the process.

    Its exit code is 0 after a stop, 1 if the node could not start on its own, 2 if it could not even come to
    be: a bad parameter, something that is not installed, no memory, no place for logs. Then one line on
    stderr says so.

    Args:
        executable: Its name, for errors.
        find_class: Imports the node's class.
        args: ROS arguments; by default the command line's.
    """
    if args is None and {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(_HELP.format(executable))
        sys.exit(0)
    process = _NodeProcess()
    code = 0
    try:
        process.start(find_class, args)
        code = process.run()
    except BaseException as error:  # noqa: BLE001 - also SystemExit, of whatever library
        code = 2
        if not process.signals.requested:
            _tell(executable, error)
    process.put_away()
    sys.stdout.flush()
    sys.stderr.flush()
    # All that is ROS is put away by now. To tear down the interpreter would take seconds with torch in it.
    os._exit(0 if process.signals.requested else code)


class _NodeProcess:
    """A node and the ROS context that it lives in."""

    def __init__(self) -> None:
        self.signals = StopSignals(self._on_signal)
        self._rclpy: Any = None
        self._node: ImageNode[Any] | None = None
        self._executor: Any = None

    def start(
        self, find_class: Callable[[], Callable[[], ImageNode[Any]]], args: Sequence[str] | None
    ) -> None:
        """Make the node."""
        keep_memory()
        _check_address_space()
        _check_domain()
        try:
            import rclpy  # noqa: PLC0415
        except ImportError as error:
            raise MissingDependencyError(WITHOUT_ROS) from error
        from rclpy.executors import SingleThreadedExecutor  # noqa: PLC0415
        from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415

        from e2e_depth_ros.ros.running.quiet_start import init_ros, made_quietly  # noqa: PLC0415

        node_class = find_class()
        self.signals.heed_order()
        self._rclpy = rclpy
        init_ros(args, signal_handler_options=SignalHandlerOptions.NO)
        _check_arguments(args)
        self._node = made_quietly(node_class)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def run(self) -> int:
        """Work until the end; return the exit code."""
        from rclpy.lifecycle import TransitionCallbackReturn  # noqa: PLC0415

        node = self._node
        if node is None:
            raise RuntimeError("expected a node that was started, got none")
        if node.parameters.autostart:
            for trigger in (node.trigger_configure, node.trigger_activate):
                if not self.signals.requested and trigger() != TransitionCallbackReturn.SUCCESS:
                    return 2 if node.has_bad_parameter else 1
        while not self.signals.requested and self._rclpy.ok():
            self._spin_once(node)
        return 0

    def _spin_once(self, node: ImageNode[Any]) -> None:
        from rclpy.executors import ExternalShutdownException  # noqa: PLC0415

        try:
            self._executor.spin_once(timeout_sec=_CHECK_PERIOD_S)
        except ExternalShutdownException:
            pass  # the context has ended, and so does the loop
        except BaseException as error:  # noqa: BLE001 - one bad message must not stop a robot's sensor
            node.on_callback_error(error)
            time.sleep(_CHECK_PERIOD_S)  # what fails for ever must not take a core

    def put_away(self) -> None:
        """Leave nothing behind in the graph, nor in shared memory."""
        try:
            if self._executor is not None:
                self._executor.shutdown(timeout_sec=0)
            if self._node is not None:
                self._node.destroy_node()
            if self._rclpy is not None:
                self._rclpy.try_shutdown()
        except Exception as error:  # noqa: BLE001 - the process ends anyway
            sys.stderr.write(f"the end was not clean: {type(error).__name__}: {error}\n")

    def _on_signal(self, count: int) -> None:
        if self._node is not None:
            self._node.hasten(count)


def _check_address_space() -> None:
    """Refuse to start where memory cannot suffice.

    Raises:
        MemoryError: The limit is too low.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        raise MemoryError(
            f"expected an address space of at least {_LEAST_ADDRESS_SPACE >> 20} MiB, the limit is"
            f" {limit >> 20} MiB (ulimit -v)"
        )


def _check_domain() -> None:
    """Refuse a ROS domain that has no ports: Fast DDS would end the process.

    Raises:
        InvalidInputError: There is no such domain.
    """
    domain = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    if domain.isdecimal() and int(domain) > _LAST_DOMAIN:
        raise InvalidInputError(f"expected ROS_DOMAIN_ID of 0 to {_LAST_DOMAIN}, got {one_line(domain, 40)}")


def _check_arguments(args: Sequence[str] | None) -> None:
    """Refuse what ROS would pass over in silence, such as `-p` without `--ros-args` before it.

    Raises:
        InvalidInputError: There is an argument that is not for ROS.
    """
    others = list(_not_for_ros(sys.argv[1:] if args is None else args))
    # rcl takes a:=b among them for an old way to rename topics, so model:=X would change nothing.
    if renamed := [one for one in others if ":=" in one]:
        raise InvalidInputError(
            f"expected --ros-args -p NAME:=VALUE, or -r for a name, got {one_line(renamed[0], 80)} without"
        )
    if others:
        raise InvalidInputError(f"expected arguments after --ros-args, got {one_line(' '.join(others), 80)}")


def _not_for_ros(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what lies neither between --ros-args and -- nor behind the last --ros-args."""
    is_for_ros = False
    for argument in arguments:
        if argument == "--ros-args":
            is_for_ros = True
        elif is_for_ros and argument == "--":
            is_for_ros = False
        elif not is_for_ros:
            yield argument


def _tell(executable: str, error: BaseException) -> None:
    """Say in one line why the node could not come to be."""
    words = str(error)
    if isinstance(error, ImportError):
        words = f"{error.name or 'a package'} is needed here and can't be imported: {words}"
    elif not isinstance(error, E2EDepthError):
        words = f"{type(error).__name__}: {words}"
        if os.environ.get("ROS_SECURITY_ENABLE") == "true":
            words += " (SROS2 is on: is there an enclave for this node in ROS_SECURITY_KEYSTORE?)"
    sys.stderr.write(f"{executable}: {one_line(' '.join(words.split()))}\n")
