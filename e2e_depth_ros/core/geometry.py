"""From depth to normals and edges.

Convention of this module: optical frame (REP 103), x right, y down, z forward; pixel (0, 0) is centred at
(0, 0); depth is z, never the length of the ray.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import NormalMap, known_or

_Float = NDArray[np.float32]
_Bool = NDArray[np.bool_]

EDGE_THRESHOLD = 0.04
"""Relative jump of depth from pixel to pixel above which surfaces are taken as separate."""
_UNKNOWN = np.float32(np.inf)


def normals_from_depth(depth: NDArray[Any], camera: Camera, valid: _Bool | None = None) -> NormalMap:
    """Estimate the normal of the surface at each pixel.

    On a plane n . P = d with the ray (x, y, 1) the inverse depth is w = 1 / z = (n / d) . (x, y, 1). So it is
    affine in the image, and its slopes give the normal without error at any tilt:
    (w_x, w_y, w - x w_x - y w_y). The slopes are central differences. Where the two sides disagree by more
    than a depth edge allows, or where only one is valid, the smaller one counts, so that normals do not
    bleed across occlusions.

    Args:
        depth: (H, W), metres, or metres up to a factor; NaN or not positive where unknown.
        camera: The pinhole camera of this depth.
        valid: (H, W); False where depth must not be used.

    Returns:
        Unit normals towards the camera; invalid where depth is, and where both neighbours in the row or both
        in the column are.

    Raises:
        InvalidInputError: The sizes differ, or the camera has distortion.
    """
    if camera.is_distorted:
        raise InvalidInputError("expected depth of a rectified image, got a camera with distortion")
    inverse = _inverse_depth(depth, valid)
    _check_size(inverse.shape, camera)
    x, y = camera.normalized_grid
    with np.errstate(invalid="ignore", divide="ignore"):
        slope_x = _slope(inverse, axis=1)
        slope_y = _slope(inverse, axis=0)
        slope_x *= np.float32(camera.fx)
        slope_y *= np.float32(camera.fy)
        slope_z = inverse - slope_x * x
        slope_z -= slope_y * y
        length = slope_x * slope_x
        length += slope_y * slope_y
        length += slope_z * slope_z
        np.sqrt(length, out=length)
        # The gradient points away from the camera, as its product with the ray is w > 0; hence the sign.
        scale = np.float32(-1) / length
        normals = np.empty((*inverse.shape, 3), dtype=np.float32)
        for channel, slope in enumerate((slope_x, slope_y, slope_z)):
            np.multiply(slope, scale, out=normals[..., channel])
    return NormalMap(values=normals, valid=np.isfinite(length))


def depth_edges(
    depth: NDArray[Any],
    valid: _Bool | None = None,
    *,
    relative_threshold: float = EDGE_THRESHOLD,
    ramp_px: int = 5,
) -> _Bool:
    """Mark pixels that may fly between fore- and background.

    Both pixels of a pair of neighbours are marked whose depths differ by more than the threshold, relative
    to the nearer one, beyond what a plane would explain: the inverse depth of a plane changes evenly, so
    the least change within `ramp_px` pixels is subtracted first. This keeps floors seen at a grazing angle,
    and it still finds edges that resizing or a network has smeared into ramps of up to 2 * ramp_px pixels.
    The result does not depend on the unit of depth.

    Args:
        depth: (H, W), metres, or metres up to a factor; NaN or not positive where unknown.
        valid: (H, W); False where depth must not be used.
        relative_threshold: Relative jump between neighbours.
        ramp_px: How far to look for the slope of the surface itself.

    Returns:
        (H, W), bool; always False where depth is unknown.

    Raises:
        InvalidInputError: A shape or a parameter is impossible.
    """
    if not relative_threshold > 0 or ramp_px < 1:
        raise InvalidInputError(
            f"expected relative_threshold > 0 and ramp_px >= 1, got {relative_threshold} and {ramp_px}"
        )
    inverse = _inverse_depth(depth, valid)
    all_known = bool(inverse.max() < _UNKNOWN)
    # A jump of z relative to the nearer depth is a jump of 1 / z relative to that of the farther one.
    limits = inverse * np.float32(relative_threshold)
    edges = np.zeros(inverse.shape, dtype=np.bool_)
    window = np.ones((1, 2 * ramp_px + 1), dtype=np.uint8)
    for first, second, kernel in (
        (np.s_[:, :-1], np.s_[:, 1:], window),
        (np.s_[:-1], np.s_[1:], window.T),
    ):
        a, b = inverse[first], inverse[second]
        if a.size == 0:
            continue
        change = cv2.absdiff(a, b)
        if not all_known:  # infinite where one is unknown, NaN where both are
            np.fmin(change, _UNKNOWN, out=change)
        limit = cv2.min(limits[first], limits[second])
        with np.errstate(invalid="ignore"):
            jump = cv2.subtract(change, cv2.erode(change, kernel)) > limit
        if not all_known:
            jump &= change < _UNKNOWN
        edges[first] |= jump
        edges[second] |= jump
    return edges


def _slope(values: _Float, axis: int) -> _Float:
    """Differentiate per pixel, not across jumps; not finite where neither side is known."""
    shape = list(values.shape)
    shape[axis] += 1
    steps = np.moveaxis(np.empty(shape, dtype=np.float32), axis, 0)
    values = np.moveaxis(values, axis, 0)
    np.subtract(values[1:], values[:-1], out=steps[1:-1])
    steps[0] = steps[-1] = _UNKNOWN
    before, after = steps[:-1], steps[1:]
    bend = after - before
    np.abs(bend, out=bend)
    rough = bend > np.float32(EDGE_THRESHOLD) * values  # False where the pixel itself is unknown
    slope = np.add(before, after, out=bend)
    slope *= np.float32(0.5)
    before, after = before[rough], after[rough]
    slope[rough] = np.where(np.abs(before) < np.abs(after), before, after)
    along_axis: _Float = np.moveaxis(slope, 0, axis)
    return along_axis


def _inverse_depth(depth: NDArray[Any], valid: _Bool | None) -> _Float:
    """Return 1 / depth, and infinity where depth is unknown: differences then tell by themselves."""
    depth = np.asarray(depth, dtype=np.float32)
    if depth.ndim != 2 or depth.size == 0:
        raise InvalidInputError(f"expected depth of shape (H, W), got {depth.shape}")
    usable = (depth > 0) & (depth < np.inf)
    if valid is not None:
        if valid.shape != depth.shape:
            raise InvalidInputError(f"expected valid of shape {depth.shape}, got {valid.shape}")
        usable &= valid
    with np.errstate(divide="ignore", over="ignore"):
        inverse = known_or(0, depth, usable)
        return np.reciprocal(inverse, out=inverse)


def _check_size(size: tuple[int, ...], camera: Camera) -> None:
    if tuple(size) != camera.size:
        raise InvalidInputError(f"expected depth of the camera's size {camera.size}, got {tuple(size)}")
