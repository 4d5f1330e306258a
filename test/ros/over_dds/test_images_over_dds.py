"""What drivers and strangers send as images, to real nodes: it is read, or refused and counted."""

import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import CompressedImage, Image

from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.depth_packers import compressed_depth
from helpers.robot import NodeProcess, picture

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]

SIZE = 48, 64


def start(model, folder, **parameters):
    process = NodeProcess(folder / "log", {"model": model, "processing_resolution": "32", **parameters})
    process.wait_until_ready()
    return process


@pytest.fixture(scope="module")
def node(tiny_checkpoint, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    folder = tmp_path_factory.mktemp("raw")
    process = start(tiny_checkpoint("e2e_ft_depth"), folder, sparse_depth_transport="compressedDepth")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def compressed_node(tiny_checkpoint, robot, node, tmp_path_factory):  # noqa: ARG001
    node.stop()  # both are called depth
    folder = tmp_path_factory.mktemp("compressed")
    process = start(tiny_checkpoint("e2e_ft_depth"), folder, image_transport="compressed")
    yield process
    process.stop()


def send(robot, message, topic="image_raw"):
    message.header = robot.header()
    robot.publishers[topic].publish(message)
    robot.spin(0.1)


def published(robot, make, topic="image_raw", timeout_s=30):
    """Send messages until one more output came of them."""
    before = len(robot.received.get(Output.RELATIVE, []))
    end = time.monotonic() + timeout_s
    while len(robot.received.get(Output.RELATIVE, [])) == before:
        if time.monotonic() > end:
            return False
        send(robot, make(), topic)
    return True


def refused(robot, reason, make, topic="image_raw", timeout_s=30):
    """Send messages until one more refusal for that reason was counted."""
    before = robot.refused(reason)
    end = time.monotonic() + timeout_s
    while robot.refused(reason) == before:
        if time.monotonic() > end:
            return False
        send(robot, make(), topic)
    return True


def nv12(step):
    height, width = SIZE
    luma = picture(SIZE)[..., 0]
    colour = np.full((height // 2, width), 128, np.uint8)
    rows = np.pad(np.concatenate([luma, colour]), ((0, 0), (0, step - width)))
    return Image(height=height, width=width, encoding="nv12", step=step, data=rows.tobytes())


def image(values, encoding):
    return message_from_array(values, encoding, Image().header)


def test_planes_are_read_and_floats_refused(node, robot):
    robot.listen(Output.RELATIVE)
    assert published(robot, lambda: nv12(SIZE[1])), node.output
    assert published(robot, lambda: nv12(SIZE[1] + 64)), node.output
    floats = picture(SIZE).astype(np.float32) / 255
    assert refused(robot, "image: encoding", lambda: image(floats, "32FC3")), node.output
    assert "got '32FC3'" in robot.frames()["last_refusal"]
    robot.received.clear()
    send(robot, image(floats, "32FC3"))
    assert Output.RELATIVE not in robot.received
    assert published(robot, lambda: nv12(SIZE[1])), node.output


def test_the_bits_in_use_are_told(node, robot):
    robot.listen(Output.RELATIVE)
    twelve = picture(SIZE)[..., 0].astype(np.uint16) * 16
    assert published(robot, lambda: image(twelve, "mono16")), node.output

    def told():
        return robot.statuses.get("depth: image", (None, "", {}))

    end = time.monotonic() + 30
    while "mono16" not in told()[1] and time.monotonic() < end:
        send(robot, image(twelve, "mono16"))
    assert told()[1] == "'mono16', 64 x 48, 12 of 16 bits in use"
    assert told()[2]["significant_bits"] == "12"


@pytest.mark.parametrize("packing", ["png", "rvl"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_compressed_depth_gives_metres(node, robot, dtype, packing):
    publisher = robot.node.create_publisher(CompressedImage, "sparse_depth/compressedDepth", 5)
    robot.listen(Output.DEPTH, Output.STATUS)
    metres = 2 + picture(SIZE)[..., 0].astype(np.float32) / 100
    depth = metres if dtype == np.float32 else (1000 * metres).astype(np.uint16)

    def step():
        header = robot.header()
        publisher.publish(compressed_depth(depth, packing, header))
        robot.send_frame(SIZE, header=header)
        robot.spin(0.1)

    end = time.monotonic() + 60
    while Output.DEPTH not in robot.received and time.monotonic() < end:
        step()
    robot.node.destroy_publisher(publisher)
    assert Output.DEPTH in robot.received, f"{robot.frames()}\n{node.output}"
    # The network is random: it can't tell more than that the scene is between 2 and 4.6 m away.
    assert 2 < np.median(depth_from_message(robot.received[Output.DEPTH][-1])) < 4.6
    told = {entry.key: entry.value for entry in robot.received[Output.STATUS][-1].values}
    assert told["source"] == "sparse_depth"
    assert int(told["samples_used"]) > 1000


def test_broken_compressed_depth_is_counted(node, robot):
    publisher = robot.node.create_publisher(CompressedImage, "sparse_depth/compressedDepth", 5)
    robot.listen(Output.DEPTH)
    before = robot.refused("depth: compressed data")
    end = time.monotonic() + 30
    while robot.refused("depth: compressed data") == before and time.monotonic() < end:
        header = robot.header()
        message = compressed_depth(np.full(SIZE, 900, np.uint16), "rvl", header)
        message.data = message.data[:24]
        publisher.publish(message)
        robot.send_frame(SIZE, header=header)
        robot.spin(0.1)
    robot.node.destroy_publisher(publisher)
    assert robot.refused("depth: compressed data") > before, node.output
    assert "truncated" in robot.frames()["last_refusal"]


def test_half_a_jpeg_is_counted_and_fill_bytes_are_read(compressed_node, robot):
    topic = "image_raw/compressed"
    robot.listen(Output.RELATIVE)
    data = cv2.imencode(".jpg", picture(SIZE))[1].tobytes()
    filled = data[:2] + b"\xff\xff" + data[2:]
    half = data[: len(data) // 2] + bytes(len(data))
    message = compressed_node.output
    assert published(robot, lambda: CompressedImage(format="jpeg", data=filled), topic), message
    assert refused(robot, "image: compressed data", lambda: CompressedImage(format="jpeg", data=half), topic)
    assert "truncated" in robot.frames()["last_refusal"]
    assert published(robot, lambda: CompressedImage(format="jpeg", data=data), topic)


def test_a_png_of_67_megapixels_does_not_silence_the_node(compressed_node, robot):
    topic = "image_raw/compressed"
    robot.listen(Output.RELATIVE)
    data = cv2.imencode(".png", np.zeros((8192, 8192), np.uint8))[1].tobytes()
    small = cv2.imencode(".png", picture(SIZE))[1].tobytes()
    assert refused(robot, "image: size", lambda: CompressedImage(format="png", data=data), topic)
    assert (
        "max_image_pixels = 25000000 pixels, got height 8192 and width 8192" in robot.frames()["last_refusal"]
    )
    assert published(robot, lambda: CompressedImage(format="png", data=small), topic), compressed_node.output
    assert compressed_node.popen.poll() is None
