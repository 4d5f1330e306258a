import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from rclpy.context import Context
from sensor_msgs.msg import CompressedImage, Image

from e2e_depth_ros.ros.messages.image_transport import transport_topic, transport_type


@pytest.fixture
def node_with():
    contexts, nodes = [], []

    def make(*remappings):
        context = Context()
        arguments = [part for remapping in remappings for part in ("-r", remapping)]
        rclpy.init(context=context)
        contexts.append(context)
        nodes.append(
            rclpy.create_node(
                "depth",
                namespace="robot",
                context=context,
                cli_args=["--ros-args", *arguments] if arguments else None,
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    for context in contexts:
        context.try_shutdown()


@pytest.mark.parametrize(
    ("remappings", "name", "transport", "topic"),
    [
        ((), "image_raw", "raw", "/robot/image_raw"),
        ((), "image_raw", "compressed", "/robot/image_raw/compressed"),
        (("image_raw:=/cam/color",), "image_raw", "raw", "/cam/color"),
        (("image_raw:=/cam/color",), "image_raw", "compressed", "/cam/color/compressed"),
        (("image_raw:=/cam/color/compressed",), "image_raw", "compressed", "/cam/color/compressed"),
        (("image_raw/compressed:=/jpeg",), "image_raw", "compressed", "/jpeg"),
        (("image_raw:=/a", "image_raw/compressed:=/jpeg"), "image_raw", "compressed", "/jpeg"),
        (("sparse_depth:=/tof/depth",), "sparse_depth", "compressedDepth", "/tof/depth/compressedDepth"),
        (("sparse_depth:=/t/compressedDepth",), "sparse_depth", "compressedDepth", "/t/compressedDepth"),
        (("sparse_depth:=/t/compressedDepth",), "sparse_depth", "raw", "/t/compressedDepth"),
    ],
)
def test_the_transport_goes_behind_the_remapped_name(node_with, remappings, name, transport, topic):
    assert transport_topic(node_with(*remappings), name, transport) == topic


def test_only_raw_is_an_image():
    assert [transport_type(name) for name in ("raw", "compressed", "compressedDepth")] == [
        Image,
        CompressedImage,
        CompressedImage,
    ]
