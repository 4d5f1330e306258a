"""The floor of a metric depth image, laid where it is known to be.

A network's depth of a floor is smooth, but bends: some metres away it rises above the height at which a
costmap takes it for an obstacle. Where the height and tilt of the camera are known, so is the depth of the
floor at each pixel.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from e2e_depth_ros.alignment.ground import GroundSettings, find_ground
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthKind, DepthMap

_SAME: Final = 0.09  # relative difference from the floor's depth, up to which a pixel is floor
_SCALES: Final = (0.5, 2.0)  # of depth, to the floor's: beyond, what was found is another plane


def levelled(depth: DepthMap, camera: Camera, ground: GroundPlane) -> DepthMap:
    """Give the pixels of the floor the depth of the known floor; all others keep theirs.

    Which pixels those are is told by `find_ground`, whose floor may be off by a scale and a shift of depth.

    Args:
        depth: (H, W), METRIC.
        camera: The pinhole of this depth.
        ground: Where the floor is. A tilt that is off by a degree lifts it by 14 cm, 8 m away.

    Returns:
        (H, W), metric; the map itself where no floor is found.

    Raises:
        KindError: The depth is not metric.
        InvalidInputError: Depth and camera differ in size.
    """
    metric = depth.require(DepthKind.METRIC)
    found = find_ground(metric, camera, ground.height_m, down=ground.down).samples
    if found is None:
        return depth
    column, row = (np.asarray(pixel).astype(np.intp) for pixel in (found.u_px, found.v_px))
    predicted, true = depth.values[row, column].astype(np.float64), found.depth_m.astype(np.float64)
    terms = np.stack([predicted, np.ones(len(predicted))], axis=1) / true[:, None]
    scale, shift = np.linalg.lstsq(terms, np.ones(len(true)), rcond=None)[0]
    if not _SCALES[0] < scale < _SCALES[1]:
        return depth
    x, y = (np.broadcast_to(grid, depth.size) for grid in camera.normalized_grid)
    drop = x * ground.down[0] + y * ground.down[1] + ground.down[2]
    horizon = 1 / GroundSettings.farthest  # metres of height for a metre of depth
    floor_m = np.where(drop > horizon, ground.height_m / np.maximum(drop, horizon), np.inf)
    with np.errstate(invalid="ignore"):
        is_floor = depth.valid & (np.abs((scale * depth.values + shift) / floor_m - 1) < _SAME)
    return DepthMap(
        np.where(is_floor, floor_m, depth.values).astype(np.float32), depth.valid, DepthKind.METRIC
    )
