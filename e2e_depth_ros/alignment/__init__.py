"""Metric depth from relative depth and sparse measurements; usable without ROS.

`align` does one frame; `AlignmentTracker` follows a camera.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from e2e_depth_ros.alignment.one_image import align
    from e2e_depth_ros.alignment.result import Alignment, AlignmentState
    from e2e_depth_ros.alignment.states import TrackerSettings
    from e2e_depth_ros.alignment.tracker import AlignmentTracker

__all__ = ["Alignment", "AlignmentState", "AlignmentTracker", "TrackerSettings", "align"]

_HOMES: Final = {
    "Alignment": "result",
    "AlignmentState": "result",
    "AlignmentTracker": "tracker",
    "TrackerSettings": "states",
    "align": "one_image",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the tracker brings torch, which takes seconds, and its settings need none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
