"""What a frame's measurements say about its pixels: depth, and normals where surfaces are smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M, MIN_DEPTH_M, in_range
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.maps import NormalMap
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels

_ROUGHNESS = 0.01  # relative: how far a smooth surface may be from its plane


class EmptyTargetError(InvalidInputError):
    """Nothing was measured within the range at the pixels of a frame."""


@dataclass(frozen=True, eq=False)
class DepthTarget:
    """Measured depth at some pixels of an image.

    Attributes:
        size: (H, W) of the image.
        row: (N,), int.
        column: (N,), int.
        depth_m: (N,), float32, metres.
        source: "depth" or "points".
    """

    size: tuple[int, int]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    depth_m: NDArray[np.float32]
    source: str

    def dense(self) -> NDArray[np.float32] | None:
        """Return a depth image, (H, W), metres, NaN where unknown; None where only points were measured."""
        if self.source != "depth":
            return None
        depth = np.full(self.size, np.nan, np.float32)
        depth[self.row, self.column] = self.depth_m
        return depth


def read_depth_target(
    frame: MeasuredFrame,
    size: tuple[int, int],
    *,
    min_depth_m: float = MIN_DEPTH_M,
    max_depth_m: float = MAX_DEPTH_M,
) -> DepthTarget:
    """Read a frame's dense depth, or else its points at the pixels where they appear.

    Args:
        frame: A frame with measurements.
        size: (H, W) of its image.
        min_depth_m: Nearer measurements don't count.
        max_depth_m: Farther measurements don't count.

    Raises:
        EmptyTargetError: None of the measurements counts.
        InvalidInputError: The frame has no measurements, or they don't fit the image.
    """
    depth = frame.read_depth()
    if depth is not None:
        if depth.shape != size:
            raise InvalidInputError(
                f"expected depth of the image's size {size}, got {depth.shape} in {frame.name}"
            )
        row, column = np.nonzero(in_range(depth, min_depth_m, max_depth_m))
        target = DepthTarget(size, row, column, depth[row, column], "depth")
    else:
        target = _target_from_points(frame, size, min_depth_m, max_depth_m)
    if target.depth_m.size == 0:
        raise EmptyTargetError(
            f"expected measurements of {min_depth_m} to {max_depth_m} m in {frame.name}, found none"
        )
    return target


def read_camera_of(frame: MeasuredFrame, size: tuple[int, int]) -> Camera:
    """Read a frame's calibration.

    Args:
        frame: A frame with a calibration.
        size: (H, W) of its image.

    Raises:
        InvalidInputError: The frame has no calibration, or that of images of another size.
    """
    camera = frame.read_camera()
    if camera is None:
        raise InvalidInputError(f"expected camera_info.yaml in {frame.name}, found none")
    if camera.size != size:
        raise InvalidInputError(
            f"expected a camera of the image's size {size} in {frame.name}, got {camera.size}"
        )
    return camera


def _target_from_points(
    frame: MeasuredFrame, size: tuple[int, int], min_depth_m: float, max_depth_m: float
) -> DepthTarget:
    measured = frame.read_points()
    if measured is None:
        raise InvalidInputError(f"expected depth.npz or points.npz in {frame.name}, found neither")
    camera = read_camera_of(frame, size)
    points, camera_from_points = measured
    in_camera = points @ camera_from_points[:3, :3].T + camera_from_points[:3, 3]
    u, v = camera.project(in_camera)
    usable = are_inside(u, v, size) & in_range(in_camera[:, 2], min_depth_m, max_depth_m)
    row, column = nearest_pixels(u[usable], v[usable], size)
    depth = in_camera[usable, 2].astype(np.float32)
    order = np.argsort(depth, kind="stable")
    _, first = np.unique((row * size[1] + column)[order], return_index=True)
    nearest = order[first]  # what a pixel shows is the nearest of its points
    return DepthTarget(size, row[nearest], column[nearest], depth[nearest], "points")


def smooth_normals(depth_m: NDArray[Any], camera: Camera) -> NormalMap:
    """Find the normals of measured depth where it is smooth enough to have some.

    The inverse depth of a plane is affine in the coordinates x / z and y / z. In a window around each
    pixel, a 60th of the image's width, an affine function of the pixel is fitted to it by least squares;
    where the window is full and the fit is good to 1 %, its slopes give the normal. Noise of a depth camera
    averages out; edges, corners and rough things are left out.

    Args:
        depth_m: (H, W), metres; NaN where unknown.
        camera: The raw camera; its distortion is taken into account.

    Returns:
        Normals in the raw optical frame, towards the camera.

    Raises:
        InvalidInputError: Depth and camera are not of one size.
    """
    if depth_m.shape != camera.size:
        raise InvalidInputError(f"expected depth of the camera's size {camera.size}, got {depth_m.shape}")
    if min(depth_m.shape) < 2:  # a line has no slope across it
        return NormalMap.from_vectors(np.full((*depth_m.shape, 3), np.nan, np.float32))
    reach = max(1, round(depth_m.shape[1] / 120))
    side = 2 * reach + 1
    known = np.isfinite(depth_m) & (depth_m > 0)
    inverse = np.where(known, 1 / np.where(known, depth_m, 1), 0).astype(np.float64)
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    ones = np.ones(side)
    spread = side * (steps**2).sum()
    mean = cv2.sepFilter2D(inverse, cv2.CV_64F, ones / side, ones / side)
    slope_u = cv2.sepFilter2D(inverse, cv2.CV_64F, steps, ones) / spread
    slope_v = cv2.sepFilter2D(inverse, cv2.CV_64F, ones, steps) / spread
    square = cv2.sepFilter2D(inverse**2, cv2.CV_64F, ones / side, ones / side)
    explained = mean**2 + (slope_u**2 + slope_v**2) * (steps**2).mean()
    is_flat = square - explained < (_ROUGHNESS * mean) ** 2
    full = cv2.erode(known.astype(np.uint8), np.ones((side, side), np.uint8), borderValue=0) > 0
    # From slopes along the pixels to slopes along x / z and y / z; for a pinhole that is times fx and fy.
    x, y = (np.broadcast_to(grid, camera.size).astype(np.float64) for grid in camera.normalized_grid)
    (x_v, x_u), (y_v, y_u) = np.gradient(x), np.gradient(y)
    turn = x_u * y_v - x_v * y_u
    slope_x = (slope_u * y_v - slope_v * y_u) / turn
    slope_y = (slope_v * x_u - slope_u * x_v) / turn
    vectors = -np.stack([slope_x, slope_y, mean - x * slope_x - y * slope_y], axis=-1)
    vectors[~(full & is_flat)] = np.nan
    return NormalMap.from_vectors(vectors.astype(np.float32))
