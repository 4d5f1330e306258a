"""All inputs of a node, and others of its name, found out in a real graph."""

import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image, LaserScan, PointCloud2

from e2e_depth_ros.ros.telling.surroundings import Surroundings
from helpers.robot import until

RELIABLE = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)


def wait():
    time.sleep(0.02)


def test_surroundings_tell_faults_and_namesakes(context, node, driver):
    surroundings = Surroundings(node)
    surroundings.ear("image", "/scene", Image, RELIABLE).hears()
    surroundings.ear("sparse_points", "/scan", PointCloud2, RELIABLE)
    surroundings.ear("sparse_depth", "/nothing", Image, RELIABLE)

    def status():
        surroundings.look()
        status = surroundings.status("front/listener")
        return status.level, status.message, {entry.key: entry.value for entry in status.values}

    level, message, values = status()
    assert (level, message) == (DiagnosticStatus.OK, "silent: sparse_points, sparse_depth")
    assert values["image"] == "1 messages on /scene"
    assert "/nothing" in values["sparse_depth"]
    driver.create_publisher(LaserScan, "/scan", RELIABLE)
    assert until(lambda: "LaserScan, expected sensor_msgs/msg/PointCloud2" in status()[1], 20, wait)
    assert status()[0] == DiagnosticStatus.WARN
    assert surroundings.silence("sparse_points").startswith("no sparse_points on /scan: /front/camera/driver")
    namesake = rclpy.create_node("listener", namespace="/front", context=context)
    assert until(lambda: "2 nodes are named /front/listener" in status()[1], 20, wait)
    namesake.destroy_node()
    assert until(lambda: "named" not in status()[1], 60, wait)
    surroundings.forget_inputs()
    assert status()[:2] == (DiagnosticStatus.OK, "not active: no inputs")
    assert not surroundings.silences
