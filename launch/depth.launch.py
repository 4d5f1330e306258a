"""Starts the depth node; RViz and the mask node if asked.

ros2 launch e2e_depth_ros depth.launch.py --show-args

A launch file that includes it several times gives each a scope of its own, as cameras.launch.py does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_context import LaunchContext
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.deployment.launch_end import ending
from e2e_depth_ros.ros.deployment.launching import LaunchArguments, require_executable, require_model
from e2e_depth_ros.ros.deployment.middleware import image_environment
from launch import LaunchDescription

CONFIG = Path(get_package_share_directory("e2e_depth_ros")) / "config"
RESPAWN_DELAY_S = 2.0

ARGUMENTS = {
    "image": ("image_raw", "Topic of the camera's images."),
    "camera_info": ("camera_info", "Topic of its calibration."),
    "sparse_points": ("sparse_points", "Topic of metric points (PointCloud2), if there are any."),
    "sparse_depth": ("sparse_depth", "Topic of metric depth registered to the image, if there is any."),
    "image_transport": ("", "raw or compressed; by default as params_file says."),
    "model": ("", "Checkpoint: embedded, a folder, or a Hugging Face id; by default as params_file says."),
    "device": ("", "Where the network runs: auto, cpu, cuda or cuda:N; by default as params_file says."),
    "engine": ("", "What runs the network: auto, torch, onnx or openvino; by default as params_file says."),
    "dtype": ("", "Its numbers: auto, float32, float16 or bfloat16; by default as params_file says."),
    "params_file": (str(CONFIG / "depth.yaml"), "The node's parameters."),
    "name": ("depth", "Name of the node."),
    "namespace": ("", "Namespace of the node and its topics."),
    "use_sim_time": ("", "Whether the clock is /clock: true or false; by default as params_file says."),
    "respawn": ("false", "Whether to start a node again when it has ended."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
    "enclave": ("", "SROS2: the enclave that holds those of the nodes, say /e2e_depth_ros; by default none."),
    "rviz": ("false", "Whether to start RViz."),
    "mask": (
        "false",
        "Whether to start the mask node too, and leave what it masks out of cloud and alignment.",
    ),
    "mask_model": ("", "Its checkpoint, which paints by instruction; by default as mask_params_file says."),
    "mask_object": ("", "What to mask, in English; by default as mask_params_file says: the person."),
    "mask_params_file": (str(CONFIG / "mask.yaml"), "The mask node's parameters."),
    "mask_name": ("mask", "Name of the mask node."),
}


def start(context: LaunchContext) -> list[Any]:
    """Start all that was asked for, or nothing."""
    values = {name: context.launch_configurations[name] for name in ARGUMENTS}
    try:
        return nodes(LaunchArguments(values), image_environment(context.environment))
    except InvalidInputError as error:
        return ending(error)


def nodes(arguments: LaunchArguments, environment: dict[str, str]) -> list[Node]:
    """Make the nodes; nothing is started before all of them are known to be right.

    Args:
        arguments: Of this file.
        environment: Variables that the nodes need besides.

    Raises:
        InvalidInputError: An argument is wrong, or something that it asks for is missing.
    """
    require_executable("e2e_depth_ros", "depth_node", "depth.launch.py")
    masks = arguments.is_true("mask")
    given = {name: arguments.text(name) for name in ("model", "engine", "dtype")}
    wanted = {name: _text(text) for name, text in given.items() if text}
    wanted |= _typed(arguments.node_parameters())
    if masks:
        wanted |= {"remove_masked_points": True, "remove_masked_samples": True}
    topics = ("image_raw", "camera_info", "sparse_points", "sparse_depth")
    common = {
        "namespace": arguments.namespace("namespace"),
        "respawn": arguments.is_true("respawn"),
        "respawn_delay": RESPAWN_DELAY_S,
        "additional_env": environment,
        "output": "screen",
    }
    depth = Node(
        # It configures and activates itself (parameter autostart): no lifecycle manager is needed.
        package="e2e_depth_ros",
        executable="depth_node",
        name=arguments.node_name("name"),
        parameters=[arguments.file("params_file"), wanted],
        remappings=[(topic, arguments.text(topic.replace("image_raw", "image"))) for topic in topics],
        ros_arguments=arguments.ros_arguments("depth"),
        **common,
    )
    started = [depth]
    if masks:
        started.append(_mask_node(arguments, common))
    if arguments.is_true("rviz"):
        started.append(_rviz(arguments, environment))
    return started


def _mask_node(arguments: LaunchArguments, common: dict[str, Any]) -> Node:
    require_executable("e2e_depth_ros", "mask_node", "mask:=true")
    file = arguments.file("mask_params_file")
    require_model(file, arguments.text("mask_model"))
    given = {"model": arguments.text("mask_model"), "object": arguments.text("mask_object")}
    return Node(
        package="e2e_depth_ros",
        executable="mask_node",
        name=arguments.node_name("mask_name"),
        parameters=[
            file,
            {name: _text(text) for name, text in given.items() if text} | _typed(arguments.node_parameters()),
        ],
        remappings=[("image_raw", arguments.text("image"))],
        ros_arguments=arguments.ros_arguments("mask"),
        **common,
    )


def _rviz(arguments: LaunchArguments, environment: dict[str, str]) -> Node:
    require_executable("rviz2", "rviz2", "rviz:=true")
    sim_time = {name: on for name, on in arguments.node_parameters().items() if name == "use_sim_time"}
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=arguments.namespace("namespace"),
        arguments=["-d", str(CONFIG / "depth.rviz")],
        parameters=[sim_time] if sim_time else None,
        additional_env=environment,
    )


def _typed(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in parameters.items()}


def _text(value: str) -> ParameterValue:
    """Keep a text a text: launch would take 1234 for a number, and no for false."""
    return ParameterValue(value, value_type=str)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, then start."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )
