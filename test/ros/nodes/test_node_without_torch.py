"""The default node runs where nothing heavy can be imported, and tells which engine it has."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from e2e_depth_ros.ros.outputs.depth_outputs import Output
from helpers.robot import NodeProcess, until
from helpers.without_torch import without

HEAVY = (
    *("torch", "torchvision", "diffusers", "transformers", "accelerate", "peft", "safetensors"),
    *("huggingface_hub", "requests", "openvino", "onnx", "scipy", "matplotlib", "PIL", "h5py", "rich"),
)
"""What others of the package's commands and extras import: to start the node with them takes seconds."""


def test_the_node_gets_ready_and_sends_depth(robot, tmp_path):
    code = f"{without(*HEAVY)}\nfrom e2e_depth_ros.ros.nodes.executables import depth_node\ndepth_node()"
    process = NodeProcess(tmp_path / "log", {"device": "cpu"}, program=("-c", code))
    try:
        process.wait_until_ready()
        robot.listen(Output.RELATIVE)
        assert robot.stream_until(lambda: Output.RELATIVE in robot.received, timeout_s=60), process.output
        assert until(lambda: "depth: model" in robot.statuses, 30, robot.spin)
        values = robot.statuses["depth: model"][2]
        assert (values["engine"], values["device"], values["dtype"]) == ("onnx", "cpu", "float32")
        assert "onnx" in process.output
        assert process.stop() == 0
    finally:
        process.stop()
