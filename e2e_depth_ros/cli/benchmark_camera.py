"""The camera and range sensor of `e2e-depth benchmark --dds`, in a process of their own. Needs ROS."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from e2e_depth_ros.cli.benchmark_image import camera_image
from e2e_depth_ros.cli.demo.publisher import cloud_from_points
from e2e_depth_ros.cli.node_timing import distorting_camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.running.stop_signals import StopSignals

_RATE_HZ: Final = 30.0


def show(size: tuple[int, int], points: Path, ros_arguments: list[str]) -> None:
    """Publish an image, its calibration and sparse points at the camera's rate, until a signal ends it.

    Args:
        size: (H, W) of the image.
        points: File (.npy) of (N, 3) points, metres, optical frame.
        ros_arguments: Say the namespace.
    """
    stop = StopSignals()
    image, camera, points_m = camera_image(size), distorting_camera(size), np.load(points)
    stop.heed_order()
    rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("camera")
    images = node.create_publisher(Image, "image_raw", 2)
    infos = node.create_publisher(CameraInfo, "camera_info", 2)
    clouds = node.create_publisher(PointCloud2, "sparse_points", 2)
    next_s = time.monotonic()
    while not stop.requested:
        header = Header(stamp=node.get_clock().now().to_msg(), frame_id="camera_optical_frame")
        clouds.publish(cloud_from_points(points_m, header))
        infos.publish(message_from_camera(camera, header))
        images.publish(message_from_array(image, "rgb8", header))
        next_s = max(next_s + 1 / _RATE_HZ, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    _height, _width, _points, *_ros_arguments = sys.argv[1:]
    show((int(_height), int(_width)), Path(_points), _ros_arguments)
