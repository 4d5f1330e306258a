"""How old depth is when it arrives: camera, node and receiver in processes of their own, over DDS.

The camera's process runs this module itself. Needs ROS.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from e2e_depth_ros.core.errors import E2EDepthError

_NAMESPACE: Final = "/e2e_depth_benchmark"
_CAMERA_HZ: Final = 30.0
_START_S: Final = 180.0  # loading a model takes long on a loaded machine
_WARM_UP: Final = 10
_GRACE_S: Final = 20.0


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


def measure(size: tuple[int, int], images: int, parameters: Sequence[str]) -> dict[str, Any]:
    """Run node and camera, and time what arrives of depth/image_relative.

    Args:
        size: (H, W) of the camera's images.
        images: How many depth images to time.
        parameters: Of the node, as "name:=value".

    Returns:
        See `summarise_arrivals`; and `node`, the same as the node itself reports it in /diagnostics.

    Raises:
        E2EDepthError: The node ended or is silent.
    """
    import rclpy  # noqa: PLC0415
    from diagnostic_msgs.msg import DiagnosticArray  # noqa: PLC0415
    from sensor_msgs.msg import Image  # noqa: PLC0415

    from e2e_depth_ros.ros.stamps import stamp_ns  # noqa: PLC0415

    arrivals: list[Arrival] = []
    reported: dict[str, float] = {}

    def on_depth(message: Any) -> None:
        arrivals.append(Arrival(stamp_ns(message.header) * 1e-9, time.time()))

    def on_diagnostics(message: Any) -> None:
        for status in message.status:
            for entry in status.values:
                if entry.key.endswith("_max_ms") and len(arrivals) > _WARM_UP:
                    reported[entry.key] = max(reported.get(entry.key, 0.0), float(entry.value))

    with ExitStack() as stack:
        rclpy.init(args=[])
        stack.callback(rclpy.try_shutdown)
        listener = rclpy.create_node("receiver", namespace=_NAMESPACE)
        stack.callback(listener.destroy_node)
        listener.create_subscription(Image, "depth/image_relative", on_depth, 5)
        listener.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 5)
        options = [part for parameter in parameters for part in ("-p", parameter)]
        node = _started(
            stack,
            "e2e_depth_ros.ros.depth_node",
            *("--ros-args", "-r", f"__ns:={_NAMESPACE}", "--log-level", "warn", *options),
        )
        _started(stack, "e2e_depth_ros.cli.benchmark_dds", str(size[0]), str(size[1]))
        end = time.monotonic() + _START_S
        while len(arrivals) < _WARM_UP + images:
            rclpy.spin_once(listener, timeout_sec=0.1)
            if node.poll() is not None:
                raise E2EDepthError(f"the node ended early, with code {node.returncode}")
            if time.monotonic() > end and len(arrivals) < _WARM_UP:
                raise E2EDepthError(f"expected depth images of the node, got none for {_START_S:.0f} s")
        return {**summarise_arrivals(arrivals[_WARM_UP:]), "node": reported}


def _started(stack: ExitStack, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Run a module until the stack ends."""
    popen = subprocess.Popen([sys.executable, "-m", module, *arguments])

    def stop() -> None:
        popen.terminate()
        try:
            popen.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()

    stack.callback(stop)
    return popen


def _show_camera(size: tuple[int, int]) -> None:
    """Publish an image at the camera's rate, until the process is ended."""
    import rclpy  # noqa: PLC0415
    from sensor_msgs.msg import Image  # noqa: PLC0415
    from std_msgs.msg import Header  # noqa: PLC0415

    from e2e_depth_ros.cli.benchmark import camera_image  # noqa: PLC0415
    from e2e_depth_ros.ros.images import message_from_array  # noqa: PLC0415

    image = camera_image(size)
    rclpy.init(args=[])
    camera = rclpy.create_node("camera", namespace=_NAMESPACE)
    publisher = camera.create_publisher(Image, "image_raw", 2)
    next_s = time.monotonic()
    while rclpy.ok():
        header = Header(stamp=camera.get_clock().now().to_msg(), frame_id="camera_optical_frame")
        publisher.publish(message_from_array(image, "rgb8", header))
        next_s = max(next_s + 1 / _CAMERA_HZ, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("height", type=int)
    _parser.add_argument("width", type=int)
    _arguments = _parser.parse_args()
    _show_camera((_arguments.height, _arguments.width))
