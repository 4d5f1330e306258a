"""The clouds that the demo received, as seen from the side."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.cli.pictures import BACKGROUND, Rgb


@dataclass(frozen=True, eq=False)
class ColoredCloud:
    """Points with their colours.

    Attributes:
        points_m: (N, 3), float32, metres, optical frame, finite.
        rgb: (N, 3), uint8.
    """

    points_m: NDArray[np.float32]
    rgb: Rgb


def view_from_side(cloud: ColoredCloud, size: tuple[int, int], turn_deg: float = 35.0) -> Rgb:
    """Render a cloud as seen from the right of the camera and a little above.

    The view turns about the cloud's middle; near points hide far ones.

    Args:
        cloud: What to render; may be empty.
        size: (H, W) of the picture, pixels.
        turn_deg: How far the view turns about the vertical.

    Returns:
        (H, W, 3), RGB.
    """
    height, width = size
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    if len(cloud.points_m) == 0:
        return picture
    pivot = np.median(cloud.points_m, axis=0)
    rotation, _ = cv2.Rodrigues(np.array([0.0, np.deg2rad(turn_deg), 0.0]))
    tilt, _ = cv2.Rodrigues(np.array([np.deg2rad(18.0), 0.0, 0.0]))
    turned = (cloud.points_m - pivot) @ (tilt @ rotation).T
    reach = float(np.percentile(np.abs(turned), 97)) + 1e-9
    distance = turned[:, 2] + 3.5 * reach
    ahead = distance > 0.2 * reach
    focal_px = 1.6 * height
    column = focal_px * turned[ahead, 0] / distance[ahead] + width / 2
    row = focal_px * turned[ahead, 1] / distance[ahead] + height / 2
    far_to_near = np.argsort(-distance[ahead])
    column, row = column[far_to_near], row[far_to_near]
    colors = cloud.rgb[ahead][far_to_near]
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):  # 2 x 2 pixels a point close most of the holes
        u, v = (column + right).astype(np.intp), (row + down).astype(np.intp)
        inside = (column + right >= 0) & (u < width) & (row + down >= 0) & (v < height)
        picture[v[inside], u[inside]] = colors[inside]
    return picture
