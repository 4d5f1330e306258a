import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from sensor_msgs.msg import CompressedImage

from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from helpers.depth_packers import OFFSET, SCALE, compressed_depth, inverse, pack

ROOT = Path(__file__).resolve().parents[3]


def millimetres():
    depth = np.add.outer(np.arange(24), 40 * np.arange(32)).astype(np.uint16) + 700
    depth[4:9, 3:20] = 0
    return depth


def metres():
    depth = millimetres().astype(np.float32) / 1000
    depth[depth == 0] = np.nan
    return depth


@pytest.mark.parametrize("packing", ["png", "rvl"])
def test_millimetres_come_as_they_were_sent(packing):
    depth = depth_from_message(compressed_depth(millimetres(), packing))
    assert depth.dtype == np.uint16
    np.testing.assert_array_equal(depth, millimetres())


@pytest.mark.parametrize("packing", ["png", "rvl"])
def test_metres_come_within_the_quantisation(packing):
    depth_m = depth_from_message(compressed_depth(metres(), packing))
    assert depth_m.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(depth_m), np.isnan(metres()))
    # One step of inverse depth is depth^2 / scale.
    np.testing.assert_allclose(depth_m, metres(), atol=1.01 * np.nanmax(metres()) ** 2 / SCALE)


def test_metres_are_those_of_the_transport():
    values = inverse(metres())
    expected = np.where(values, SCALE / (values - OFFSET), np.nan)
    np.testing.assert_allclose(depth_from_message(compressed_depth(metres())), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["16UC1; compressedDepth", "16UC1", "mono16; compressedDepth png", "16UC1;compressedDepth png"]
)
def test_other_ways_to_name_it(name):
    message = compressed_depth(millimetres())
    message.format = name
    np.testing.assert_array_equal(depth_from_message(message), millimetres())


@pytest.mark.parametrize("name", ["16UC1; png compressed ", "mono16; png compressed ", "png", ""])
def test_a_png_by_the_transport_compressed(name):
    message = CompressedImage(format=name, data=pack(millimetres(), "png"))
    np.testing.assert_array_equal(depth_from_message(message), millimetres())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {
                "format": "16UC1; jpeg compressed mono8",
                "data": cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes(),
            },
            "data",
        ),
        ({"format": "32FC1; png compressed "}, "format"),
        ({"format": "32FC1; tiff compressed "}, "format"),
        ({"format": "bgr8; compressedDepth png"}, "format"),
        ({"format": "64FC1; compressedDepth png"}, "format"),
        ({"format": "; compressedDepth png"}, "format"),
        ({"format": "16UC1; compressedDepth qoi"}, "format"),
        ({"data": b""}, "data"),
        ({"data": bytes(12)}, "data"),
        ({"data": bytes(13)}, "data"),
        ({"data": bytes(12) + cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()}, "data"),
        ({"data": bytes(12) + cv2.imencode(".png", np.zeros((8, 8, 3), np.uint16))[1].tobytes()}, "data"),
        ({"data": bytes(12) + pack(millimetres(), "png")[:-30]}, "data"),
        ({"data": pack(millimetres(), "png")}, "data"),
    ],
)
def test_malformed_ones_are_refused_by_reason(change, reason):
    message = compressed_depth(millimetres())
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(RefusedMessageError, match="expected") as refusal:
        depth_from_message(message)
    assert refusal.value.reason == f"depth: compressed {reason}"


def test_a_png_that_is_called_rvl_is_refused():
    message = compressed_depth(millimetres())
    message.format = "16UC1; compressedDepth rvl"
    with pytest.raises(RefusedMessageError, match="depth: size"):
        depth_from_message(message)


@pytest.mark.parametrize("size", [(60000, 60000), (2**32 - 1, 2**32 - 1), (0, 5), (5, 0)])
def test_the_size_of_rvl_is_checked_before_memory_is_taken(size):
    data = bytes(12) + struct.pack("<II", *size) + bytes(64)
    with pytest.raises(RefusedMessageError, match=f"got height {size[1]} and width {size[0]}") as refusal:
        depth_from_message(CompressedImage(format="16UC1; compressedDepth rvl", data=data))
    assert refusal.value.reason == "depth: size"


@pytest.mark.parametrize(
    "quantisation", [(float("nan"), 0.0), (float("inf"), 0.0), (0.0, 0.0), (-3.0, 1.0), (5.0, float("nan"))]
)
def test_a_quantisation_that_gives_no_metres_is_refused(quantisation):
    data = struct.pack("<iff", 0, *quantisation) + pack(millimetres(), "png")
    with pytest.raises(RefusedMessageError, match="finite quantisation"):
        depth_from_message(CompressedImage(format="32FC1; compressedDepth png", data=data))


def test_what_is_behind_the_quantisation_is_no_measurement():
    values = np.array([[0, 99, 100, 101]], np.uint16)  # 100 is infinitely far, 99 beyond
    data = struct.pack("<iff", 0, 50.0, 100.0) + pack(values, "png")
    depth_m = depth_from_message(CompressedImage(format="32FC1; compressedDepth png", data=data))
    np.testing.assert_array_equal(depth_m, np.array([[np.nan, np.nan, np.nan, 50.0]], np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mosaic_in_a_png_becomes_colours(dtype):
    full = np.iinfo(dtype).max // 255
    mosaic = np.full((8, 12), 120 * full, dtype)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 200 * full, 40 * full
    data = cv2.imencode(".png", mosaic)[1].tobytes()
    name = f"bayer_rggb{8 * dtype().itemsize}; png compressed "
    rgb = rgb_from_message(CompressedImage(format=name, data=data))
    np.testing.assert_array_equal(rgb[3, 5], [200, 120, 40])


def test_a_mosaic_in_a_jpeg_was_made_grey_by_its_sender():
    data = cv2.imencode(".jpg", np.full((16, 16), 90, np.uint8))[1].tobytes()
    rgb = rgb_from_message(CompressedImage(format="bayer_rggb8; jpeg compressed mono8", data=data))
    np.testing.assert_array_equal(rgb, np.full((16, 16, 3), 90))


def test_depth_in_a_png_is_no_image():
    """It would be a nearly black one, of which a network makes a room."""
    data = cv2.imencode(".png", np.full((8, 12), 1500, np.uint16))[1].tobytes()
    with pytest.raises(RefusedMessageError, match=r"image: encoding: .*got '16UC1'; that is depth in milli"):
        rgb_from_message(CompressedImage(format="16UC1; png compressed ", data=data))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_png_becomes_rgb(dtype, channels):
    full = np.iinfo(dtype).max // 255
    colour = np.array([40, 120, 200, 255][:channels], dtype) * dtype(full)  # BGRA
    image = np.broadcast_to(colour, (5, 6, channels)).copy()
    data = cv2.imencode(".png", image[..., 0] if channels == 1 else image)[1].tobytes()
    rgb = rgb_from_message(CompressedImage(format="png", data=data))
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb[2, 3], [40] * 3 if channels == 1 else [200, 120, 40])


DETONATE = """
import json, resource, sys, time
from sensor_msgs.msg import CompressedImage
from e2e_depth_ros.ros.messages.images import depth_from_message, rgb_from_message
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
data = sys.stdin.buffer.read()
told = {}
for name, read, prefix, kind in (
    ("image", rgb_from_message, b"", "png"),
    ("depth", depth_from_message, bytes(12), "16UC1; compressedDepth png"),
):
    message = CompressedImage(format=kind, data=prefix + data)
    before_mb, begun_s = peak_mb(), time.process_time()
    try:
        outcome = str(read(message).shape)
    except RefusedMessageError as refusal:
        outcome = str(refusal)
    told[name] = outcome, time.process_time() - begun_s, peak_mb() - before_mb
print(json.dumps(told))
"""


def test_a_legal_png_that_is_too_large_is_refused_by_its_head():
    data = cv2.imencode(".png", np.zeros((8192, 8192), np.uint16))[1].tobytes()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", DETONATE], input=data, capture_output=True, check=True, env=environment
    )
    for name, (outcome, took_s, more_mb) in json.loads(run.stdout).items():
        assert outcome.startswith(f"{name}: size: ")
        assert "max_image_pixels = 25000000 " in outcome
        assert outcome.count("8192") == 2
        assert took_s < 0.5
        assert more_mb < 20
