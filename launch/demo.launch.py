"""Starts the depth node, a camera that shows real frames again and again, and RViz.

It stays on this machine, in a ROS domain that nobody else is in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_context import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.deployment.launch_end import ending
from e2e_depth_ros.ros.deployment.launching import LaunchArguments, require_executable
from e2e_depth_ros.ros.deployment.middleware import local_environment, unused_domain
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
    "domain_id": ("", "ROS domain; by default one that nobody is in on this machine."),
}


def start(context: LaunchContext) -> list[Any]:
    """Start everything, or nothing."""
    arguments = LaunchArguments({name: context.launch_configurations[name] for name in ARGUMENTS})
    try:
        return demo(arguments)
    except InvalidInputError as error:
        return ending(error)


def demo(arguments: LaunchArguments) -> list[Any]:
    """Make the actions; nothing is started before all that they need is known to be there.

    Args:
        arguments: Of this file.

    Raises:
        InvalidInputError: An argument is wrong, or something is missing.
    """
    arguments.is_true("rviz")
    needed = [("e2e_depth_ros", "depth_node"), ("e2e_depth_ros", "demo_camera")]
    for package, executable in [*needed, ("tf2_ros", "static_transform_publisher")]:
        require_executable(package, executable, "demo.launch.py")
    if arguments.is_true("rviz"):
        require_executable("rviz2", "rviz2", "rviz:=true")
    domain = arguments.domain("domain_id") if arguments.text("domain_id") else unused_domain()
    camera = Node(
        package="e2e_depth_ros",
        executable="demo_camera",
        namespace=NAMESPACE,
        arguments=[
            *("--frames", "30", "--rate", str(arguments.number("rate", 0.01))),
            *("--points", str(int(arguments.number("points", 1)))),
            *("--listeners", "1", "--measured", "--repeat"),
        ],
        output="screen",
        on_exit=[Shutdown(reason="the demo's camera has ended")],
    )
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / "depth.launch.py")),
        launch_arguments={
            "namespace": NAMESPACE,
            **{name: arguments.text(name) for name in ("model", "device", "rviz")},
        }.items(),
    )
    transforms = [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            arguments=["--frame-id", FIXED_FRAME, "--child-frame-id", frame],
        )
        for frame in SCENE_FRAMES
    ]
    environment = {**local_environment(), "ROS_DOMAIN_ID": str(domain)}
    return [
        LogInfo(msg=f"The demo is alone in ROS domain {domain}: export ROS_DOMAIN_ID={domain} to look on."),
        *(SetEnvironmentVariable(name, value) for name, value in environment.items()),
        depth,
        camera,
        *transforms,
    ]


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
