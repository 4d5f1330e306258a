"""A node in a process of its own, and a robot around it that talks to it over DDS."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
START_S = 300  # a loaded machine imports torch slowly


def until(condition, timeout_s, spin):
    """Spin until the condition holds; tell whether it did."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        spin()
    return bool(condition())


class NodeProcess:
    """A node as a user starts it."""

    def __init__(self, log, parameters=None, arguments=(), executable="depth_node", program=None):
        pairs = [part for item in (parameters or {}).items() for part in ("-p", "{}:={}".format(*item))]
        self.log = log
        program = program or ("-m", "e2e_depth_ros.ros.nodes.executables", executable)
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *program, "--ros-args", *pairs, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    @property
    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self):
        end = time.monotonic() + START_S
        while "ready: " not in self.output:
            assert self.popen.poll() is None, f"the node ended with {self.popen.returncode}:\n{self.output}"
            assert time.monotonic() < end, f"the node did not get ready:\n{self.output}"
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM, timeout_s=30):
        """Send a signal; return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise


class Robot:
    """What surrounds the node: a camera, a metric sensor, and ears on every output."""

    def __init__(self, topic_prefix=""):
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, QoSReliabilityPolicy
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

        self.context = Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received = {}
        self.statuses = {}
        self._subscriptions = {}
        qos = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.RELIABLE)
        self.publishers = {
            name: self.node.create_publisher(message_type, topic_prefix + name, qos)
            for name, message_type in (
                ("image_raw", Image),
                ("image_raw/compressed", CompressedImage),
                ("camera_info", CameraInfo),
                ("sparse_points", PointCloud2),
                ("sparse_depth", Image),
            )
        }
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._stamp_ns = time.time_ns()

    def _on_diagnostics(self, message):
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            self.statuses[status.name] = (status.level, status.message, values)

    def frames(self):
        """The values of the status "depth: frames"."""
        return self.statuses.get("depth: frames", (None, "", {}))[2]

    def refused(self, reason):
        return int(self.frames().get(f"refused/{reason}", 0))

    def listen(self, *outputs):
        """Subscribe to these outputs and to no others."""
        for output in set(self._subscriptions) - set(outputs):
            self.node.destroy_subscription(self._subscriptions.pop(output))
        self.received.clear()
        for output in outputs:
            if output not in self._subscriptions:
                self._subscriptions[output] = self.node.create_subscription(
                    output.message_type,
                    output.value,
                    lambda message, output=output: self.received.setdefault(output, []).append(message),
                    5,
                )

    def spin(self, duration_s=0.02):
        end = time.monotonic() + duration_s
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def header(self, step_ns=33_000_000):
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        self._stamp_ns += step_ns
        sec, nanosec = divmod(self._stamp_ns, 1_000_000_000)
        return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id="camera")

    def send_frame(self, size=(48, 64), *, header=None, info=True, distortion=(), sparse=None):
        """Publish an image with its calibration; `sparse` is published before, with the same header."""
        from e2e_depth_ros.core.camera import Camera, DistortionModel
        from e2e_depth_ros.ros.messages.camera_info import message_from_camera
        from e2e_depth_ros.ros.messages.images import message_from_array

        header = header or self.header()
        if info:
            K = np.array([[60.0, 0, 30], [0, 62, 25], [0, 0, 1]])
            model = DistortionModel.PLUMB_BOB if distortion else DistortionModel.NONE
            camera = Camera(size, K, model, tuple(distortion))
            self.publishers["camera_info"].publish(message_from_camera(camera, header))
        if sparse is not None:
            name = "sparse_points" if hasattr(sparse, "point_step") else "sparse_depth"
            self.publishers[name].publish(sparse)
        self.publishers["image_raw"].publish(message_from_array(picture(size), "rgb8", header))
        return header

    def stream_until(self, condition, timeout_s=30, period_s=0.1, **frame):
        """Publish frames until the condition holds; tell whether it did."""

        def step():
            self.send_frame(**{key: value() if callable(value) else value for key, value in frame.items()})
            self.spin(period_s)

        return until(condition, timeout_s, step)

    def call(self, service_type, name, request=None, timeout_s=30):
        client = self.node.create_client(service_type, name)
        try:
            assert until(client.service_is_ready, timeout_s, self.spin), f"{name} is not there"
            future = client.call_async(request or service_type.Request())
            assert until(future.done, timeout_s, self.spin), f"{name} does not answer"
            return future.result()
        finally:
            self.node.destroy_client(client)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


def set_parameter(robot, name, value, node="depth"):
    """Set a parameter of a node over DDS; return whether and why not."""
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    kinds = {bool: "bool", float: "double", str: "string", int: "integer"}
    kind = f"{kinds[type(value[0])]}_array" if isinstance(value, list) else kinds[type(value)]
    parameter = ParameterValue(
        type=getattr(ParameterType, f"PARAMETER_{kind.upper()}"), **{f"{kind}_value": value}
    )
    request = SetParameters.Request(parameters=[Parameter(name=name, value=parameter)])
    return robot.call(SetParameters, f"/{node}/set_parameters", request).results[0]


def picture(size):
    """A smooth picture that is no constant: (H, W, 3)."""
    height, width = size
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack(
        [255 * row / height, 255 * column / width, 127 + 120 * np.sin(row / 9 + column / 7)], axis=-1
    ).astype(np.uint8)
