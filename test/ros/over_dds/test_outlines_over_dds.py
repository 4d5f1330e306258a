"""Depth jumps where the image does, from a node that is told so: with the embedded model, over DDS."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from e2e_depth_ros.ros.messages.images import depth_from_message, message_from_array
from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, until

pytestmark = pytest.mark.timeout(600)

SIZE = 480, 640
LEFT = 224
"""Column where the box begins."""


def box_on_a_floor():
    """A brown box before a gray wall, (H, W, 3)."""
    height, width = SIZE
    image = np.broadcast_to(np.linspace(200, 140, height)[:, None, None], (*SIZE, 3)).copy()
    image[336:] = (120, 110, 100)
    image[144:408, LEFT : width * 2 // 3] = (150, 60, 40)
    return np.clip(image + np.random.default_rng(0).normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def share_of_the_largest_step(relative):
    """Of the way from wall to box, 20 pixels on both sides of its left edge, at half its height."""
    row = relative[264, LEFT - 20 : LEFT + 20]
    return np.abs(np.diff(row)).max() / (row[0] - row[-1])


@pytest.mark.parametrize(("upsampling", "is_sharp"), [("auto", True), ("bilinear", False)])
def test_relative_depth_has_a_sharp_outline(robot, tmp_path, upsampling, is_sharp):
    process = NodeProcess(tmp_path / "log", {"model": "embedded", "upsampling": upsampling})
    try:
        process.wait_until_ready()
        robot.listen()  # what is still queued is of the other node
        robot.spin(0.5)
        robot.statuses.clear()
        robot.listen(Output.RELATIVE)

        def step():
            robot.publishers["image_raw"].publish(
                message_from_array(box_on_a_floor(), "rgb8", robot.header())
            )
            robot.spin(0.2)

        assert until(lambda: Output.RELATIVE in robot.received, 120, step), process.output
        relative = depth_from_message(robot.received[Output.RELATIVE][-1])
        assert relative.shape == SIZE
        step_share = share_of_the_largest_step(relative)
        assert step_share > 0.3 if is_sharp else 0 < step_share < 0.15
        assert until(lambda: "stage_ms/postprocess" in robot.frames(), 30, step)
        assert ("stage_ms/outlines" in robot.frames()) == is_sharp
    finally:
        process.stop()
