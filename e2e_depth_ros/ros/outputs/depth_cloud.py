"""The point cloud of a metric depth image, filtered for whoever plans a path by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings, filtered_depth, kept_points
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.ros.messages.clouds import cloud_from_coordinates


def cloud_from_depth(
    depth: DepthMap,
    camera: Camera,
    rgb: NDArray[np.uint8],
    header: Any,
    settings: CloudFilterSettings,
    *,
    edges: NDArray[np.bool_] | None = None,
    confidence: NDArray[np.float32] | None = None,
) -> Any:
    """Make a cloud of what the filters leave.

    Args:
        depth: (H, W), METRIC.
        camera: The pinhole of this depth.
        rgb: (H, W, 3), the colour of each point.
        header: The image's; kept by reference.
        settings: What to leave out.
        edges: (H, W), depth edges, if they are known already.
        confidence: (H, W), 0..1; required where the settings have a threshold.

    Returns:
        PointCloud2, organised, optical frame, NaN where something was left out. Decimated, it has every n-th
        row and column, ceil(H / n) x ceil(W / n).

    Raises:
        KindError: The depth is not metric.
        InvalidInputError: Depth and camera differ in size.
    """
    kept = filtered_depth(depth, settings, edges=edges, confidence=confidence)
    step = settings.decimation
    if step > 1:
        kept = DepthMap(kept.values[::step, ::step], kept.valid[::step, ::step], kept.kind)
        rgb = rgb[::step, ::step]
        # Pixel i of the decimated image is pixel i * step of the whole one.
        camera = Camera(kept.size, np.diag([1 / step, 1 / step, 1]) @ camera.intrinsics)
        settings = replace(settings, decimation=1)
    message, points_m = cloud_from_coordinates(kept.coordinates(camera), rgb, header)
    if settings.noise_filter_radius > 0 or settings.voxel_size > 0:
        points_m[~kept_points(points_m, settings)] = np.nan
    return message
