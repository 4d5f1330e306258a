"""What is known of a frame, and what follows from it for more than one output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.confidence import confidence_from_alignment
from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.geometry import depth_edges
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap, farness_from_relative
from e2e_depth_ros.ros.inputs.frame_view import FrameView


@dataclass(frozen=True, eq=False)
class Products:
    """All that was computed for a frame.

    Attributes:
        header: The image's; every message carries it.
        view: What the network saw.
        relative: (H, W), the network's depth as it is shown; None where no output needs it.
        normals: (H, W, 3); None where no output needs them.
        alignment: None where no output needs it.
        ground: Where the floor is to be laid; None for where the network sees it.
        node_name: Whose status it is.
        stretch: Whether `farness` runs from the image's own nearest pixel to its farthest.
    """

    header: Any
    view: FrameView
    relative: DepthMap | None = None
    normals: NormalMap | None = None
    alignment: Alignment | None = None
    ground: GroundPlane | None = None
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
