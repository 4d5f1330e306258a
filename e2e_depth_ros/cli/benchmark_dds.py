"""How old depth is when it arrives: camera, node and receiver in processes of their own, over DDS.

The camera's process runs this module itself. Needs ROS.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from e2e_depth_ros.cli.processes import ModuleProcess, running_module
from e2e_depth_ros.core.errors import E2EDepthError

_EXECUTABLES: Final = "e2e_depth_ros.ros.nodes.executables"
_NAMESPACE: Final = "/e2e_depth_benchmark"
_CAMERA_HZ: Final = 30.0
_START_S: Final = 180.0  # loading a model takes long on a loaded machine
_WARM_UP: Final = 10


@dataclass(frozen=True)
class Arrival:
    """A depth image that came: its stamp, and when it came, seconds of the system's clock."""

    stamp_s: float
    received_s: float


def summarise_arrivals(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Condense what was received.

    Where images come faster than the node can follow, it publishes once in each period of its worker, so
    periods show in the arrivals. An image is at most two periods old when it goes out: it waited for its
    predecessor, and then it was its turn.

    Args:
        arrivals: In their order; at least three.

    Returns:
        `rate_hz`; `age_ms` and `period_ms`, each median, p95 and max; `older_than_two_periods`, how many
        were older than their predecessor's period and their own together; `images`.
    """
    received = np.array([arrival.received_s for arrival in arrivals])
    ages = received - np.array([arrival.stamp_s for arrival in arrivals])
    periods = np.diff(received)
    two_periods = periods[1:] + periods[:-1]

    def summary(seconds: Any) -> dict[str, float]:
        values = {
            "median": np.median(seconds),
            "p95": np.percentile(seconds, 95),
            "max": np.max(seconds),
        }
        return {name: round(1e3 * float(value), 1) for name, value in values.items()}

    return {
        "images": len(arrivals),
        "rate_hz": round(float((len(arrivals) - 1) / (received[-1] - received[0])), 2),
        "age_ms": summary(ages),
        "period_ms": summary(periods),
        "older_than_two_periods": int(np.count_nonzero(ages[2:] > two_periods)),
    }


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
    size: tuple[int, int], images: int, parameters: Sequence[str], mask: MaskLoad | None = None
) -> dict[str, Any]:
    """Run node and camera, and time what arrives of depth/image_relative.

    Args:
        size: (H, W) of the camera's images.
        images: How many depth images to time.
        parameters: Of the node, as "name:=value".
        mask: Then time as many again while masks are painted.

    Returns:
        See `summarise_arrivals`; and `node`, the same as the node itself reports it in /diagnostics. With a
        mask node also `with masks`: the same while it paints, and see `_with_masks`.

    Raises:
        E2EDepthError: A node ended or is silent.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(_listening())
        options = [part for parameter in parameters for part in ("-p", parameter)]
        namespace = ("--ros-args", "-r", f"__ns:={_NAMESPACE}", "--log-level", "warn")
        node = stack.enter_context(running_module(_EXECUTABLES, ["depth_node", *namespace, *options]))
        stack.enter_context(running_module("e2e_depth_ros.cli.benchmark_dds", [str(size[0]), str(size[1])]))
        alone = listener.hear(_WARM_UP + images, node)[_WARM_UP:]
        report = {**summarise_arrivals(alone), "node": dict(listener.reported)}
        if mask is None:
            return report
        given = {"model": mask.model, "period": mask.period_s, "max_unexplained": 1.0}
        options = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
        painter = stack.enter_context(running_module(_EXECUTABLES, ["mask_node", *namespace, *options]))
        listener.await_mask(painter)
        return {**report, "with masks": _with_masks(listener, images, node, painter, alone)}


def _with_masks(
    listener: _Listener,
    images: int,
    node: ModuleProcess,
    painter: ModuleProcess,
    alone: Sequence[Arrival],
) -> dict[str, Any]:
    """Time depth while masks are painted.

    Returns:
        See `summarise_arrivals`; and `masks`, how many came meanwhile; `mask_cpu_share`, what the mask node
        took of the CPU time of all cores, 0..1; `rate_lost`, by which share the depth's rate fell.
    """
    begun_s, cpu_s, masks = time.monotonic(), _cpu_s(painter), listener.masks
    beside = listener.hear(images, node)
    painter.check_alive("the mask node")
    cores_s = (time.monotonic() - begun_s) * len(os.sched_getaffinity(0))
    before, after = summarise_arrivals(alone), summarise_arrivals(beside)
    return {
        **after,
        "masks": listener.masks - masks,
        "mask_cpu_share": round((_cpu_s(painter) - cpu_s) / cores_s, 4),
        "rate_lost": round(1 - after["rate_hz"] / before["rate_hz"], 4),
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
        node.create_subscription(Image, "depth/image_relative", self._on_depth, 5)
        node.create_subscription(Image, "mask/image", self._on_mask, 5)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 5)

    def hear(self, images: int, node: ModuleProcess) -> list[Arrival]:
        """Wait for so many depth images from now on."""
        self._arrivals.clear()
        end = time.monotonic() + _START_S
        while len(self._arrivals) < images:
            self._rclpy.spin_once(self._node, timeout_sec=0.1)
            node.check_alive()
            if time.monotonic() > end and len(self._arrivals) < min(images, _WARM_UP):
                raise E2EDepthError(f"expected depth images of the node, got none for {_START_S:.0f} s")
        return list(self._arrivals[:images])

    def await_mask(self, painter: ModuleProcess) -> None:
        """Wait for a mask: then all that a start costs is over."""
        end = time.monotonic() + _START_S
        while not self.masks:
            self._rclpy.spin_once(self._node, timeout_sec=0.1)
            painter.check_alive("the mask node")
            if time.monotonic() > end:
                raise E2EDepthError(f"expected a mask, got none for {_START_S:.0f} s")

    def _on_depth(self, message: Any) -> None:
        from e2e_depth_ros.ros.messages.stamps import stamp_ns  # noqa: PLC0415

        self._arrivals.append(Arrival(stamp_ns(message.header) * 1e-9, time.time()))

    def _on_mask(self, _: Any) -> None:
        self.masks += 1

    def _on_diagnostics(self, message: Any) -> None:
        if len(self._arrivals) <= _WARM_UP:
            return
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


def _show_camera(size: tuple[int, int]) -> None:
    """Publish an image at the camera's rate, until the process is ended."""
    import rclpy  # noqa: PLC0415
    from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415
    from sensor_msgs.msg import Image  # noqa: PLC0415
    from std_msgs.msg import Header  # noqa: PLC0415

    from e2e_depth_ros.cli.benchmark_image import camera_image  # noqa: PLC0415
    from e2e_depth_ros.ros.messages.images import message_from_array  # noqa: PLC0415
    from e2e_depth_ros.ros.running.stop_signals import StopSignals  # noqa: PLC0415

    stop = StopSignals()
    image = camera_image(size)
    stop.heed_order()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    camera = rclpy.create_node("camera", namespace=_NAMESPACE)
    publisher = camera.create_publisher(Image, "image_raw", 2)
    next_s = time.monotonic()
    while not stop.requested:
        header = Header(stamp=camera.get_clock().now().to_msg(), frame_id="camera_optical_frame")
        publisher.publish(message_from_array(image, "rgb8", header))
        next_s = max(next_s + 1 / _CAMERA_HZ, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))
    camera.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("height", type=int)
    _parser.add_argument("width", type=int)
    _arguments = _parser.parse_args()
    _show_camera((_arguments.height, _arguments.width))
