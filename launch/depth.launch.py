"""Starts the depth node; RViz and the mask node if asked.

ros2 launch e2e_depth_ros depth.launch.py --show-args
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

CONFIG = Path(get_package_share_directory("e2e_depth_ros")) / "config"

ARGUMENTS = {
    "image": ("image_raw", "Topic of the camera's images."),
    "camera_info": ("camera_info", "Topic of its calibration."),
    "sparse_points": ("sparse_points", "Topic of metric points (PointCloud2), if there are any."),
    "sparse_depth": ("sparse_depth", "Topic of metric depth registered to the image, if there is any."),
    "model": ("", "Checkpoint: embedded, a folder, or a Hugging Face id; by default as params_file says."),
    "device": ("", "Where the network runs: auto, cpu, cuda or cuda:N; by default as params_file says."),
    "params_file": (str(CONFIG / "depth.yaml"), "The node's parameters."),
    "namespace": ("", "Namespace of the node and its topics."),
    "rviz": ("false", "Whether to start RViz."),
    "mask": (
        "false",
        "Whether to start the mask node too, and leave what it masks out of cloud and alignment.",
    ),
    "mask_model": ("", "Its checkpoint, which paints by instruction; by default as mask_params_file says."),
    "mask_object": ("", "What to mask, in English; by default as mask_params_file says: the person."),
    "mask_params_file": (str(CONFIG / "mask.yaml"), "The mask node's parameters."),
}


def nodes(context: LaunchContext) -> list[Node]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    masks = value["mask"].lower() in ("true", "1")
    given = _texts({name: value[name] for name in ("model", "device")})
    if masks:
        given |= {"remove_masked_points": True, "remove_masked_samples": True}
    topics = ("image_raw", "camera_info", "sparse_points", "sparse_depth")
    depth = Node(
        # It configures and activates itself (parameter autostart): no lifecycle manager is needed.
        package="e2e_depth_ros",
        executable="depth_node",
        name="depth",
        namespace=value["namespace"],
        parameters=[value["params_file"], given],
        remappings=[(topic, value[topic.replace("image_raw", "image")]) for topic in topics],
        output="screen",
    )
    return [depth, _mask_node(value)] if masks else [depth]


def _mask_node(value: dict[str, str]) -> Node:
    given = {"model": value["mask_model"], "object": value["mask_object"], "device": value["device"]}
    return Node(
        package="e2e_depth_ros",
        executable="mask_node",
        name="mask",
        namespace=value["namespace"],
        parameters=[value["mask_params_file"], _texts(given)],
        remappings=[("image_raw", value["image"])],
        output="screen",
    )


def _texts(given: dict[str, str]) -> dict[str, ParameterValue]:
    """Keep texts from becoming numbers or booleans, as YAML would have it: model 2024, object no."""
    return {name: ParameterValue(text, value_type=str) for name, text in given.items() if text}


def generate_launch_description() -> LaunchDescription:
    profile = EnvironmentVariable(
        "FASTDDS_DEFAULT_PROFILES_FILE", default_value=str(CONFIG / "fastdds_shm.xml")
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(CONFIG / "depth.rviz")],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            # Without it images travel slowly between processes, or not at all: see the file.
            SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", profile),
            OpaqueFunction(function=nodes),
            rviz,
        ]
    )
