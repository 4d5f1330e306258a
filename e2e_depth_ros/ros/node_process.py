"""The process of a node: its signals, its start and its end.

Nothing heavy is imported here at the top, so that signals are in hand within milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from e2e_depth_ros.ros import WITHOUT_ROS

_CHECK_PERIOD_S = 0.1
_LOADING_PATIENCE_S = 2.0


class _StopSignals:
    """SIGINT and SIGTERM, in place of rclpy's handlers.

    Before ROS is up a signal ends the process at once: there is nothing to tidy up. While the model is loaded
    it sets a flag that is looked at after each step of the start, and ends the process if that takes too
    long. Later it only sets the flag, and the executor's loop ends between two callbacks. It never raises: an
    exception could strike anywhere, even in a lock, or in C++ that imports Python and aborts then.
    """

    def __init__(self) -> None:
        self.requested = False
        self.ros_is_up = False
        self.starting = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _: int, __: Any) -> None:
        if self.requested:
            return
        self.requested = True
        if not self.ros_is_up:
            os._exit(0)
        if self.starting:
            patience = threading.Timer(_LOADING_PATIENCE_S, os._exit, (0,))
            patience.daemon = True
            patience.start()


def run_node(executable: str, make: Callable[[], Any], args: Sequence[str] | None = None) -> NoReturn:
    """Run a node until SIGINT, SIGTERM or the end of its ROS context, then end the process.

    Its exit code is 0 after a stop, 1 if the node could not start on its own, 2 for a bad parameter
    or without ROS 2.

    Args:
        executable: Its name, for errors.
        make: Makes the node, an `ImageNode`; called once ROS is up.
        args: ROS arguments; by default the command line's.
    """
    signals = _StopSignals()
    try:
        code = _run(executable, make, args, signals)
    except Exception:
        if not signals.requested:
            raise
    if signals.requested:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    # All that is ROS is shut down by now. To tear down the interpreter would take seconds with torch in it.
    os._exit(code)


def _run(executable: str, make: Callable[[], Any], args: Sequence[str] | None, signals: _StopSignals) -> int:
    try:
        import rclpy  # noqa: PLC0415
    except ImportError:
        sys.stderr.write(f"{executable}: {WITHOUT_ROS}\n")
        return 2
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: PLC0415
    from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415

    from e2e_depth_ros.core.errors import E2EDepthError  # noqa: PLC0415
    from e2e_depth_ros.ros.quiet_start import init_ros, made_quietly  # noqa: PLC0415
    from e2e_depth_ros.ros.refusal import one_line  # noqa: PLC0415

    node = None
    signals.ros_is_up = True
    try:
        init_ros(args, signal_handler_options=SignalHandlerOptions.NO)
        node = made_quietly(make)
        if not _is_started(node, signals):
            return 2 if node.has_bad_parameter else 1
        signals.starting = False
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not signals.requested and rclpy.ok():
            executor.spin_once(timeout_sec=_CHECK_PERIOD_S)
        executor.shutdown()
    except E2EDepthError as error:
        sys.stderr.write(f"{executable}: {one_line(str(error))}\n")
        return 2
    except ExternalShutdownException:
        pass
    except Exception as error:
        if node is not None:
            raise
        # Whatever rclpy raises here, as for a bad parameter file, name or argument.
        sys.stderr.write(f"{executable}: {one_line(f'{type(error).__name__}: {error}'.strip())}\n")
        return 2
    finally:
        signals.starting = False
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _is_started(node: Any, signals: _StopSignals) -> bool:
    """Configure and activate the node, if it is to do so on its own; tell whether nothing failed."""
    from rclpy.lifecycle import TransitionCallbackReturn  # noqa: PLC0415

    if not node.parameters.autostart:
        return True
    return all(
        signals.requested or trigger() == TransitionCallbackReturn.SUCCESS
        for trigger in (node.trigger_configure, node.trigger_activate)
    )
