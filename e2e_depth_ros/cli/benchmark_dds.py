"""How old depth is when it arrives: camera, node and receiver in processes of their own, over DDS.

Needs ROS.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from e2e_depth_ros.cli.arrivals import Arrival, summarise_arrivals
from e2e_depth_ros.cli.processes import ModuleProcess, running_module
from e2e_depth_ros.core.errors import E2EDepthError

_EXECUTABLES: Final = "e2e_depth_ros.ros.nodes.executables"
_NAMESPACE: Final = "/e2e_depth_benchmark"
_CAMERA: Final = "e2e_depth_ros.cli.benchmark_camera"
_START_S: Final = 180.0  # loading a model takes long on a loaded machine
_WARM_UP: Final = 10
_TIMED: Final = "depth/image_relative"


@dataclass(frozen=True)
class MaskLoad:
    """A mask node that runs beside the depth node.

    Attributes:
        model: Its checkpoint.
        period_s: Seconds from the start of one mask to the start of the next.
    """

    model: str
    period_s: float


def measure(
    estimator: Any,
    size: tuple[int, int],
    images: int,
    parameters: Sequence[str],
    mask: MaskLoad | None = None,
) -> dict[str, Any]:
    """Run node and camera, and time what arrives of depth/image_relative, beside further outputs or without.

    Args:
        estimator: The node's network, which says what the camera's range sensor may measure.
        size: (H, W) of the camera's images.
        images: How many depth images to time in each case.
        parameters: Of the node, as "name:=value".
        mask: Then time as many again while masks are painted.

    Returns:
        By what is subscribed to: see `summarise_arrivals`; `node`, the same as the node itself reports it in
        /diagnostics; `node_cpu_ms`, the CPU time that the node's process takes for each. With a mask node
        also `with masks`: the same while it paints, and see `_with_masks`.

    Raises:
        E2EDepthError: A node ended or is silent.
    """
    from e2e_depth_ros.cli.benchmark_image import camera_image  # noqa: PLC0415
    from e2e_depth_ros.cli.node_timing import NodeTimer  # noqa: PLC0415

    with ExitStack() as stack:
        points = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "points.npy"
        np.save(points, NodeTimer(estimator, camera_image(size)).points_m)
        listener = stack.enter_context(_listening())
        options = [part for parameter in parameters for part in ("-p", parameter)]
        namespace = ("--ros-args", "-r", f"__ns:={_NAMESPACE}", "--log-level", "warn")
        node = stack.enter_context(running_module(_EXECUTABLES, ["depth_node", *namespace, *options]))
        camera = [str(size[0]), str(size[1]), str(points), *namespace[:3]]
        stack.enter_context(running_module(_CAMERA, camera))
        report = {}
        for name, topics in _subscriptions(estimator.tasks).items():
            listener.listen_to(topics)
            report[name] = _summary(listener, images, node)
        if mask is None:
            return report
        first = next(iter(report))
        listener.listen_to(_subscriptions(estimator.tasks)[first])
        given = {"model": mask.model, "period": mask.period_s, "max_unexplained": 1.0}
        options = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
        painter = stack.enter_context(running_module(_EXECUTABLES, ["mask_node", *namespace, *options]))
        listener.await_mask(painter)
        return {**report, "with masks": _with_masks(listener, images, node, painter, report[first])}


def _subscriptions(tasks: Collection[Any]) -> dict[str, list[Any]]:
    """Name the cases to time, and the outputs that are subscribed to in each."""
    from e2e_depth_ros.ros.outputs.depth_outputs import Output, tasks_for  # noqa: PLC0415

    cases = {
        "depth": [Output.RELATIVE],
        "depth and normals": [Output.RELATIVE, Output.NORMALS],
        "every output": [output for output in Output if tasks_for([output]) <= set(tasks)],
    }
    return {name: outputs for name, outputs in cases.items() if tasks_for(outputs) <= set(tasks)}


def _summary(listener: _Listener, images: int, node: ModuleProcess) -> dict[str, Any]:
    listener.hear(_WARM_UP, node)
    cpu_s = _cpu_s(node)
    arrivals = listener.hear(images, node)
    cpu_s = _cpu_s(node) - cpu_s
    return {
        **summarise_arrivals(arrivals),
        "node": dict(listener.reported),
        "node_cpu_ms": round(1e3 * cpu_s / len(arrivals), 1),
    }


def _with_masks(
    listener: _Listener,
    images: int,
    node: ModuleProcess,
    painter: ModuleProcess,
    alone: Mapping[str, Any],
) -> dict[str, Any]:
    """Time depth while masks are painted.

    Returns:
        See `summarise_arrivals`; and `masks`, how many came meanwhile; `mask_cpu_share`, what the mask node
        took of the CPU time of all cores, 0..1; `rate_lost`, by which share the depth's rate fell.
    """
    begun_s, cpu_s, masks = time.monotonic(), _cpu_s(painter), listener.masks
    beside = summarise_arrivals(listener.hear(images, node))
    painter.check_alive("the mask node")
    cores_s = (time.monotonic() - begun_s) * len(os.sched_getaffinity(0))
    return {
        **beside,
        "masks": listener.masks - masks,
        "mask_cpu_share": round((_cpu_s(painter) - cpu_s) / cores_s, 4),
        "rate_lost": round(1 - beside["rate_hz"] / alone["rate_hz"], 4),
    }


def _cpu_s(process: ModuleProcess) -> float:
    """Return the CPU time that a process has taken, seconds (proc(5): fields 14 and 15 of stat)."""
    stat = Path(f"/proc/{process.popen.pid}/stat").read_text(encoding="utf-8")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class _Listener:
    """Hears depth, masks and diagnostics."""

    def __init__(self, rclpy: Any, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray  # noqa: PLC0415
        from sensor_msgs.msg import Image  # noqa: PLC0415

        self.reported: dict[str, float] = {}
        self.masks = 0
        self._rclpy, self._node = rclpy, node
        self._arrivals: list[Arrival] = []
        self._counts: Counter[str] = Counter()
        self._subscriptions: dict[str, Any] = {}
        node.create_subscription(Image, "mask/image", self._on_mask, 5)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 5)

    def listen_to(self, outputs: Sequence[Any]) -> None:
        """Subscribe to some of the node's outputs and to no others; the depth image is timed."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._counts.clear()
        self._subscriptions = {output.value: self._subscription(output) for output in outputs}

    def hear(self, images: int, node: ModuleProcess) -> list[Arrival]:
        """Wait for so many depth images from now on, and for something of every other output."""
        self._arrivals.clear()
        self.reported.clear()
        end = time.monotonic() + _START_S
        while (silent := self._subscriptions.keys() - self._counts.keys()) or len(self._arrivals) < images:
            self._rclpy.spin_once(self._node, timeout_sec=0.1)
            node.check_alive()
            if time.monotonic() > end and len(self._arrivals) < min(images, _WARM_UP):
                raise E2EDepthError(f"expected depth images of the node, got none for {_START_S:.0f} s")
            if time.monotonic() > end and silent:
                raise E2EDepthError(f"expected {', '.join(sorted(silent))} of the node, got none")
        return list(self._arrivals[:images])

    def await_mask(self, painter: ModuleProcess) -> None:
        """Wait for a mask: then all that a start costs is over."""
        end = time.monotonic() + _START_S
        while not self.masks:
            self._rclpy.spin_once(self._node, timeout_sec=0.1)
            painter.check_alive("the mask node")
            if time.monotonic() > end:
                raise E2EDepthError(f"expected a mask, got none for {_START_S:.0f} s")

    def _subscription(self, output: Any) -> Any:
        name, is_timed = output.value, output.value == _TIMED

        def hear(message: Any) -> None:
            self._counts[name] += 1
            if is_timed:
                self._on_depth(message)

        # What isn't timed is not unpacked: this process would take the time of the node's.
        return self._node.create_subscription(output.message_type, name, hear, 5, raw=not is_timed)

    def _on_depth(self, message: Any) -> None:
        from e2e_depth_ros.ros.messages.stamps import stamp_ns  # noqa: PLC0415

        self._arrivals.append(Arrival(stamp_ns(message.header) * 1e-9, time.time()))

    def _on_mask(self, _: Any) -> None:
        self.masks += 1

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.endswith("depth: frames"):
                for entry in status.values:
                    if entry.key.endswith("_max_ms"):
                        self.reported[entry.key] = max(self.reported.get(entry.key, 0.0), float(entry.value))


@contextmanager
def _listening() -> Iterator[_Listener]:
    import rclpy  # noqa: PLC0415

    rclpy.init(args=[])
    node = rclpy.create_node("receiver", namespace=_NAMESPACE)
    try:
        yield _Listener(rclpy, node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
