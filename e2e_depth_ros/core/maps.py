"""Depth and normal maps that carry what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError, KindError


class DepthKind(Enum):
    """What the numbers of a depth map mean."""

    METRIC = "metric"
    """Metres along the optical axis."""
    SCALE_INVARIANT = "scale-invariant"
    """Metres up to an unknown positive factor."""
    AFFINE_INVARIANT = "affine-invariant"
    """Metres up to an unknown positive factor and an unknown offset; 0 is near, 1 is far."""
    AFFINE_INVARIANT_DISPARITY = "affine-invariant disparity"
    """1 / metres up to an unknown positive factor and an unknown offset; large is near."""


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Depth of each pixel, together with what it means.

    Convention:
        Depth is camera-frame Z, never the length of the ray. Values where `valid` is False are NaN. A value
        that is not finite is never valid, nor is a distance that is not positive.

    Attributes:
        values: (H, W), float32, read-only; unit as `kind` says. An array that can still be written to is
            copied, one that is read-only already may be kept.
        valid: (H, W), bool, read-only; True where the value may be used.
        kind: What the values mean. A relative map can't reach code that asks for metres.

    Raises:
        InvalidInputError: A shape is not as above, or `kind` is no `DepthKind`.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    kind: DepthKind

    def __post_init__(self) -> None:
        if not isinstance(self.kind, DepthKind):  # a word would pass for depth, whatever it says
            raise InvalidInputError(f"expected a DepthKind as kind, got {self.kind!r}")
        values = np.asarray(self.values, dtype=np.float32)
        valid = np.asarray(self.valid, dtype=np.bool_)
        if values.ndim != 2 or values.size == 0:
            raise InvalidInputError(f"expected depth of shape (H, W), got {values.shape}")
        if valid.shape != values.shape:
            raise InvalidInputError(f"expected valid of shape {values.shape}, got {valid.shape}")
        is_distance = self.kind in (DepthKind.METRIC, DepthKind.SCALE_INVARIANT)
        ends = values.min(), values.max()  # NaN where one is among the values
        if valid.all() and np.isfinite(ends).all() and not (is_distance and ends[0] <= 0):
            values, valid = _frozen(values), _frozen(valid)
        else:
            valid = valid & np.isfinite(values)
            if is_distance:
                valid &= values > 0
            values = known_or(np.nan, values, valid)
        object.__setattr__(self, "values", read_only(values))
        object.__setattr__(self, "valid", read_only(valid))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), pixels."""
        height, width = self.values.shape
        return height, width

    def require(self, kind: DepthKind) -> DepthMap:
        """Return this map if it is of the given kind.

        Raises:
            KindError: It is of another kind.
        """
        if self.kind is not kind:
            raise KindError(f"expected {kind.value} depth, got {self.kind.value} depth")
        return self

    def points(self, camera: Camera) -> NDArray[np.float32]:
        """Lift each pixel to its point, fast: the camera remembers its rays.

        Convention:
            Optical frame (REP 103): x right, y down, z forward. Pixel (0, 0) is centred at (0, 0).

        Args:
            camera: The camera of this depth. Distortion is taken into account.

        Returns:
            (H, W, 3), metres; NaN where depth is invalid.

        Raises:
            KindError: The depth is not metric.
            InvalidInputError: Depth and camera are not of one size.
        """
        return np.asarray(cv2.merge(self.coordinates(camera)), np.float32)

    def coordinates(self, camera: Camera) -> tuple[NDArray[np.float32], ...]:
        """Return x, y and z of all points, (H, W) each; see `points`."""
        z = self.require(DepthKind.METRIC).values
        if self.size != camera.size:
            raise InvalidInputError(f"expected depth of the camera's size {camera.size}, got {self.size}")
        x, y = camera.normalized_grid
        return x * z, y * z, z


@dataclass(frozen=True, eq=False)
class NormalMap:
    """Surface normal of each pixel.

    Convention:
        Unit vectors in the camera optical frame (REP 103: x right, y down, z forward). They point
        towards the camera, so z is negative on a wall that faces it. NaN where `valid` is False.

    Attributes:
        values: (H, W, 3), float32, read-only, of unit length (`from_vectors` normalises). An array without
            invalid pixels is kept, not copied: the caller must not change it afterwards.
        valid: (H, W), bool, read-only.

    Raises:
        InvalidInputError: A shape is not as above.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float32)
        valid = np.asarray(self.valid, dtype=np.bool_)
        if values.ndim != 3 or values.shape[2] != 3 or values.size == 0:
            raise InvalidInputError(f"expected normals of shape (H, W, 3), got {values.shape}")
        if valid.shape != values.shape[:2]:
            raise InvalidInputError(f"expected valid of shape {values.shape[:2]}, got {valid.shape}")
        finite = np.isfinite(values)
        if not (valid.all() and finite.all()):
            x_finite, y_finite, z_finite = np.moveaxis(finite, -1, 0)
            valid = valid & x_finite & y_finite & z_finite
            if np.any((x_finite | y_finite | z_finite) & ~valid):  # mostly NaN already; a copy takes time
                values = known_or(np.nan, values, valid)
        object.__setattr__(self, "values", read_only(values))
        object.__setattr__(self, "valid", read_only(valid))

    @classmethod
    def from_vectors(cls, vectors: NDArray[np.float32]) -> NormalMap:
        """Normalise vectors of any length; those too short or not finite become invalid.

        Args:
            vectors: (H, W, 3), optical frame.

        Returns:
            The unit normals, NaN where invalid.

        Raises:
            InvalidInputError: The vectors have another shape.
        """
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 3 or vectors.shape[2] != 3:
            raise InvalidInputError(f"expected vectors of shape (H, W, 3), got {vectors.shape}")
        length = np.sqrt(np.einsum("hwc,hwc->hw", vectors, vectors))
        valid = np.isfinite(length) & (length > 1e-6)
        scale = np.divide(np.float32(1), length, out=np.full_like(length, np.nan), where=valid)
        return cls(values=vectors * scale[..., None], valid=valid)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), pixels."""
        height, width = self.values.shape[:2]
        return height, width


def farness_from_relative(depth: DepthMap, *, stretch: bool = False) -> NDArray[np.float32]:
    """Turn relative depth of any kind into 0 near .. 1 far.

    Args:
        depth: (H, W), 0..1 as a network predicts it; for disparity 0 is far.
        stretch: Whether the nearest and farthest pixel of this image become 0 and 1. This makes a video
            flicker.

    Returns:
        (H, W), float32, NaN where invalid; possibly the read-only values of the map itself.

    Raises:
        KindError: The depth is metric, which has no farthest value.
    """
    if depth.kind is DepthKind.METRIC:
        raise KindError(f"expected relative depth, got {depth.kind.value} depth")
    values = depth.values
    if depth.kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
        values = np.float32(1) - values
    if stretch and depth.valid.any():
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        values = (values - np.float32(low)) * np.float32(1 / max(high - low, 1e-6))
    return values


def known_or(unknown: float, values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Put a number where values aren't known: what `np.where` does in four times the time.

    Args:
        unknown: The number.
        values: (H, W) or (H, W, C).
        known: (H, W).

    Returns:
        A new array.
    """
    result = np.full(values.shape, unknown, np.float32)
    cv2.copyTo(values, known.view(np.uint8), result)
    return result


_Scalar = TypeVar("_Scalar", bound=np.generic)


def _frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    return array.copy() if array.flags.writeable else array


def read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """View an array that nobody changes any more: a map keeps it instead of a copy."""
    view: NDArray[_Scalar] = array.view()
    view.flags.writeable = False
    return view
