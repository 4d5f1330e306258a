"""Ways to make a cloud of metric depth, as the node can be told to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import TrackerSettings
from e2e_depth_ros.alignment.levelling import levelled
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings, filtered_depth, kept_points
from e2e_depth_ros.core.geometry import depth_edges
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthMap


@dataclass(frozen=True)
class CloudVariant:
    """One way to make a cloud of metric depth.

    Attributes:
        filters: What is left out.
        level_ground: Whether the floor is laid where it is known to be.
        correction: Whether metric depth is corrected between the samples.
    """

    filters: CloudFilterSettings = field(default_factory=CloudFilterSettings)
    level_ground: bool = False
    correction: bool = TrackerSettings.correction


DEFAULTS: Final = "defaults"
"""Name of the variant that the node makes without being told anything."""

_WITHOUT_LONE_POINTS: Final = CloudFilterSettings(
    remove_edges=False, noise_filter_radius=0.1, noise_filter_min_neighbors=8
)

NAVIGATION: Final = "navigation"
"""Name of the variant that `config/navigation.yaml` asks the node for."""

VARIANTS: Final[Mapping[str, CloudVariant]] = {
    "no filter": CloudVariant(CloudFilterSettings(remove_edges=False)),
    DEFAULTS: CloudVariant(),
    **{
        f"confidence {threshold:g}": CloudVariant(CloudFilterSettings(confidence_threshold=threshold))
        for threshold in (0.1, 0.3)
    },
    "noise filter 0.1 m, 8": CloudVariant(_WITHOUT_LONE_POINTS),
    "level_ground": CloudVariant(level_ground=True),
    "correction": CloudVariant(correction=True),
    "correction, noise 5": CloudVariant(
        replace(_WITHOUT_LONE_POINTS, noise_filter_min_neighbors=5), correction=True
    ),
    "correction, noise 8": CloudVariant(_WITHOUT_LONE_POINTS, correction=True),
    NAVIGATION: CloudVariant(_WITHOUT_LONE_POINTS, level_ground=True, correction=True),
}
"""What is compared."""


def cloud_points(
    depth: DepthMap,
    confidence: NDArray[np.float32],
    camera: Camera,
    ground: GroundPlane,
    variant: CloudVariant,
) -> NDArray[np.float32]:
    """Return the points (H, W, 3) that the node's cloud would hold, metres; NaN where it has none.

    Args:
        depth: (H, W), METRIC.
        confidence: (H, W), 0..1.
        camera: Of this depth.
        ground: Where the floor is, for `level_ground`.
        variant: How the cloud is made.
    """
    if variant.level_ground:
        depth = levelled(depth, camera, ground)
    edges = depth_edges(depth.values, depth.valid) if variant.filters.remove_edges else None
    points = filtered_depth(depth, variant.filters, confidence=confidence, edges=edges).points(camera)
    points[~kept_points(points, variant.filters)] = np.nan
    return points
