"""The affine map from a relative depth map to metres, in numbers that behave well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap

LEAST_LIFTED = 1e-3
"""Positions below the range that would come out at or behind the camera are held at this, times the range."""

_LEAST_RANGE = 1e-9  # of a map, or of its values where they are larger


@dataclass(frozen=True)
class AffineModel:
    """y = extent * (t + offset), where t = (r - low) / (high - low) is the place of r in its range.

    y is depth in metres, or for a disparity model its inverse. Written this way a positive extent and offset
    are all that a possible scene requires, their logarithms have errors that are nearly normal, and an
    offset has one meaning for every scene and unit: the near end over the depth behind it.

    Attributes:
        low: Relative value at the near end for depth (the far end for disparity).
        high: Relative value at the other end, > low.
        extent: Metres (for disparity 1 / metres) from end to end, > 0.
        offset: y at `low` over `extent`, > 0; 0 exactly where the kind allows no shift.
        kind: Kind of the relative values.
    """

    low: float
    high: float
    extent: float
    offset: float
    kind: DepthKind

    @property
    def scale(self) -> float:
        """Metres (for disparity 1 / metres) for each unit of relative value."""
        return self.extent / (self.high - self.low)

    @property
    def shift_m(self) -> float:
        """Metres (for disparity 1 / metres) at relative value 0."""
        return self.extent * self.offset - self.scale * self.low

    @property
    def is_disparity(self) -> bool:
        """Whether y is inverse depth."""
        return self.kind is DepthKind.AFFINE_INVARIANT_DISPARITY

    @property
    def has_shift(self) -> bool:
        """Whether the kind leaves the shift open."""
        return kind_has_shift(self.kind)

    def over(self, low: float, high: float) -> tuple[AffineModel, NDArray[np.float64]]:
        """Express the same map over another range.

        Returns:
            The model, and the diagonal (2,) of the Jacobian of its (log extent, log offset) with respect to
            those of this one, by which a covariance moves along.
        """
        if not self.has_shift:
            low = 0.0
        stretch = (high - low) / (self.high - self.low)
        lift = (low - self.low) / (self.high - self.low)
        offset = max(self.offset + lift, LEAST_LIFTED) if self.has_shift else 0.0
        moved = AffineModel(low, high, self.extent * stretch, offset / stretch, self.kind)
        return moved, np.array([1.0, self.offset / offset if self.has_shift else 0.0])

    def depth_m(self, relative: NDArray[Any]) -> NDArray[Any]:
        """Depth in metres, positive; NaN stays NaN.

        Args:
            relative: Relative values of any shape; float32 stays float32.
        """
        values = self._lifted(relative)
        values *= relative.dtype.type(self.extent)
        return np.divide(1, values, out=values) if self.is_disparity else values

    def log_depth(self, relative: NDArray[Any]) -> NDArray[Any]:
        """Log of depth in metres; NaN stays NaN.

        Args:
            relative: Relative values of any shape; float32 stays float32.
        """
        values = self._lifted(relative)
        np.log(values, out=values)
        values += relative.dtype.type(np.log(self.extent))
        return np.negative(values, out=values) if self.is_disparity else values

    def with_offset(self, offset: float, log_depth: NDArray[Any]) -> NDArray[Any]:
        """Log depth up to a constant, of any shape, had the model another offset."""
        sign = -1 if self.is_disparity else 1
        lifted = np.exp(sign * log_depth) / self.extent + (offset - self.offset)
        return np.asarray(sign * np.log(np.maximum(lifted, LEAST_LIFTED)), log_depth.dtype)

    def _lifted(self, relative: NDArray[Any]) -> NDArray[Any]:
        """Place in the range plus offset, positive."""
        dtype, extent = relative.dtype.type, self.high - self.low
        lifted: NDArray[Any] = relative * dtype(1 / extent)
        lifted += dtype(self.offset - self.low / extent)
        np.maximum(lifted, dtype(LEAST_LIFTED), out=lifted)
        return lifted

    def offset_sensitivity(self, relative: NDArray[Any]) -> NDArray[Any]:
        """Derivative of log y with respect to log offset: offset / (t + offset), in 0..1 inside the range."""
        t = (relative - self.low) / (self.high - self.low)
        result: NDArray[Any] = self.offset / np.maximum(t + self.offset, LEAST_LIFTED)
        return result


def kind_has_shift(kind: DepthKind) -> bool:
    """Whether relative values of this kind leave a shift open, and not only a scale."""
    return kind in {DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY}


def metric_from_relative(relative: DepthMap, scale: float, shift_m: float) -> DepthMap:
    """Apply a scale and shift.

    Args:
        relative: Any kind of map.
        scale: > 0; metres (for disparity 1 / metres) for each unit.
        shift_m: Metres (for disparity 1 / metres) at 0.

    Returns:
        Metres. Pixels that come out at or behind the camera are invalid.

    Raises:
        InvalidInputError: The scale is not positive, or one of the two is not finite.
    """
    if not (np.isfinite(scale) and np.isfinite(shift_m) and scale > 0):
        raise InvalidInputError(f"expected a positive scale and a finite shift, got {scale} and {shift_m}")
    values = relative.values * np.float32(scale) + np.float32(shift_m)
    if relative.kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
        values = np.divide(np.float32(1), values, out=np.full_like(values, np.nan), where=values > 0)
    return DepthMap(values=values, valid=relative.valid, kind=DepthKind.METRIC)


def upper_end(low: float, high: float) -> float:
    """Return the upper end of a range that is no single value; a map that is all alike has such a one."""
    return max(high, low + _LEAST_RANGE * max(1.0, abs(low)))


def value_range(relative: DepthMap) -> tuple[float, float]:
    """Return the 1 % and 99 % quantiles of a map's valid values.

    Raises:
        InvalidInputError: No value is valid.
    """
    step_v, step_u = (max(1, length // 100) for length in relative.size)
    values = relative.values[::step_v, ::step_u]
    values = values[np.isfinite(values)]
    if len(values) == 0:
        values = relative.values[relative.valid]
    if len(values) == 0:
        raise InvalidInputError("expected a relative depth map with valid pixels, got none")
    last = len(values) - 1
    ranks = [int(0.01 * last), int(np.ceil(0.99 * last))]
    low, high = np.partition(values, ranks)[ranks]
    return float(low), float(high)
