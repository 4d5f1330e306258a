"""What is known of a frame, and the messages that tell it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.cloud_filters import CloudFilterSettings
from e2e_depth_ros.alignment.confidence import confidence_from_alignment
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.geometry import depth_edges
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap, farness_from_relative
from e2e_depth_ros.ros.camera_info import message_from_camera
from e2e_depth_ros.ros.declaration import settings_from_parameters
from e2e_depth_ros.ros.depth_cloud import cloud_from_depth
from e2e_depth_ros.ros.frame_view import FrameView
from e2e_depth_ros.ros.images import message_from_array
from e2e_depth_ros.ros.outputs import METRIC_OUTPUTS, Output
from e2e_depth_ros.ros.parameters import Parameters
from e2e_depth_ros.ros.status import status_from_alignment


@dataclass(frozen=True, eq=False)
class Products:
    """All that was computed for a frame.

    Attributes:
        header: The image's; every message carries it.
        view: What the network saw.
        relative: (H, W), the network's depth; None where no output needs it.
        normals: (H, W, 3); None where no output needs them.
        alignment: None where no output needs it.
        node_name: Whose status it is.
        stretch: Whether `farness` runs from the image's own nearest pixel to its farthest.
    """

    header: Any
    view: FrameView
    relative: DepthMap | None = None
    normals: NormalMap | None = None
    alignment: Alignment | None = None
    node_name: str = "depth"
    stretch: bool = False

    @property
    def metric(self) -> DepthMap | None:
        """(H, W), metric depth; None where it isn't known or no output needs it."""
        if self.alignment is None or self.alignment.depth is None:
            return None
        return self.alignment.depth.require(DepthKind.METRIC)

    @cached_property
    def farness(self) -> NDArray[np.float32]:
        """(H, W), 0 near .. 1 far, NaN where invalid.

        Raises:
            KindError: There is no relative depth.
        """
        if self.relative is None:
            raise KindError("expected relative depth, got none")
        return farness_from_relative(self.relative, stretch=self.stretch)

    @cached_property
    def edges(self) -> NDArray[np.bool_]:
        """(H, W), where metric depth jumps.

        Raises:
            KindError: There is no metric depth.
        """
        if self.metric is None:
            raise KindError("expected metric depth, got none")
        return depth_edges(self.metric.values, self.metric.valid)

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """(H, W), 0..1, of metric depth.

        Raises:
            KindError: There is no metric depth.
        """
        if self.alignment is None or self.metric is None:
            raise KindError("expected metric depth, got none")
        return confidence_from_alignment(self.alignment, edges=self.edges)


def message_for(output: Output, products: Products, parameters: Parameters) -> Any | None:
    """Make the message of an output.

    Returns:
        The message; None where it can't be told, say a metric output without an alignment.

    Raises:
        KindError: Depth that is not metric reached a metric output.
    """
    if output in METRIC_OUTPUTS and not _may_publish(products.alignment, parameters):
        return None
    return _MAKERS[output](products, parameters)


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


def _depth(products: Products, _: Parameters) -> Any | None:
    """32FC1: metres along Z, NaN where invalid (REP 118)."""
    depth = products.metric
    return None if depth is None else message_from_array(depth.values, "32FC1", products.header)


def _depth_info(products: Products, _: Parameters) -> Any | None:
    camera = products.view.camera
    return None if camera is None else message_from_camera(camera, products.header)


def _points(products: Products, parameters: Parameters) -> Any | None:
    """Organised, optical frame; NaN where depth is invalid, masked or filtered out."""
    depth, camera = products.metric, products.view.camera
    if depth is None or camera is None:
        return None
    if parameters.remove_masked_points:
        masked = products.view.masked
        if masked is None:
            return None  # any of them might be what was to be left out
        depth = DepthMap(depth.values, depth.valid & ~masked, depth.kind)
    settings = settings_from_parameters(CloudFilterSettings, parameters)
    return cloud_from_depth(
        depth,
        camera,
        products.view.rgb,
        products.header,
        settings,
        edges=products.edges if settings.remove_edges else None,
        confidence=products.confidence if settings.confidence_threshold > 0 else None,
    )


def _confidence(products: Products, _: Parameters) -> Any | None:
    """32FC1, 0..1; 0 without depth."""
    return message_from_array(products.confidence, "32FC1", products.header)


def _status(products: Products, _: Parameters) -> Any | None:
    if products.alignment is None:
        return None
    return status_from_alignment(products.node_name, products.alignment)


def _normals(products: Products, _: Parameters) -> Any | None:
    """32FC3: unit vectors in the optical frame, NaN where invalid."""
    normals = products.normals
    return None if normals is None else message_from_array(normals.values, "32FC3", products.header)


def _relative(products: Products, _: Parameters) -> Any | None:
    """32FC1: 0 near .. 1 far, NaN where invalid."""
    if products.relative is None:
        return None
    return message_from_array(products.farness, "32FC1", products.header)


def _color(products: Products, parameters: Parameters) -> Any | None:
    """bgr8, for eyes: the bright end of the colour map is near; invalid is black."""
    if products.relative is None:
        return None
    rgb = colours_from_depth(products.farness, 0.0, 1.0, colormap=parameters.colormap)
    return message_from_array(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), "bgr8", products.header)


_MAKERS: Final = {
    Output.DEPTH: _depth,
    Output.DEPTH_INFO: _depth_info,
    Output.POINTS: _points,
    Output.CONFIDENCE: _confidence,
    Output.STATUS: _status,
    Output.NORMALS: _normals,
    Output.RELATIVE: _relative,
    Output.COLOR: _color,
}
