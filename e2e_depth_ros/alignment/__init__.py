"""Metric depth from relative depth and sparse measurements; usable without ROS, and without torch.

`align` does one frame; `AlignmentTracker` follows a camera.
"""

from e2e_depth_ros.alignment.one_image import align
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.alignment.tracking.states import TrackerSettings
from e2e_depth_ros.alignment.tracking.tracker import AlignmentTracker

__all__ = ["Alignment", "AlignmentState", "AlignmentTracker", "TrackerSettings", "align"]
