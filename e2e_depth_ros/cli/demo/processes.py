"""Starts the node and the camera as processes of their own, listens, and ends them in order."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from e2e_depth_ros.cli.demo.scenes import DemoScene
from e2e_depth_ros.cli.processes import running_module
from e2e_depth_ros.core.errors import E2EDepthError, MissingDependencyError
from e2e_depth_ros.ros import WITHOUT_ROS
from e2e_depth_ros.ros.deployment.middleware import keep_apart

if TYPE_CHECKING:  # needs rclpy
    from e2e_depth_ros.cli.demo.receiver import Receiver
    from e2e_depth_ros.offline.viewer import Viewer

_NAMESPACE: Final = "/e2e_depth_demo"
_SILENCE_S: Final = 150.0  # longer than loading takes anywhere; then something hangs
_LAST_DIAGNOSTICS_S: Final = 2.5  # they come once a second


@dataclass(frozen=True)
class DemoSettings:
    """What the demo runs with.

    Attributes:
        output: Folder for logs and results.
        model: Checkpoint: "embedded", a folder, or a hub id.
        task: What it predicts, where its configs don't say.
        device: "auto", "cpu" or "cuda".
        frames: Frames of each scene.
        rate_hz: Frames a second.
        points: Sparse points a frame.
        patience_s: How long to go on with a scene that the node has not answered yet.
        seed: Chooses the points.
    """

    output: Path
    model: str = "embedded"
    task: str = "auto"
    device: str = "auto"
    frames: int = 30
    rate_hz: float = 8.0
    points: int = 500
    patience_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the demo's three processes did.

    Attributes:
        published: Camera frames by scene, as the publishing process counted them.
        receiver: What arrived.
    """

    published: dict[str, int]
    receiver: Receiver


def prepare_environment(domain: int | None = None) -> int:
    """Keep the demo's traffic on this machine and apart from a running robot's; must precede rclpy's import.

    Args:
        domain: The ROS domain; by default one that nobody uses.

    Returns:
        The ROS domain that the demo is in.

    Raises:
        MissingDependencyError: There is no ROS 2 in this environment.
    """
    domain = keep_apart(domain)
    try:
        import rclpy  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingDependencyError(WITHOUT_ROS) from error
    return domain


def run_processes(
    settings: DemoSettings,
    scenes: list[DemoScene],
    on_image: Callable[[int], None],
    viewer: Viewer | None = None,
) -> Outcome:
    """Run node, camera and receiver until every scene has been published.

    Args:
        settings: What to run.
        scenes: What the camera will publish.
        on_image: Called with the number of camera images received so far.
        viewer: Shows what is received.

    Returns:
        What was published and received.

    Raises:
        E2EDepthError: A process ended early, or nothing was heard for minutes.
    """
    import rclpy  # noqa: PLC0415
    from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415

    from e2e_depth_ros.cli.demo.receiver import Receiver  # noqa: PLC0415

    with ExitStack() as stack:
        stack.enter_context(_terminate_as_interrupt())
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        listener = rclpy.create_node("receiver", namespace=_NAMESPACE)
        stack.callback(listener.destroy_node)
        receiver = Receiver(listener, scenes, viewer)
        parameters = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "parameters.yaml"
        chosen = {name: getattr(settings, name) for name in ("model", "task", "device")}
        parameters.write_text(
            yaml.safe_dump({"/**": {"ros__parameters": chosen}}),
            encoding="utf-8",
        )
        node = stack.enter_context(
            running_module(
                "e2e_depth_ros.ros.nodes.executables",
                ["depth_node", "--ros-args", "--params-file", str(parameters), "-r", f"__ns:={_NAMESPACE}"],
                settings.output / "node.log",
            )
        )
        camera = stack.enter_context(
            running_module(
                "e2e_depth_ros.cli.demo.camera",
                [
                    *("--frames", str(settings.frames), "--rate", str(settings.rate_hz)),
                    *("--points", str(settings.points), "--seed", str(settings.seed)),
                    *("--patience", str(settings.patience_s), "--ros-args", "-r", f"__ns:={_NAMESPACE}"),
                ],
                settings.output / "camera.log",
            )
        )
        end, images = time.monotonic() + _SILENCE_S, 0
        while camera.popen.poll() is None:
            rclpy.spin_once(listener, timeout_sec=0.1)
            node.check_alive()
            if receiver.images_received > images:
                images = receiver.images_received
                end = time.monotonic() + _SILENCE_S
                on_image(images)
            if time.monotonic() > end:
                raise E2EDepthError(
                    f"expected camera images, got none for {_SILENCE_S:.0f} s; see {node.log}"
                )
        if camera.popen.returncode != 0:
            raise E2EDepthError(f"the camera process failed: {camera.last_line()}")
        end = time.monotonic() + _LAST_DIAGNOSTICS_S
        while time.monotonic() < end:
            rclpy.spin_once(listener, timeout_sec=0.1)
        node.check_alive()
        return Outcome(published=json.loads(camera.last_line()), receiver=receiver)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C, so that no process stays behind."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
