"""A calibrated camera: where points appear in its image, and how resizing and cropping change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.core.distortion import (
    DistortionModel,
    check_coefficients,
    coefficients_from,
    distort,
    undistort,
)
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import numbers_from
from e2e_depth_ros.core.intrinsics import checked_intrinsics, checked_rotation, checked_size
from e2e_depth_ros.core.lens_names import lens_from_calibration

__all__ = ["Camera", "DistortionModel"]

_Matrix = NDArray[np.float64]
_Pixels = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsic calibration of a camera at one image size.

    Convention:
        Optical frame (REP 103): x right, y down, z forward. Pixel (0, 0) is centred at (0, 0), u grows to
        the right and v downwards; the image spans [-0.5, W - 0.5] x [-0.5, H - 0.5].
        `intrinsics`, `distortion`, `rectification` and `projection` are K, D, R and P[:, :3] of ROS's
        CameraInfo: K and D describe the raw image, R and P the rectified one.
        A skew, K[0, 1], moves a pixel by skew * y / z to the right.

    Attributes:
        size: (H, W), pixels.
        intrinsics: (3, 3), pixels; its skew counts as distortion.
        distortion_model: How the lens bends rays.
        distortion: Its coefficients, empty for a pinhole.
        rectification: (3, 3), rotation from the raw to the rectified optical frame.
        projection: (3, 3), intrinsics of the rectified image; None stands for `intrinsics`. Its skew is
            kept here, but `rectified()` has none.
    """

    size: tuple[int, int]
    intrinsics: _Matrix
    distortion_model: DistortionModel = DistortionModel.NONE
    distortion: tuple[float, ...] = ()
    rectification: _Matrix = field(default_factory=lambda: np.eye(3))
    projection: _Matrix | None = None

    def __post_init__(self) -> None:
        size = checked_size(self.size)
        intrinsics = checked_intrinsics(self.intrinsics, "intrinsics K", size)
        projection = intrinsics
        if self.projection is not None:
            projection = checked_intrinsics(self.projection, "projection P[:, :3]", size)
        rectification = checked_rotation(self.rectification, "rectification R")
        distortion = coefficients_from(self.distortion)
        check_coefficients(self.distortion_model, distortion)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "intrinsics", intrinsics)
        object.__setattr__(self, "distortion", distortion)
        object.__setattr__(self, "rectification", rectification)
        object.__setattr__(self, "projection", projection)

    @classmethod
    def from_calibration(
        cls,
        size: tuple[int, int],
        intrinsics: ArrayLike,
        distortion_model: str = "",
        distortion: Sequence[float] = (),
        rectification: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> Camera:
        """Make a camera from the flat arrays of a CameraInfo message or a calibration file.

        Arrays that drivers leave empty or all zero count as not given: R is then the identity, P is K, and
        there is no distortion. The fourth column of P, the baseline of a stereo pair, does not concern a
        single camera and is dropped.

        Args:
            size: (H, W), pixels.
            intrinsics: 9 numbers, K row by row.
            distortion_model: ROS's name for it, or another one; see `lens_from_calibration`.
            distortion: The coefficients D.
            rectification: 9 numbers, R row by row.
            projection: 12 numbers, P row by row.

        Returns:
            The camera.

        Raises:
            InvalidInputError: A value is missing, not finite or impossible.
        """
        model, coefficients = lens_from_calibration(distortion_model, distortion)
        rotation = _given(rectification, "R")
        rectified = _given(projection, "P")
        return cls(
            size=size,
            intrinsics=_reshaped(numbers_from("K", intrinsics, np.float64), (3, 3), "K"),
            distortion_model=model,
            distortion=coefficients,
            rectification=np.eye(3) if rotation is None else _reshaped(rotation, (3, 3), "R"),
            projection=None if rectified is None else _reshaped(rectified, (3, 4), "P")[:, :3],
        )

    @property
    def fx(self) -> float:
        """Horizontal focal length, pixels."""
        return float(self.intrinsics[0, 0])

    @property
    def fy(self) -> float:
        """Vertical focal length, pixels."""
        return float(self.intrinsics[1, 1])

    @property
    def cx(self) -> float:
        """Column of the principal point, pixels."""
        return float(self.intrinsics[0, 2])

    @property
    def cy(self) -> float:
        """Row of the principal point, pixels."""
        return float(self.intrinsics[1, 2])

    @property
    def skew(self) -> float:
        """How far columns move to the right per unit of y / z, pixels."""
        return float(self.intrinsics[0, 1])

    @property
    def is_distorted(self) -> bool:
        """Whether the image differs from a pinhole's; a fisheye's does even if all coefficients are zero."""
        is_bent = self.distortion_model is DistortionModel.EQUIDISTANT or any(self.distortion)
        return is_bent or self.skew != 0

    @property
    def is_rectified(self) -> bool:
        """Whether rectifying would leave the image unchanged."""
        return (
            not self.is_distorted
            and np.array_equal(self.rectification, np.eye(3))
            and np.array_equal(self.intrinsics, self._rectified_intrinsics)
        )

    @property
    def _rectified_intrinsics(self) -> _Matrix:
        matrix: _Matrix = np.array(self.intrinsics if self.projection is None else self.projection)
        matrix[0, 1] = 0
        return matrix

    @property
    def rectified_skew_px(self) -> float:
        """How far the skew of P, which `rectified()` leaves out, moves pixels at the border."""
        if self.projection is None:
            return 0.0
        (_, skew, _), (_, fy, cy) = self.projection[:2].tolist()
        return float(abs(skew) * max(cy + 0.5, self.size[0] - 0.5 - cy) / fy)

    def resized(self, size: tuple[int, int]) -> Camera:
        """Describe the image after resizing.

        The outer borders of both images coincide, as in cv2.resize and torch's interpolation: a pixel at u
        goes to (u + 0.5) * scale - 0.5, and so does cx. ROS's consumers (image_geometry, depth_image_proc)
        read the principal point as relative to the centre of pixel (0, 0), so their points stay where they
        were. image_proc's resize instead multiplies cx by the scale, which moves points sideways by up to
        half a pixel of the larger image.

        Args:
            size: (H, W) of the resized image.

        Returns:
            The camera of the resized image, K and P scaled alike.
        """
        if tuple(size) == self.size:
            return self
        scale_y, scale_x = size[0] / self.size[0], size[1] / self.size[1]
        shift_x, shift_y = (scale_x - 1) / 2, (scale_y - 1) / 2
        change = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]])
        return self._moved(size, change)

    def cropped(self, top: int, left: int, size: tuple[int, int]) -> Camera:
        """Describe a part of the image.

        Args:
            top: First row of the part.
            left: First column of the part.
            size: (H, W) of the part.

        Returns:
            The camera of the part, K and P shifted alike.

        Raises:
            InvalidInputError: The part extends beyond the image.
        """
        bottom, right = top + size[0], left + size[1]
        if top < 0 or left < 0 or bottom > self.size[0] or right > self.size[1]:
            raise InvalidInputError(
                f"expected a part within {self.size}, got rows {top}..{bottom}, columns {left}..{right}"
            )
        change = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
        return self._moved(size, change)

    def _moved(self, size: tuple[int, int], change: _Matrix) -> Camera:
        """Apply a change of pixel coordinates (3, 3) to K and P."""
        return replace(
            self,
            size=size,
            intrinsics=change @ self.intrinsics,
            projection=None if self.projection is None else change @ self.projection,
        )

    def rectified(self) -> Camera:
        """Describe the rectified image: a pinhole with P's intrinsics, looking along R's axes."""
        if self.is_rectified:
            return self
        return Camera(size=self.size, intrinsics=self._rectified_intrinsics)

    def project(self, points_m: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Find where points appear in the (raw) image, with distortion.

        Args:
            points_m: (N, 3), metres, raw optical frame.

        Returns:
            Column u and row v, (N,) each, pixels, as precise as the points (float32 or float64); they may lie
            outside the image. NaN for points that are not in front of the camera (z <= 0), and for points
            beyond the largest angle for which the distortion model holds.

        Raises:
            InvalidInputError: The points have another shape.
        """
        points = np.asarray(points_m)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InvalidInputError(f"expected points of shape (N, 3), got {points.shape}")
        points = points.astype(np.result_type(points.dtype, np.float32), copy=False)
        z = points[:, 2]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inverse_z = np.where(z > 0, z, points.dtype.type(np.nan))
            np.divide(1, inverse_z, out=inverse_z)
            x, y = points[:, 0] * inverse_z, points[:, 1] * inverse_z
        if self.is_distorted:
            x, y = distort(x, y, self.distortion_model, self.distortion)
        with np.errstate(over="ignore", invalid="ignore"):
            u, v = self.fx * x + self.skew * y + self.cx, self.fy * y + self.cy
            return u.astype(points.dtype, copy=False), v.astype(points.dtype, copy=False)

    def normalized_from_pixels(self, u_px: ArrayLike, v_px: ArrayLike) -> tuple[_Pixels, _Pixels]:
        """Find the rays through pixels, without distortion.

        Args:
            u_px: (N,), columns.
            v_px: (N,), rows.

        Returns:
            x / z and y / z of the rays, (N,) each, raw optical frame. NaN where no ray leads to the pixel.
        """
        y = (np.asarray(v_px, dtype=np.float64) - self.cy) / self.fy
        x = (np.asarray(u_px, dtype=np.float64) - self.cx) / self.fx
        if self.skew:
            x = x - self.skew / self.fx * y
        return undistort(x, y, self.distortion_model, self.distortion)

    @cached_property
    def normalized_grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The rays through all pixels: x / z and y / z, which broadcast to (H, W).

        (1, W) and (H, 1) for a pinhole, both (H, W) for a distorted camera. Computed once per camera.
        """
        height, width = self.size
        u, v = np.arange(width), np.arange(height)
        if not self.is_distorted:
            x, y = self.normalized_from_pixels(u, v)
            return x[None, :].astype(np.float32), y[:, None].astype(np.float32)
        grid_u, grid_v = np.meshgrid(u, v)
        x, y = self.normalized_from_pixels(grid_u.ravel(), grid_v.ravel())
        return x.reshape(self.size).astype(np.float32), y.reshape(self.size).astype(np.float32)


def _given(values: ArrayLike | None, name: str) -> _Matrix | None:
    """Convert what a calibration says; None where it is silent, empty or zero."""
    array = None if values is None else numbers_from(name, values, np.float64)
    return array if array is not None and array.any() else None


def _reshaped(array: _Matrix, shape: tuple[int, int], name: str) -> _Matrix:
    if array.size != shape[0] * shape[1]:
        raise InvalidInputError(f"expected {shape[0] * shape[1]} numbers in {name}, got {array.size}")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"expected finite numbers in {name}, got {array.tolist()}")
    return array.reshape(shape)
