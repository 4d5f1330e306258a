"""What the demo's camera does: it publishes real frames and sparse points over DDS."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from e2e_depth_ros.cli.demo.scenes import DemoScene
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError, first_line
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from e2e_depth_ros.ros.running.loading import StoppedError
from e2e_depth_ros.ros.running.quiet_start import init_ros
from e2e_depth_ros.ros.running.stop_signals import StopSignals

_DISCOVERY_S: Final = 120.0  # the node loads its model before it subscribes
_RESET_S: Final = 5.0
_DRAIN_S: Final = 1.0  # lets the node finish a scene before the next begins
_LOOK_PERIOD_S: Final = 0.1

_ANSWERS: Final = {False: Output.RELATIVE.value, True: Output.DEPTH.value}
"""Where the node answers a frame without and with a calibrated camera and sparse points."""


class ScenePublisher:
    """Publishes scenes as a camera driver and a range sensor would."""

    def __init__(self, node: Node, seed: int, stop: StopSignals) -> None:
        self._node = node
        self._stop = stop
        self._random = np.random.default_rng(seed)
        self._images = node.create_publisher(Image, "image_raw", 2)
        self._infos = node.create_publisher(CameraInfo, "camera_info", 2)
        self._points = node.create_publisher(PointCloud2, "sparse_points", 2)
        self._reset = node.create_client(Trigger, "depth/reset_alignment")
        self._answered: set[tuple[str, str]] = set()  # topic and frame id of what the node made of our frames
        for topic in _ANSWERS.values():
            node.create_subscription(Image, topic, partial(self._on_answer, topic), 1)

    def wait_for_listeners(self, count: int) -> None:
        """Return once so many listen to images and points: the node, and whoever looks on.

        Raises:
            E2EDepthError: They do not within two minutes.
            StoppedError: A signal came first.
        """
        publishers = (self._images, self._points)

        def all_are_there() -> bool:
            heard = all(publisher.get_subscription_count() >= count for publisher in publishers)
            return heard and self._reset.service_is_ready()

        if not self._spin_until(time.monotonic() + _DISCOVERY_S, all_are_there):
            counts = [publisher.get_subscription_count() for publisher in publishers]
            raise E2EDepthError(f"expected {count} listeners to image_raw and sparse_points, got {counts}")

    def publish(self, scene: DemoScene, frames: int, rate_hz: float, points: int, patience_s: float) -> int:
        """Publish a scene's frame again and again, each time with other points.

        Args:
            scene: What to publish.
            frames: How often at least; it goes on until the node has answered one.
            rate_hz: Frames a second.
            points: Sparse points a frame, drawn anew from the measured ones.
            patience_s: After this time it goes on no longer; a slow machine needs it for its first frame.

        Returns:
            How many frames were published.

        Raises:
            StoppedError: A signal came.
        """
        # Another scene is another place: what was learnt about the scale of the last one is void.
        self._spin_until(time.monotonic() + _RESET_S, self._reset.call_async(Trigger.Request()).done)
        answer = (_ANSWERS[scene.camera is not None], scene.frame_id)
        start = time.monotonic()
        published = 0
        while published < frames or (answer not in self._answered and time.monotonic() < start + patience_s):
            self._publish_once(scene, points)
            published += 1
            self._spin_until(max(start + published / rate_hz, time.monotonic()))
        self._spin_until(time.monotonic() + _DRAIN_S)
        return published

    def _on_answer(self, topic: str, message: Image) -> None:
        self._answered.add((topic, message.header.frame_id))

    def _spin_until(self, end: float, condition: Callable[[], bool] = lambda: False) -> bool:
        """Spin until the time has come or the condition holds; tell whether it does."""
        while not (holds := condition()) and (left := end - time.monotonic()) > 0:
            if self._stop.requested:
                raise StoppedError
            rclpy.spin_once(self._node, timeout_sec=min(left, _LOOK_PERIOD_S))
        return holds

    def _publish_once(self, scene: DemoScene, points: int) -> None:
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=scene.frame_id)
        if scene.camera is not None:
            self._infos.publish(message_from_camera(scene.camera, header))
        if len(scene.points_m):
            drawn = self._random.choice(len(scene.points_m), min(points, len(scene.points_m)), replace=False)
            self._points.publish(cloud_from_points(scene.points_m[drawn], header))
        self._images.publish(message_from_array(scene.image, "rgb8", header))


def cloud_from_points(points_m: NDArray[np.float32], header: Header) -> PointCloud2:
    """Make the cloud of a range sensor: (N, 3) points in one row, grey."""
    message, points = allocate_cloud(np.full((1, len(points_m), 3), 128, np.uint8), header)
    points[0] = points_m
    return message


def publish_scenes(args: argparse.Namespace, stop: StopSignals) -> dict[str, int]:
    """Publish every scene, once or for ever.

    Args:
        args: See `camera.main`.
        stop: Tells when to end.

    Returns:
        Frames published by scene; none of a scene that was not finished.

    Raises:
        E2EDepthError: Nobody listens, or ROS refuses its arguments.
    """
    published: dict[str, int] = {}
    try:
        init_ros(args.ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy's have no base in common
        given = " ".join(args.ros_arguments)
        raise InvalidInputError(f"expected arguments of ROS, got {given}: {first_line(error)}") from error
    node = rclpy.create_node("camera")
    try:
        publisher = ScenePublisher(node, args.seed, stop)
        publisher.wait_for_listeners(args.listeners)
        rounds = itertools.count() if args.repeat else range(1)
        for scene in (scene for _ in rounds for scene in args.scenes):
            published[scene.name] = publisher.publish(
                scene, args.frames, args.rate, args.points, args.patience
            )
    except StoppedError:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return published
