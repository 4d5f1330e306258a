"""Starts the depth node, and RViz if asked: ros2 launch e2e_depth_ros depth.launch.py --show-args."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

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
}


def depth_node(context: LaunchContext) -> list[Node]:
    value = {name: context.launch_configurations[name] for name in ARGUMENTS}
    given = {name: value[name] for name in ("model", "device") if value[name]}
    topics = ("image_raw", "camera_info", "sparse_points", "sparse_depth")
    node = Node(
        # It configures and activates itself (parameter autostart): no lifecycle manager is needed.
        package="e2e_depth_ros",
        executable="depth_node",
        name="depth",
        namespace=value["namespace"],
        parameters=[value["params_file"], given],
        remappings=[(topic, value[topic.replace("image_raw", "image")]) for topic in topics],
        output="screen",
    )
    return [node]


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
            OpaqueFunction(function=depth_node),
            rviz,
        ]
    )
