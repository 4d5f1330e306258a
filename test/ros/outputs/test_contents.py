"""What an output holds of what was computed, or nothing where it was not."""

import pytest

pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")

import numpy as np
from std_msgs.msg import Header

from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.messages.clouds import points_from_message
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.outputs.products import Products
from helpers.aligning import CAMERA, DEPTH_M, HEIGHT_M, down

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


def test_the_floor_of_the_cloud_is_laid_where_it_is_known_to_be():
    bent = (DEPTH_M * (1 + 0.04 * np.sin(2 * DEPTH_M))).astype(np.float32)
    depth = DepthMap(bent, np.ones(CAMERA.size, np.bool_), DepthKind.METRIC)
    alignment = Alignment(depth, 1.0, 0.0, AlignmentState.FRESH, "", "test")
    view = FrameView(np.zeros((*CAMERA.size, 3), np.uint8), CAMERA)
    plain, laid = (
        Output.POINTS.message(Products(Header(), view, alignment=alignment, ground=ground), Parameters())
        for ground in (None, GroundPlane(down(), HEIGHT_M))
    )
    heights = [np.abs(HEIGHT_M - points_from_message(cloud) @ down()) for cloud in (plain, laid)]
    near_floor = heights[0] < 0.1
    assert np.nanmedian(heights[0][near_floor]) > 0.01
    assert np.nanmedian(heights[1][near_floor]) < 1e-5
