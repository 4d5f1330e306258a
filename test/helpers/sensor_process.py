"""A camera or a LiDAR in a process of its own: for each line on stdin, a stamp and a mood, it measures once.

So time goes as fast as the node can follow, and tests of time hold on any machine. Run as
`python sensor_process.py camera|lidar FOLDER`, with what `write_world` left in the folder.
"""

import sys
from collections import deque
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.ros.messages.camera_info import message_from_camera
from e2e_depth_ros.ros.messages.clouds import allocate_cloud
from e2e_depth_ros.ros.messages.images import message_from_array

CLOCK_ERRORS_NS = {"ahead": 30 * 10**9, "behind": -30 * 10**9}
LATE_SCANS = 4
NOISE = 0.01  # of range


def write_world(folder, *, image=None, intrinsics=None, points_m=None):
    """Leave for the processes what they show: an image (H, W, 3), K, points (N, 3) in the LiDAR's frame."""
    for name, value in (("image", image), ("intrinsics", intrinsics), ("points_m", points_m)):
        if value is not None:
            np.save(Path(folder) / f"{name}.npy", value)


def header(frame_id, stamp_ns):
    sec, nanosec = divmod(stamp_ns, 10**9)
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)


class CameraDriver:
    """Shows the same scene again and again, through a sensor with noise."""

    def __init__(self, node, folder, qos):
        image = np.load(folder / "image.npy")
        draw = np.random.default_rng(0)
        # From one to the next the noise is as new.
        self.images = [
            np.clip(np.rint(image + draw.normal(0, 1.0, image.shape)), 0, 255).astype(np.uint8)
            for _ in range(7)
        ]
        self.camera = Camera(image.shape[:2], np.load(folder / "intrinsics.npy"))
        self.publishers = [
            node.create_publisher(kind, topic, qos)
            for kind, topic in ((CameraInfo, "camera_info"), (Image, "image_raw"))
        ]
        self.count = 0

    def measure(self, stamp_ns, _):
        head = header("camera", stamp_ns)
        image = self.images[self.count % len(self.images)]
        self.count += 1
        self.publishers[0].publish(message_from_camera(self.camera, head))
        self.publishers[1].publish(message_from_array(image, "rgb8", head))


class LidarDriver:
    """Scans the scene, as its mood has it."""

    def __init__(self, node, folder, qos):
        self.points_m = np.load(folder / "points_m.npy")
        self.publisher = node.create_publisher(PointCloud2, "sparse_points", qos)
        self.draw = np.random.default_rng(0)
        self.waiting = deque()

    def measure(self, stamp_ns, mood):
        if mood == "stopped":
            self.waiting.clear()
            return
        ranges = self.draw.normal(1, NOISE, (len(self.points_m), 1))
        if mood == "lying":
            liars = self.draw.random(len(ranges)) < 0.3
            ranges[liars, 0] *= self.draw.uniform(0.3, 3.0, np.count_nonzero(liars))
        stamp_ns += CLOCK_ERRORS_NS.get(mood, 0)
        head = header("other_lidar" if mood == "elsewhere" else "lidar", stamp_ns)
        cloud, points = allocate_cloud(np.zeros((1, len(ranges), 3), np.uint8), head)
        points[0] = self.points_m * ranges
        self.waiting.append(cloud)
        while len(self.waiting) > (LATE_SCANS if mood == "late" else 0):
            self.publisher.publish(self.waiting.popleft())


def main(kind, folder):
    rclpy.init(args=[])
    node = rclpy.create_node(f"{kind}_driver")
    qos = QoSProfile(depth=2, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    driver = {"camera": CameraDriver, "lidar": LidarDriver}[kind](node, Path(folder), qos)
    for line in sys.stdin:
        stamp_ns, mood = line.split()
        driver.measure(int(stamp_ns), mood)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
