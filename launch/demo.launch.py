"""Starts the depth node, a camera that shows real frames again and again, and RViz."""

from __future__ import annotations

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

LAUNCH = Path(get_package_share_directory("e2e_depth_ros")) / "launch"
NAMESPACE = "/e2e_depth_demo"
# Each scene has a frame of its own; RViz shows their clouds in one.
FIXED_FRAME = "camera_optical_frame"
SCENE_FRAMES = ("motorcycle_optical_frame", "tote_optical_frame")

ARGUMENTS = {
    "model": ("", "Checkpoint: embedded (default), a folder, or a Hugging Face id."),
    "device": ("", "Where the network runs: auto (default), cpu, cuda or cuda:N."),
    "rviz": ("true", "Whether to start RViz."),
    "rate": ("5.0", "Frames a second."),
    "points": ("500", "Metric points a frame, drawn from the frame's measured depth."),
}


def generate_launch_description() -> LaunchDescription:
    value = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / "depth.launch.py")),
        launch_arguments={
            "namespace": NAMESPACE,
            "model": value["model"],
            "device": value["device"],
            "rviz": value["rviz"],
        }.items(),
    )
    camera = ExecuteProcess(
        cmd=[
            *(sys.executable, "-m", "e2e_depth_ros.cli.demo.publisher", "--namespace", NAMESPACE),
            *("--frames", "30", "--rate", value["rate"], "--points", value["points"]),
            *("--listeners", "1", "--repeat"),
        ],
        output="screen",
    )
    transforms = [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            arguments=["--frame-id", FIXED_FRAME, "--child-frame-id", frame],
        )
        for frame in SCENE_FRAMES
    ]
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            # First, as it sets the environment of what follows.
            depth,
            camera,
            *transforms,
        ]
    )
