"""Each row of the driver table: messages of that layout are read, and give what went in."""

import re

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import CompressedImage

from e2e_depth_ros.alignment.samples import samples_from_depth, samples_from_points
from e2e_depth_ros.core.rectifier import Rectifier
from e2e_depth_ros.ros.messages.camera_info import camera_from_message
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from helpers.driver_layouts import CAMERAS, CLOUDS, DEPTHS, IMAGES, NOT_CAMERAS
from helpers.driver_messages import (
    BLOCK,
    K,
    bent,
    blocks,
    camera_message,
    cloud_message,
    depth_message,
    image_message,
)
from helpers.robot import ROOT

SIZE = (24, 40)
# The poses of frames whose x is forward, y left and z up; and of optical ones.
OPTICAL_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def points_ahead(layout, size=(6, 11)):
    """Points that a camera sees, (rows, columns, 3), in the layout's frame; some without a return."""
    rng = np.random.default_rng(1)
    u, v = rng.uniform(5, 55, size), rng.uniform(5, 40, size)
    z = rng.uniform(2, 5, size)
    points = np.stack([(u - K[2]) / K[0] * z, (v - K[5]) / K[4] * z, z], axis=-1)
    if not layout.is_optical:
        points = points @ OPTICAL_FROM_BODY[:3, :3]  # the transpose of its inverse
    if layout.none is not None:
        points[1, 3] = points[4, 7:] = layout.none
    return points.astype(np.float32)


@pytest.mark.parametrize("layout", CLOUDS.values(), ids=CLOUDS)
def test_points(layout):
    points = points_ahead(layout)
    message = cloud_message(layout, points)
    np.testing.assert_array_equal(points_from_message(message), points.reshape(-1, 3))


@pytest.mark.parametrize("layout", CLOUDS.values(), ids=CLOUDS)
def test_samples_of_points(layout):
    """What has no return is no sample, also where the sensor itself is in the picture."""
    points = points_ahead(layout)
    camera = camera_from_message(camera_message(CAMERAS["Isaac ROS, rectified"], (48, 64)))
    pose = np.eye(4) if layout.is_optical else OPTICAL_FROM_BODY.copy()
    pose[2, 3] = 0.5  # the sensor sits in front of the camera
    read = points_from_message(cloud_message(layout, points))
    samples = samples_from_points(read, pose, camera, cull_occluded=False)
    measured = np.isfinite(points).all(axis=-1) & (points != 0).any(axis=-1)
    depth = points[..., 2] if layout.is_optical else points[..., 0]
    assert measured.sum() < points[..., 0].size or layout.none is None
    np.testing.assert_allclose(np.sort(samples.depth_m), np.sort(depth[measured] + 0.5), rtol=1e-6)


@pytest.mark.parametrize("layout", IMAGES.values(), ids=IMAGES)
def test_images(layout):
    rgb = blocks(SIZE)
    read = rgb_from_message(image_message(layout, rgb)).astype(int)
    assert read.shape == (*SIZE, 3)
    expected = rgb.astype(int)
    if layout.encoding.startswith("mono"):
        expected = expected[..., :1].repeat(3, axis=-1)
    tolerance = 0
    if "yuv" in layout.encoding.lower() or layout.encoding.startswith("nv"):
        tolerance = 4  # three roundings to 8 bits on the way there and back
    elif layout.shift is not None:
        tolerance = 1  # 12 bits in 16 lack the lowest four
    inner = np.ones(SIZE, bool)
    if layout.encoding.startswith("bayer"):  # it looks at the neighbours
        row, column = (np.arange(length) % BLOCK for length in SIZE)
        inner = ((row > 1) & (row < BLOCK - 2))[:, None] & ((column > 1) & (column < BLOCK - 2))
    assert np.abs(read - expected)[inner].max() <= tolerance


@pytest.mark.parametrize("rest", ["nothing", "zeros", "the tail of the frame before"])
def test_jpeg_in_the_buffer_that_it_came_in(rest):
    """usb_cam publishes the whole buffer of a camera's MJPEG: behind the image lies what was there before."""
    rgb = blocks(SIZE)
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    before = cv2.imencode(".jpg", blocks(SIZE, seed=1)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[
        1
    ].tobytes()
    assert len(before) > len(jpeg) + 40
    behind = {"nothing": b"", "zeros": bytes(2000), "the tail of the frame before": before[len(jpeg) :]}[rest]
    read = rgb_from_message(CompressedImage(format="jpeg", data=jpeg + behind))
    np.testing.assert_array_equal(read, cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)[..., ::-1])


@pytest.mark.parametrize("layout", DEPTHS.values(), ids=DEPTHS)
def test_depth(layout):
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    depth_m = 2 + 0.003 * row + 0.007 * column
    depth_m[3, 5:9] = depth_m[10:, 31] = np.nan
    samples = samples_from_depth(depth_from_message(depth_message(layout, depth_m)), SIZE)
    assert len(samples.depth_m) == np.isfinite(depth_m).sum()
    row, column = np.rint(samples.v_px).astype(int), np.rint(samples.u_px).astype(int)
    np.testing.assert_allclose(samples.depth_m, depth_m[row, column], rtol=1e-6)


@pytest.mark.parametrize("layout", CAMERAS.values(), ids=CAMERAS)
def test_cameras(layout):
    camera = camera_from_message(camera_message(layout, (48, 64)), (48, 64))
    x, y = np.array([[-0.4, -0.2], [0.1, 0.3], [0.35, -0.3]]).T
    u, v = camera.project(np.stack([2 * x, 2 * y, np.full_like(x, 2)], axis=-1))
    bent_x, bent_y = bent(layout, x, y)
    np.testing.assert_allclose(u, K[0] * bent_x + K[2], rtol=1e-9)
    np.testing.assert_allclose(v, K[4] * bent_y + K[5], rtol=1e-9)
    assert camera.is_distorted == (layout.bends is not None)
    assert Rectifier(camera).camera.size == (48, 64)


@pytest.mark.parametrize("layout", NOT_CAMERAS.values(), ids=NOT_CAMERAS)
def test_what_describes_no_camera_is_refused(layout):
    with pytest.raises(RefusedMessageError, match="expected"):
        camera_from_message(camera_message(layout, (48, 64)), (48, 64))


def test_launch_lines_of_the_page():
    """Every argument that docs/drivers.md gives to our launch file is one."""
    page = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"ros2 launch e2e_depth_ros depth\.launch\.py(.*)", page)
    assert len(lines) >= 15
    launch = (ROOT / "launch" / "depth.launch.py").read_text(encoding="utf-8")
    declared = set(re.findall(r'^    "(\w+)": ', launch, re.MULTILINE))
    given = {name for line in lines for name in re.findall(r"(\w+):=", line)}
    assert {"image", "camera_info"} <= given <= declared


def test_every_layout_is_on_the_page():
    page = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
    for tables in (IMAGES, CLOUDS, DEPTHS, CAMERAS):
        for name in tables:
            assert name.split(",")[0] in page, name
