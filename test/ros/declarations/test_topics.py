"""An output is declared once, with all that others need of it."""

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")

from sensor_msgs.msg import Image

from e2e_depth_ros.ros.declarations.topics import MaskOutput, Topic
from e2e_depth_ros.ros.outputs.depth_outputs import OUTPUTS, Output


@pytest.mark.parametrize("topic", [topic for topics in OUTPUTS.values() for topic in topics], ids=str)
def test_every_image_has_an_encoding_and_nothing_else_has_one(topic):
    assert isinstance(topic, Topic)
    assert bool(topic.content) == (topic.message_type is Image)
    assert topic.meaning


def test_an_output_is_found_by_its_name():
    assert Output("points") is Output.POINTS
    assert MaskOutput("mask/image") is MaskOutput.MASK
