"""What an output holds of what was computed, or nothing where it was not."""

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")

import numpy as np
from std_msgs.msg import Header

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.outputs.products import Products

SIZE = (4, 6)


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
