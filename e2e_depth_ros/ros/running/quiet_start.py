"""Starts ROS so that what is wrong with its arguments is told once: by the exception."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import rclpy
from rclpy.logging import LoggingSeverity, get_logger_effective_level, set_logger_level

_LOGGER: Final = "rcl"

Made = TypeVar("Made")


def init_ros(args: Sequence[str] | None, **options: Any) -> None:
    """Call `rclpy.init`, without the line that rcl itself logs about arguments that it refuses.

    Args:
        args: ROS arguments; by default the command line's.
        options: Of `rclpy.init`.
    """
    set_logger_level(_LOGGER, LoggingSeverity.FATAL)
    rclpy.init(args=args, **options)
    if get_logger_effective_level(_LOGGER) == LoggingSeverity.FATAL:  # else --log-level has set it
        set_logger_level(_LOGGER, LoggingSeverity.UNSET)


def made_quietly(make: Callable[[], Made]) -> Made:
    """Make a node, without rclpy's warning that one of a bad namespace can't be tidied up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return make()
