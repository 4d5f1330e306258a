"""Clouds and images that lie, over DDS: each is counted by its reason, and the node goes on."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import PointCloud2, PointField

from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess

pytestmark = [pytest.mark.timeout(600), pytest.mark.in_order]


@pytest.fixture(scope="module")
def process(model_folder, robot, tmp_path_factory):  # noqa: ARG001 - the robot hears it from the start
    parameters = {"model": model_folder, "processing_resolution": "32"}
    process = NodeProcess(tmp_path_factory.mktemp("node") / "log", parameters)
    process.wait_until_ready()
    yield process
    process.stop()


def cloud(robot, fields=("x", "y", "z"), offsets=(0, 4, 8), datatypes=(7, 7, 7), **changes):
    values = {"height": 1, "width": 100, "point_step": 16, "row_step": 1600, "data": bytes(1600), **changes}
    numbers = zip(fields, offsets, datatypes, strict=True)
    return PointCloud2(
        header=robot.header(0),
        fields=[PointField(name=name, offset=at, datatype=kind, count=1) for name, at, kind in numbers],
        **values,
    )


CLOUDS = {
    "twice": ("fields", {"fields": "xyzz", "offsets": (0, 4, 8, 12), "datatypes": (7, 7, 7, 7)}),
    "missing": ("fields", {"fields": "xyw"}),
    "overlap": ("field offset", {"offsets": (0, 2, 8)}),
    "doubles overlap": ("field offset", {"datatypes": (8, 7, 7)}),
    "whole numbers": ("field type", {"datatypes": (5, 7, 7)}),
    "no step": ("point step", {"point_step": 0}),
    "beyond the point": ("point step", {"offsets": (0, 4, 2**32 - 1)}),
    "rows": ("row step", {"height": 10, "width": 10, "row_step": 1}),
    "more rows": ("data length", {"height": 10, "width": 10, "row_step": 2**32 - 1}),
    "too many": ("size", {"height": 2**32 - 1, "width": 2**32 - 1}),
    "none": ("size", {"width": 0}),
}


@pytest.mark.parametrize("what", CLOUDS)
def test_a_cloud_that_lies_is_counted_and_the_frame_goes_on(process, robot, what):
    reason, changes = CLOUDS[what]
    before = robot.refused(f"cloud: {reason}")
    robot.listen(Output.RELATIVE, Output.DEPTH)

    def is_told():
        return robot.refused(f"cloud: {reason}") > before and Output.RELATIVE in robot.received

    assert robot.stream_until(is_told, 60, sparse=lambda: cloud(robot, **changes)), process.output
    assert Output.DEPTH not in robot.received
    assert "Traceback" not in process.output


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (2000, 8)])
def test_a_strip_is_counted_and_the_next_image_is_seen(process, robot, size):
    before = robot.refused("image: size")
    robot.listen(Output.RELATIVE)
    told = robot.stream_until(lambda: robot.refused("image: size") > before, 60, size=size, info=False)
    assert told, process.output
    robot.received.clear()
    assert robot.stream_until(lambda: Output.RELATIVE in robot.received, 60), process.output
    message = robot.received[Output.RELATIVE][-1]
    assert (message.height, message.width) == (48, 64)
    assert np.isfinite(np.frombuffer(message.data, np.float32)).all()
