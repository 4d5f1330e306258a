"""Pictures that the commands write: labelled panels side by side, and samples drawn over their image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.pixels import nearest_pixels
from e2e_depth_ros.core.user_file import check_writable

Rgb = NDArray[np.uint8]

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
"""The pictures that every build of OpenCV writes."""

BACKGROUND: Final = 24  # grey
_PANEL_HEIGHT: Final = 270
_GAP: Final = 6
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_DOT_SHARE: Final = 1 / 120  # of the image's height: radius of a sample's dot
_DIM: Final = 0.35
_JPEG_QUALITY: Final = 85


def at_panel_height(panel: NDArray[Any]) -> NDArray[Any]:
    """Resize (H, W) or (H, W, C) to the height of panels: before it is coloured, that costs a third."""
    width = max(1, round(panel.shape[1] * _PANEL_HEIGHT / panel.shape[0]))
    return np.asarray(cv2.resize(panel, (width, _PANEL_HEIGHT), interpolation=cv2.INTER_AREA))


def labelled_row(panels: list[tuple[str, Rgb]]) -> Rgb:
    """Set panels side by side at one height, each with its label.

    Args:
        panels: Label and picture (H, W, 3), RGB; of any sizes.

    Returns:
        One RGB picture.
    """
    row: list[Rgb] = []
    for label, panel in panels:
        resized = at_panel_height(panel)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(resized, label, (8, 20), _FONT, 0.5, color, thickness, cv2.LINE_AA)
        row += [resized, np.full((_PANEL_HEIGHT, _GAP, 3), BACKGROUND, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


def stacked(rows: list[Rgb]) -> Rgb:
    """Set rows of different widths below each other."""
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=BACKGROUND)
        for row in rows
    ]
    return np.concatenate(padded, axis=0)[:-_GAP]


def samples_over_image(
    rgb: Rgb, u_px: NDArray[Any], v_px: NDArray[Any], depth_m: NDArray[Any], near_m: float, far_m: float
) -> Rgb:
    """Draw sparse depth as coloured dots over the dimmed image; where dots overlap the nearest shows.

    Args:
        rgb: (H, W, 3), the image.
        u_px: (N,), columns.
        v_px: (N,), rows.
        depth_m: (N,), metres.
        near_m: Depth of the first colour.
        far_m: Depth of the last colour.

    Returns:
        (H, W, 3), RGB.
    """
    height, width = rgb.shape[:2]
    nothing = np.finfo(np.float32).max  # as OpenCV pads
    nearest = np.full((height, width), nothing, np.float32)
    np.minimum.at(nearest, nearest_pixels(u_px, v_px, nearest.shape), np.asarray(depth_m, np.float32))
    radius = max(1, round(_DOT_SHARE * height))
    dot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    nearest = np.asarray(cv2.erode(nearest, dot), np.float32)
    covered = nearest < nothing
    colours = colours_from_depth(np.where(covered, nearest, np.nan), near_m, far_m, colormap="turbo")
    return np.where(covered[..., None], colours, (rgb * _DIM).astype(np.uint8))


def check_picture_path(path: Path) -> None:
    """Make sure that a picture can be written there, before work is spent on it.

    Raises:
        InvalidInputError: The suffix is none of `PICTURE_SUFFIXES`, or there is no such folder.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise InvalidInputError(f"expected a picture as {', '.join(PICTURE_SUFFIXES)}, got {path}")
    check_writable(path)


def write_picture(path: Path, rgb: Rgb) -> None:
    """Write an RGB picture; the suffix chooses the format.

    Raises:
        OSError: It cannot be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    done, encoded = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise OSError(f"cannot encode {path}")
    path.write_bytes(encoded.tobytes())
