"""Pictures and files of what the demo received: panels, the cloud from the side, PLY."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

_PANEL_HEIGHT: Final = 270
_GAP: Final = 6
_BACKGROUND: Final = 24  # grey
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


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
    picture = np.full((height, width, 3), _BACKGROUND, np.uint8)
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


def labelled_row(panels: list[tuple[str, Rgb]]) -> Rgb:
    """Set panels side by side at one height, each with its label.

    Args:
        panels: Label and picture (H, W, 3), RGB; of any sizes.

    Returns:
        One RGB picture.
    """
    row: list[Rgb] = []
    for label, panel in panels:
        width = round(panel.shape[1] * _PANEL_HEIGHT / panel.shape[0])
        resized = cv2.resize(panel, (width, _PANEL_HEIGHT), interpolation=cv2.INTER_AREA)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(resized, label, (8, 20), _FONT, 0.5, color, thickness, cv2.LINE_AA)
        row += [np.asarray(resized, np.uint8), np.full((_PANEL_HEIGHT, _GAP, 3), _BACKGROUND, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


def stacked(rows: list[Rgb]) -> Rgb:
    """Set rows of different widths below each other."""
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=_BACKGROUND)
        for row in rows
    ]
    return np.concatenate(padded, axis=0)[:-_GAP]


def write_picture(path: Path, rgb: Rgb) -> None:
    """Write an RGB picture; the suffix chooses the format.

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
        raise OSError(f"cannot write {path}")


def write_ply(path: Path, cloud: ColoredCloud) -> None:
    """Write a cloud as binary little-endian PLY: x, y, z in metres (optical frame), red, green, blue."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(cloud.points_m)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        "end_header\n"
    )
    vertices = np.empty(len(cloud.points_m), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"] = cloud.points_m
    vertices["rgb"] = cloud.rgb
    path.write_bytes(header.encode("ascii") + vertices.tobytes())
