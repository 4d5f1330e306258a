"""The depth node's outputs, each declared once: name, type, meaning, what it needs and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.topics import MaskOutput, Topic
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.outputs import contents as told
from e2e_depth_ros.ros.outputs.products import Products


class Need(Enum):
    """What must be known of a frame before an output can be made."""

    CALIBRATION = "calibration"
    NORMALS = "normals"
    DEPTH = "depth"
    """The network's."""
    ALIGNMENT = "alignment"
    """Depth and its alignment, even a lost one."""
    METRES = "metres"
    """An alignment that is not lost; without one the output stays silent."""

    @property
    def task(self) -> Task | None:
        """What the network is asked for."""
        if self is Need.CALIBRATION:
            return None
        return Task.NORMALS if self is Need.NORMALS else Task.DEPTH

    @property
    def is_aligned(self) -> bool:
        """Whether depth is to be aligned."""
        return self in {Need.ALIGNMENT, Need.METRES}


class Output(Topic):
    """The topics, in the order in which they are published."""

    need: Need
    _make: Callable[[Products, Parameters], Any | None]

    def __init__(
        self,
        _name: str,
        _type: Any,
        _content: str,
        _meaning: str,
        need: Need,
        make: Callable[[Products, Parameters], Any | None],
    ) -> None:
        self.need = need
        self._make = make

    DEPTH = (
        "depth/image_rect",
        Image,
        "32FC1",
        "metres along Z, NaN where invalid",
        Need.METRES,
        told.depth_image,
    )
    DEPTH_INFO = (
        "depth/camera_info",
        CameraInfo,
        "",
        "of exactly that depth image",
        Need.CALIBRATION,
        told.depth_camera_info,
    )
    POINTS = (
        "points",
        PointCloud2,
        "",
        "organised, x y z rgb, optical frame",
        Need.METRES,
        told.points_cloud,
    )
    CONFIDENCE = (
        "confidence/image",
        Image,
        "32FC1",
        "0 to 1",
        Need.METRES,
        told.confidence_image,
    )
    STATUS = (
        "alignment/status",
        DiagnosticStatus,
        "",
        "state, scale, shift, inliers, residual, age",
        Need.ALIGNMENT,
        told.alignment_status,
    )
    NORMALS = (
        "normals/image",
        Image,
        "32FC3",
        "unit vectors in the optical frame, towards the camera",
        Need.NORMALS,
        told.normals_image,
    )
    RELATIVE = (
        "depth/image_relative",
        Image,
        "32FC1",
        "0 near to 1 far, without a unit",
        Need.DEPTH,
        told.relative_image,
    )
    COLOR = "depth/image_color", Image, "bgr8", "for eyes", Need.DEPTH, told.color_image

    def message(self, products: Products, parameters: Parameters) -> Any | None:
        """Make the message.

        Returns:
            The message; None if there is nothing to say, such as a metric output without an alignment.

        Raises:
            KindError: Depth that is not metric reached a metric output.
        """
        if self.need is Need.METRES and not _may_publish(products.alignment, parameters):
            return None
        made = self._make(products, parameters)
        if made is None or self.message_type is not Image:
            return made
        return message_from_array(made, self.content, products.header)

    @property
    def documented_meaning(self) -> str:
        """What it tells, and when."""
        return f"{self.meaning}; **only while metric**" if self.need is Need.METRES else self.meaning


OUTPUTS: Final[Mapping[str, type[Topic]]] = {"depth": Output, "mask": MaskOutput}
"""What each node publishes."""
METRIC_OUTPUTS: Final = frozenset(output for output in Output if output.need is Need.METRES)
"""The outputs in metres; without an alignment they are silent."""
RELATIVE_OUTPUTS: Final = frozenset(output for output in Output if output.need is Need.DEPTH)
"""The outputs that show the network's own depth."""


def tasks_for(wanted: Collection[Output]) -> set[Task]:
    """Find out what the network has to predict for some outputs."""
    return {output.need.task for output in wanted if output.need.task is not None}


def need_alignment(wanted: Collection[Output]) -> bool:
    """Whether depth has to be aligned for some outputs."""
    return any(output.need.is_aligned for output in wanted)


def _may_publish(alignment: Alignment | None, parameters: Parameters) -> bool:
    """Whether the parameters let metric depth out in this state; a lost one has none."""
    if alignment is None:
        return False
    may = {
        AlignmentState.FRESH: True,
        AlignmentState.DEGRADED: parameters.publish_degraded,
        AlignmentState.HELD: parameters.publish_held,
        AlignmentState.LOST: False,
    }
    return may[alignment.state]
