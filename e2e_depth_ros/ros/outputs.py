"""What the nodes publish."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image, PointCloud2


class Output(Enum):
    """The depth node's topics, relative to its namespace, in the order in which they are published."""

    DEPTH = "depth/image_rect"
    DEPTH_INFO = "depth/camera_info"
    POINTS = "points"
    CONFIDENCE = "confidence/image"
    STATUS = "alignment/status"
    NORMALS = "normals/image"
    RELATIVE = "depth/image_relative"
    COLOR = "depth/image_color"

    @property
    def message_type(self) -> Any:
        """The ROS message class of the topic."""
        special = {
            Output.DEPTH_INFO: CameraInfo,
            Output.POINTS: PointCloud2,
            Output.STATUS: DiagnosticStatus,
        }
        return special.get(self, Image)


class MaskOutput(Enum):
    """The mask node's topic."""

    MASK = "mask/image"

    @property
    def message_type(self) -> Any:
        """The ROS message class of the topic."""
        return Image


Topic = TypeVar("Topic", Output, MaskOutput)

METRIC_OUTPUTS: Final = frozenset({Output.DEPTH, Output.POINTS, Output.CONFIDENCE})
"""Say something in metres: without an alignment they are silent."""
ALIGNED_OUTPUTS: Final = METRIC_OUTPUTS | {Output.STATUS}
"""Need alignment to be computed."""
DEPTH_OUTPUTS: Final = ALIGNED_OUTPUTS | {Output.RELATIVE, Output.COLOR}
"""Need the network's depth."""
