"""Starts a depth node for each of several cameras, each in the namespace of its camera.

ros2 launch e2e_depth_ros cameras.launch.py cameras:="left right" image:=image_raw device:=cuda

What else is given goes to each of them as to depth.launch.py; relative topics are in the namespace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_context import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.deployment.launch_end import ending
from e2e_depth_ros.ros.deployment.launching import camera_namespaces
from launch import LaunchDescription

LAUNCH = Path(get_package_share_directory("e2e_depth_ros")) / "launch"

ARGUMENTS = {
    "cameras": ("", "Names of the cameras, with spaces between: each is a namespace."),
    "namespace": ("", "Namespace of all of them."),
}


def start(context: LaunchContext) -> list[Any]:
    """Start a node for each camera, or nothing."""
    values = context.launch_configurations
    try:
        namespaces = camera_namespaces(values["cameras"], values["namespace"])
    except InvalidInputError as error:
        return ending(error)
    # Without a scope of its own, each would get what is set for the one before it.
    return [GroupAction([_depth(namespace)], scoped=True) for namespace in namespaces]


def _depth(namespace: str) -> IncludeLaunchDescription:
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / "depth.launch.py")),
        launch_arguments={"namespace": namespace}.items(),
    )


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
