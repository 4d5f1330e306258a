"""Which topic the nodes listen to for images, whatever the remapping."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rclpy.parameter import Parameter

from e2e_depth_ros.ros.nodes.depth_node import DepthNode
from e2e_depth_ros.ros.nodes.mask_node import MaskNode


def image_topic(context, kind, transport, *remaps):
    rules = [word for remap in remaps for word in ("-r", remap)]
    node = kind(
        context=context,
        cli_args=["--ros-args", *rules],
        parameter_overrides=[
            Parameter("image_transport", value=transport),
            Parameter("niceness", value=0),
        ],
    )
    try:
        return node._image_topic()
    finally:
        node.destroy_node()


@pytest.mark.parametrize("kind", [DepthNode, MaskNode])
@pytest.mark.parametrize(
    ("transport", "remaps", "topic"),
    [
        ("raw", (), "/image_raw"),
        ("raw", ("image_raw:=/cam/image",), "/cam/image"),
        ("raw", ("__ns:=/front", "image_raw:=cam/image"), "/front/cam/image"),
        ("compressed", (), "/image_raw/compressed"),
        ("compressed", ("__ns:=/front",), "/front/image_raw/compressed"),
        ("compressed", ("image_raw:=/cam/image",), "/cam/image/compressed"),
        ("compressed", ("image_raw:=/cam/image/compressed",), "/cam/image/compressed"),
        ("compressed", ("__ns:=/front", "image_raw:=cam/compressed"), "/front/cam/compressed"),
        ("compressed", ("image_raw/compressed:=/jpeg",), "/jpeg"),
        ("compressed", ("image_raw:=/cam/image/compressed", "image_raw/compressed:=/jpeg"), "/jpeg"),
        ("compressed", ("image_raw:=/uncompressed",), "/uncompressed/compressed"),
    ],
)
def test_image_topic(context, kind, transport, remaps, topic):
    assert image_topic(context, kind, transport, *remaps) == topic
