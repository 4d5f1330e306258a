"""Robots of known drivers, one after the other, before one node: with their layouts and their QoS."""

from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from e2e_depth_ros.ros.messages.images import depth_from_message
from e2e_depth_ros.ros.messages.stamps import stamp_ns
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.driver_layouts import CAMERAS, CLOUDS, DEPTHS, IMAGES
from helpers.driver_messages import K, blocks, camera_message, cloud_message, depth_message, image_message
from helpers.robot import NodeProcess, set_parameter, until

SIZE = (48, 64)
NEAR_M, FAR_M = 2.0, 4.6

RELIABLE = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
SENSOR_DATA = qos_profile_sensor_data
LATCHED = QoSProfile(
    depth=1,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)
# The sensor 10 cm above the camera: its x forward, y left, z up; or as the camera's.
BODY_EXTRINSICS = [0.0, -0.1, 0.0, 0.5, -0.5, 0.5, 0.5]
OPTICAL_EXTRINSICS = [0.0, -0.1, 0.0, 0.0, 0.0, 0.0, 1.0]

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


class RobotOf(NamedTuple):
    """The drivers of a robot, by the names of driver_layouts.py, and their QoS."""

    image: str
    camera: str
    cloud: str = ""
    depth: str = ""
    image_qos: QoSProfile = RELIABLE
    info_qos: QoSProfile = RELIABLE
    sensor_qos: QoSProfile = RELIABLE


CALIBRATED = "camera_info_manager, by ROS's calibrator"
ROBOTS = [
    RobotOf("usb_cam, yuyv", CALIBRATED, "velodyne, organised"),
    RobotOf("usb_cam, mjpeg2rgb or yuyv2rgb", CALIBRATED, "velodyne", info_qos=LATCHED),
    RobotOf(
        "v4l2_camera, padded by the device",
        CALIBRATED,
        "ouster",
        image_qos=SENSOR_DATA,
        info_qos=SENSOR_DATA,
        sensor_qos=SENSOR_DATA,
    ),
    RobotOf("camera_ros, XRGB8888", CALIBRATED, "livox_ros_driver2"),
    RobotOf("camera_ros, NV21", CALIBRATED, "hesai"),
    RobotOf("gscam, yuv422", CALIBRATED, "rslidar_sdk, XYZIRTF", image_qos=SENSOR_DATA, info_qos=SENSOR_DATA),
    RobotOf("spinnaker_camera_driver", CALIBRATED, "nebula", sensor_qos=SENSOR_DATA),
    RobotOf("pylon_ros2_camera, Mono12", CALIBRATED, "pylon_ros2_camera, blaze"),
    RobotOf("realsense2_camera", "realsense2_camera", "realsense2_camera, ordered"),
    RobotOf("realsense2_camera", "realsense2_camera", depth="realsense2_camera, aligned_depth_to_color"),
    RobotOf("OrbbecSDK_ROS2", "OrbbecSDK_ROS2", "OrbbecSDK_ROS2, coloured"),
    RobotOf("OrbbecSDK_ROS2", "OrbbecSDK_ROS2, K6", depth="OrbbecSDK_ROS2, depth_registration"),
    RobotOf("zed_wrapper, padded", "zed_wrapper, rectified", "zed_wrapper"),
    RobotOf("zed_wrapper", "zed_wrapper, ZED 2 and X, raw", depth="zed_wrapper"),
    RobotOf("zed_wrapper", "zed_wrapper, rectified", depth="zed_wrapper, OpenNI mode"),
    RobotOf("depthai_ros, YUV420", "depthai_ros", "depth_image_proc, depthai_ros"),
    RobotOf("depthai_ros", "depthai_ros", depth="depthai_ros"),
    RobotOf("Isaac ROS", "Isaac ROS, fisheye", "Isaac ROS"),
    RobotOf("Isaac ROS", "Isaac ROS, rectified", depth="Isaac ROS"),
    RobotOf("usb_cam, mono8", CALIBRATED, "rtabmap_ros"),
    RobotOf("usb_cam, uyvy", CALIBRATED, "open_vins"),
    RobotOf("v4l2_camera", CALIBRATED, "ORB_SLAM3"),
]


@pytest.fixture(scope="module")
def node(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {"model": model_folder, "processing_resolution": "32", "fresh_duration": 5.0}
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.output


def scene_points(layout):
    """Points of a slope before the camera, as the sensor 10 cm above it has them."""
    v, u = np.mgrid[2:46:15j, 2:62:20j]
    z = np.linspace(NEAR_M, FAR_M, v.size).reshape(v.shape)
    points = np.stack([(u - K[2]) / K[0] * z, (v - K[5]) / K[4] * z + 0.1, z], axis=-1)
    if not layout.is_optical:
        points = points[..., [2, 0, 1]] * [1, -1, -1]
    if layout.none is not None:
        points[3, 4:9] = layout.none
    return points


class Drivers:
    """Publishes what the drivers of a robot do."""

    def __init__(self, robot, of):
        self.robot, self.of = robot, of
        topics = [
            (Image, "image_raw", of.image_qos),
            (CameraInfo, "camera_info", of.info_qos),
            (PointCloud2, "sparse_points", of.sensor_qos),
            (Image, "sparse_depth", of.sensor_qos),
        ]
        self.publishers = {name: robot.node.create_publisher(kind, name, qos) for kind, name, qos in topics}
        self.stamps_ns = set()
        self.is_described = False

    def send(self):
        """Publish one frame."""
        header = self.robot.header()
        self.stamps_ns.add(stamp_ns(header))
        # What is latched is sent once.
        if self.of.info_qos is not LATCHED or not self.is_described:
            info = camera_message(CAMERAS[self.of.camera], SIZE, header)
            self.publishers["camera_info"].publish(info)
            self.is_described = True
        if self.of.cloud:
            layout = CLOUDS[self.of.cloud]
            there = Header(stamp=header.stamp, frame_id=layout.frame_id)
            cloud = cloud_message(layout, scene_points(layout), there)
            self.publishers["sparse_points"].publish(cloud)
        if self.of.depth:
            depth_m = NEAR_M + (FAR_M - NEAR_M) * np.mgrid[: SIZE[0], : SIZE[1]][0] / SIZE[0]
            depth_m[5, 7:12] = np.nan
            self.publishers["sparse_depth"].publish(depth_message(DEPTHS[self.of.depth], depth_m, header))
        self.publishers["image_raw"].publish(image_message(IMAGES[self.of.image], blocks(SIZE), header))
        self.robot.spin(0.1)

    def close(self):
        for publisher in self.publishers.values():
            self.robot.node.destroy_publisher(publisher)


@pytest.mark.parametrize("of", ROBOTS, ids=lambda of: f"{of.image} - {of.cloud or of.depth}")
def test_metric_depth_of_a_robot(node, robot, of):
    optical = bool(of.cloud) and CLOUDS[of.cloud].is_optical
    assert set_parameter(
        robot, "sparse_extrinsics", OPTICAL_EXTRINSICS if optical else BODY_EXTRINSICS
    ).successful
    assert robot.call(Trigger, "/depth/reset_alignment").success
    robot.listen(Output.DEPTH, Output.RELATIVE, Output.STATUS)
    drivers = Drivers(robot, of)

    def told():
        """The last status of one of these frames that is of their samples."""
        for status in reversed(robot.received.get(Output.STATUS, [])):
            values = {entry.key: entry.value for entry in status.values}
            if int(values.get("samples_used", 0)):
                return values
        return {}

    def is_metric():
        depths = robot.received.get(Output.DEPTH, [])
        return bool(told()) and any(stamp_ns(depth.header) in drivers.stamps_ns for depth in depths)

    try:
        assert until(is_metric, 60, drivers.send), f"{robot.frames()}\n{node.output}"
    finally:
        drivers.close()
    depth = depth_from_message(robot.received[Output.DEPTH][-1])
    assert depth.shape == SIZE
    # The network is random: it can't tell more than that the scene is as far as the sensor says.
    assert NEAR_M < np.nanmedian(depth) < FAR_M
    assert told()["source"] == ("sparse_points" if of.cloud else "sparse_depth")
    assert int(told()["samples_used"]) > 100
