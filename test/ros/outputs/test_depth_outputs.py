"""Outputs are declared once; what follows from the declaration is tested where it is used."""

import subprocess
import sys

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.topics import MaskOutput, Topic
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, OUTPUTS, Output, need_alignment, tasks_for
from e2e_depth_ros.ros.outputs.products import Products

SIZE = (4, 6)


@pytest.mark.parametrize("topic", [topic for topics in OUTPUTS.values() for topic in topics], ids=str)
def test_every_image_has_an_encoding_and_nothing_else_has_one(topic):
    assert isinstance(topic, Topic)
    assert bool(topic.content) == (topic.message_type is Image)
    assert topic.meaning


def test_an_output_is_found_by_its_name():
    assert Output("points") is Output.POINTS
    assert MaskOutput("mask/image") is MaskOutput.MASK


def test_what_is_needed_is_no_more_than_what_is_asked_for():
    assert tasks_for({Output.DEPTH_INFO}) == set()
    assert tasks_for({Output.NORMALS, Output.STATUS}) == {Task.NORMALS, Task.DEPTH}
    assert tasks_for({Output.COLOR}) == {Task.DEPTH}
    assert [output for output in Output if need_alignment({output})] == [
        *(Output.DEPTH, Output.POINTS, Output.CONFIDENCE, Output.STATUS)
    ]
    assert {Output.DEPTH, Output.POINTS, Output.CONFIDENCE} == METRIC_OUTPUTS


def test_images_have_the_encoding_and_the_header_of_their_declaration():
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(SIZE)
    valid = np.ones(SIZE, np.bool_)
    view = FrameView(np.zeros((*SIZE, 3), np.uint8), Camera(SIZE, np.diag([5.0, 7.0, 1.0])))
    products = Products(
        Header(frame_id="camera"),
        view,
        relative=DepthMap(values, valid, DepthKind.AFFINE_INVARIANT),
        normals=NormalMap(np.zeros((*SIZE, 3), np.float32), valid),
    )
    for output, channels in ((Output.RELATIVE, 4), (Output.COLOR, 3), (Output.NORMALS, 12)):
        message = output.message(products, Parameters())
        assert (message.encoding, message.step, message.header) == (
            output.content,
            channels * SIZE[1],
            products.header,
        )
    for output in METRIC_OUTPUTS | {Output.STATUS}:
        assert output.message(products, Parameters()) is None


def test_the_node_is_there_before_torch():
    """Signals and parameters are heeded within moments; torch takes seconds and comes with the model."""
    nodes = "e2e_depth_ros.ros.nodes.depth_node, e2e_depth_ros.ros.nodes.mask_node"
    code = f"import sys, {nodes}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
