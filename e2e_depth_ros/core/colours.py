"""Depth and normals as pictures, for eyes."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

_OPENCV_COLORMAPS: Final = {
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
    "viridis": cv2.COLORMAP_VIRIDIS,
}
COLORMAPS: Final = (*_OPENCV_COLORMAPS, "gray")
"""The colour maps that depth can be shown in."""

_MIN_RANGE: Final = 1e-6  # of depth that isn't constant


def colours_from_depth(
    depth: NDArray[np.floating[Any]],
    near: float,
    far: float,
    *,
    colormap: str = "inferno",
    logarithmic: bool = False,
) -> NDArray[np.uint8]:
    """Colour depth: the bright end of the colour map (red in turbo) is near, black is unknown.

    Args:
        depth: (H, W), of any unit, small is near; NaN where unknown.
        near: What is as near or nearer gets the first colour; in the unit of depth.
        far: What is as far or farther gets the last colour.
        colormap: One of `COLORMAPS`.
        logarithmic: Whether equal ratios of depth, rather than equal differences, look alike.

    Returns:
        (H, W, 3), RGB.

    Raises:
        InvalidInputError: The shape or the colour map is not as above, or near is not above 0 while
            `logarithmic`.
    """
    if depth.ndim != 2:
        raise InvalidInputError(f"expected depth of shape (H, W), got {depth.shape}")
    if colormap not in COLORMAPS:
        raise InvalidInputError(f"expected a colour map of {', '.join(COLORMAPS)}, got {colormap!r}")
    values = np.asarray(depth, np.float32)
    if logarithmic:
        if near <= 0:
            raise InvalidInputError(f"expected near above 0 for logarithmic colours, got {near}")
        values = np.log(np.maximum(values, np.float32(near)))
        near, far = float(np.log(near)), float(np.log(max(near, far)))
    steps = (values - np.float32(near)) * np.float32(-254 / max(far - near, _MIN_RANGE))
    steps += np.float32(254)
    np.clip(steps, 0, 254, out=steps)
    steps += np.float32(1.5)  # 0 is unknown; the half rounds
    steps[np.isnan(steps)] = 0
    return np.asarray(cv2.applyColorMap(steps.astype(np.uint8), _table(colormap)), dtype=np.uint8)


def colours_from_normals(normals: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Colour normals as is usual: red to the right, green up, blue towards the camera; black is unknown.

    Args:
        normals: (H, W, 3), unit vectors in the optical frame (x right, y down, z forward); NaN or 0, 0, 0
            where unknown.

    Returns:
        (H, W, 3), RGB: 127.5 (1 + component).

    Raises:
        InvalidInputError: The shape is not as above.
    """
    if normals.ndim != 3 or normals.shape[2] != 3:
        raise InvalidInputError(f"expected normals of shape (H, W, 3), got {normals.shape}")
    known = np.abs(normals).sum(axis=-1, keepdims=True) > 0
    upright = normals * np.array([1, -1, -1], np.float32)
    levels = np.where(known, np.rint(127.5 * (1 + upright)), 0)
    return np.clip(levels, 0, 255).astype(np.uint8)


@cache
def _table(colormap: str) -> NDArray[np.uint8]:
    """Return RGB from far to near, (256, 1, 3); the first, for what is unknown, is black."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    if colormap == "gray":
        table = cv2.cvtColor(ramp, cv2.COLOR_GRAY2RGB)
    else:
        table = cv2.cvtColor(cv2.applyColorMap(ramp, _OPENCV_COLORMAPS[colormap]), cv2.COLOR_BGR2RGB)
    table[0] = 0
    return np.asarray(table, dtype=np.uint8)
