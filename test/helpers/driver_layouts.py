"""What drivers send, as tables: docs/drivers.md tells it to people, and where each fact was found.

Each row is tested in test_drivers.py, and over DDS in test_drivers_over_dds.py.
"""

from typing import Any, NamedTuple

import numpy as np

FLOAT, UINT8, UINT16, UINT32, DOUBLE = "f4", "u1", "u2", "u4", "f8"
NAN_FOR_NONE = (np.nan, np.nan, np.nan)
ZERO_FOR_NONE = (0.0, 0.0, 0.0)


class CloudLayout(NamedTuple):
    """How a driver lays out its points.

    Attributes:
        fields: Name, offset and type of all fields but x, y, z, which are FLOAT32 from byte 0 on.
        point_step: Bytes of a point.
        is_organised: Whether the rows of the sensor stay rows.
        none: What a direction without a return holds; None if such ones are left out.
        frame_id: The driver's default.
        is_optical: Whether that frame is optical; else x is forward, y left, z up.
    """

    fields: tuple[tuple[str, int, str], ...]
    point_step: int
    is_organised: bool
    none: tuple[float, float, float] | None
    frame_id: str
    is_optical: bool = False


RGB_AT_12 = (("rgb", 12, FLOAT),)
RGB_AT_16 = (("rgb", 16, FLOAT),)
RING_AND_TIME = (("intensity", 12, FLOAT), ("ring", 16, UINT16), ("time", 18, FLOAT))
RING_AND_TIMESTAMP = (("intensity", 12, FLOAT), ("ring", 16, UINT16), ("timestamp", 18, DOUBLE))
OUSTER = (
    ("intensity", 16, FLOAT),
    ("t", 20, UINT32),
    ("reflectivity", 24, UINT16),
    ("ring", 26, UINT16),
    ("ambient", 28, UINT16),
    ("range", 32, UINT32),
)
NEBULA = (
    ("intensity", 12, UINT8),
    ("return_type", 13, UINT8),
    ("channel", 14, UINT16),
    ("azimuth", 16, FLOAT),
    ("elevation", 20, FLOAT),
    ("distance", 24, FLOAT),
    ("time_stamp", 28, UINT32),
)
LIVOX = (("intensity", 12, FLOAT), ("tag", 16, UINT8), ("line", 17, UINT8), ("timestamp", 18, DOUBLE))

CLOUDS = {
    "velodyne, organised": CloudLayout(RING_AND_TIME, 22, True, NAN_FOR_NONE, "velodyne"),
    "velodyne": CloudLayout(RING_AND_TIME, 22, False, None, "velodyne"),
    "ouster": CloudLayout(OUSTER, 48, True, NAN_FOR_NONE, "os_lidar"),
    "livox_ros_driver2": CloudLayout(LIVOX, 26, False, None, "livox_frame"),
    "hesai": CloudLayout(RING_AND_TIMESTAMP, 26, False, None, "hesai_lidar"),
    "rslidar_sdk, XYZI": CloudLayout((("intensity", 12, FLOAT),), 16, True, NAN_FOR_NONE, "rslidar"),
    "rslidar_sdk, XYZIRT": CloudLayout(RING_AND_TIMESTAMP, 26, True, NAN_FOR_NONE, "rslidar"),
    "rslidar_sdk, XYZIRTF": CloudLayout(
        (*RING_AND_TIMESTAMP, ("feature", 26, UINT8)), 27, True, NAN_FOR_NONE, "rslidar"
    ),
    "nebula": CloudLayout(NEBULA, 32, False, None, "velodyne"),
    "realsense2_camera": CloudLayout(RGB_AT_16, 20, False, None, "camera_depth_optical_frame", True),
    "realsense2_camera, ordered": CloudLayout(
        RGB_AT_16, 20, True, ZERO_FOR_NONE, "camera_depth_optical_frame", True
    ),
    "OrbbecSDK_ROS2, ordered": CloudLayout((), 16, True, ZERO_FOR_NONE, "camera_depth_optical_frame", True),
    "OrbbecSDK_ROS2, coloured": CloudLayout(RGB_AT_16, 20, False, None, "camera_color_optical_frame", True),
    "zed_wrapper": CloudLayout(RGB_AT_12, 16, True, NAN_FOR_NONE, "zed_left_camera_frame"),
    "Isaac ROS": CloudLayout((), 12, False, None, "camera", True),
    "Isaac ROS, coloured": CloudLayout(RGB_AT_12, 16, True, NAN_FOR_NONE, "camera", True),
    "depth_image_proc, depthai_ros": CloudLayout(RGB_AT_16, 32, True, NAN_FOR_NONE, "camera", True),
    "pylon_ros2_camera, blaze": CloudLayout(RGB_AT_16, 32, True, ZERO_FOR_NONE, "pylon_camera", True),
    "rtabmap_ros": CloudLayout(RGB_AT_16, 32, False, None, "odom"),
    "open_vins": CloudLayout((), 16, False, None, "global"),
    "ORB_SLAM3": CloudLayout((), 12, False, None, "map"),
}


class ImageLayout(NamedTuple):
    """How a driver lays out its images.

    Attributes:
        encoding: As in the message.
        padding: Bytes after each row of the first plane.
        shift: How far samples of 12 bits are shifted up; None for samples of all bits.
        is_bigendian: What the message says; it matters for samples of more than one byte only.
        step_of_all_planes: Whether `step` counts the bytes of all planes, divided by the height.
    """

    encoding: str
    padding: int = 0
    shift: int | None = None
    is_bigendian: bool = False
    step_of_all_planes: bool = False


IMAGES = {
    "usb_cam, mjpeg2rgb or yuyv2rgb": ImageLayout("rgb8"),
    "usb_cam, yuyv": ImageLayout("yuv422_yuy2"),
    "usb_cam, uyvy": ImageLayout("yuv422"),
    "usb_cam, mono8": ImageLayout("mono8"),
    "usb_cam, mono16": ImageLayout("mono16"),
    "v4l2_camera": ImageLayout("rgb8"),
    "v4l2_camera, padded by the device": ImageLayout("yuv422_yuy2", padding=32),
    "realsense2_camera": ImageLayout("rgb8"),
    "realsense2_camera, infrared": ImageLayout("mono8"),
    "realsense2_camera, UYVY": ImageLayout("yuv422"),
    "zed_wrapper": ImageLayout("bgra8"),
    "zed_wrapper, padded": ImageLayout("bgra8", padding=64),
    "zed_wrapper, 24 bits": ImageLayout("bgr8"),
    "depthai_ros": ImageLayout("bgr8"),
    "depthai_ros, interleaved": ImageLayout("rgb8", is_bigendian=True),
    "depthai_ros, YUV420": ImageLayout("YUV420", is_bigendian=True, step_of_all_planes=True),
    "camera_ros, XRGB8888": ImageLayout("bgra8", padding=96),
    "camera_ros, RGB888": ImageLayout("bgr8", padding=24),
    "camera_ros, NV21": ImageLayout("nv21", padding=24),
    "camera_ros, NV24": ImageLayout("nv24"),
    "camera_ros, YUYV": ImageLayout("yuv422_yuy2", padding=16),
    "camera_ros, SGBRG8": ImageLayout("bayer_gbrg8", padding=8),
    "camera_ros, SRGGB16": ImageLayout("bayer_rggb16"),
    "OrbbecSDK_ROS2": ImageLayout("rgb8"),
    "OrbbecSDK_ROS2, BGRA": ImageLayout("bgra8"),
    "Isaac ROS": ImageLayout("rgb8"),
    "Isaac ROS, RGB16": ImageLayout("rgb16"),
    "gscam": ImageLayout("rgb8"),
    "gscam, yuv422": ImageLayout("yuv422"),
    "spinnaker_camera_driver": ImageLayout("bayer_rggb8", padding=4),
    "spinnaker_camera_driver, Mono16": ImageLayout("mono16"),
    "spinnaker_camera_driver, BayerBG16": ImageLayout("bayer_bggr16"),
    "pylon_ros2_camera": ImageLayout("bayer_grbg8"),
    "pylon_ros2_camera, Mono12": ImageLayout("mono16", shift=4),
    "pylon_ros2_camera, BayerRG12": ImageLayout("bayer_rggb16", shift=4),
    "pylon_ros2_camera, YUV422Packed": ImageLayout("yuv422"),
}


class DepthLayout(NamedTuple):
    """How a driver lays out depth that is registered to the image.

    Attributes:
        encoding: As in the message.
        none: What a pixel without a measurement holds.
    """

    encoding: str
    none: float


DEPTHS = {
    "realsense2_camera, aligned_depth_to_color": DepthLayout("16UC1", 0),
    "OrbbecSDK_ROS2, depth_registration": DepthLayout("16UC1", 0),
    "depthai_ros": DepthLayout("16UC1", 0),
    "zed_wrapper": DepthLayout("32FC1", np.nan),
    "zed_wrapper, OpenNI mode": DepthLayout("mono16", 0),
    "Isaac ROS": DepthLayout("32FC1", np.nan),
}


class CameraLayout(NamedTuple):
    """How a driver describes its lens.

    Attributes:
        distortion_model: As in the message.
        d: Its coefficients.
        bends: The function that they are of: "plumb_bob", "rational_polynomial", "equidistant" or None.
        changes: Other fields of the message, where they aren't as usual.
    """

    distortion_model: str
    d: tuple[float, ...]
    bends: str | None
    changes: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


LENS = (-0.28, 0.07, 0.0011, -0.0007, 0.012)
RATIONAL = (0.31, -0.12, 0.0011, -0.0007, 0.02, 0.61, -0.05, 0.003)
FISHEYE = (-0.021, 0.013, -0.004, 0.0009)
STEREO_R = (0.9998, 0.0, 0.02, 0.0, 1.0, 0.0, -0.02, 0.0, 0.9998)

CAMERAS = {
    "camera_info_manager, by ROS's calibrator": CameraLayout("plumb_bob", LENS, "plumb_bob"),
    "realsense2_camera": CameraLayout("plumb_bob", LENS, "plumb_bob"),
    "realsense2_camera, depth": CameraLayout("plumb_bob", (0.0,) * 5, None),
    "realsense2_camera, fisheye": CameraLayout("equidistant", FISHEYE, "equidistant"),
    "zed_wrapper, ZED": CameraLayout("plumb_bob", LENS, "plumb_bob"),
    "zed_wrapper, ZED 2 and X, raw": CameraLayout("rational_polynomial", RATIONAL, "rational_polynomial"),
    "zed_wrapper, rectified": CameraLayout("rational_polynomial", (0.0,) * 8, None),
    "zed_wrapper, ZED Mini": CameraLayout("equidistant", FISHEYE, "equidistant"),
    "depthai_ros": CameraLayout("rational_polynomial", RATIONAL, "rational_polynomial"),
    "depthai_ros, of a stereo pair": CameraLayout(
        "rational_polynomial",
        RATIONAL,
        "rational_polynomial",
        {"r": STEREO_R, "p": (60.0, 0.0, 30.0, -4.5, 0.0, 60.0, 25.0, 0.0, 0.0, 0.0, 1.0, 0.0)},
    ),
    "OrbbecSDK_ROS2": CameraLayout("plumb_bob", (*LENS, 0.0, 0.0, 0.0), "plumb_bob"),
    "OrbbecSDK_ROS2, K6": CameraLayout("plumb_bob", RATIONAL, "rational_polynomial"),
    "OrbbecSDK_ROS2, undistorted": CameraLayout("plumb_bob", (0.0,) * 8, None),
    "Isaac ROS, rational": CameraLayout("rational_polynomial", RATIONAL, "rational_polynomial"),
    "Isaac ROS, fisheye": CameraLayout("equidistant", (*FISHEYE, 0.0, 0.0, 0.0, 0.0), "equidistant"),
    "Isaac ROS, rectified": CameraLayout("plumb_bob", (0.0,) * 5, None),
    "pylon_ros2_camera, blaze": CameraLayout("plumb_bob", (0.0,) * 5, None),
}
NOT_CAMERAS = {
    "camera_info_manager, not calibrated": CameraLayout("", (), None, {"k": (0.0,) * 9, "p": (0.0,) * 12}),
    "OrbbecSDK_ROS2, fisheye": CameraLayout("equidistant", (-0.021, 0.013, 0, 0, -0.004, 0.0009, 0, 0), None),
}
