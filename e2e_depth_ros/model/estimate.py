"""What a network says about an image: maps that carry their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap, read_only
from e2e_depth_ros.core.robust import STD_OF_MEDIAN_DEVIATION
from e2e_depth_ros.core.upsampling import Outlines

_MIN_LENGTH = 1e-6  # of a vector that has a direction
_MIN_RANGE = 1e-6  # of depth that isn't constant: less is rounding


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the network says about one image, at the image's own size.

    Attributes:
        depth: Relative depth, enlarged bilinearly: what an alignment is fitted to. None where it wasn't asked
            for.
        normals: Surface normals; None where they weren't asked for.
        durations_s: Seconds of each stage: preprocess, encode, denoise, decode, postprocess. Those of a
            batch are shared by its images. On a GPU the stages overlap unless `synchronize` was asked for;
            their sum is right all the same.
        non_finite: Pixels whose prediction was NaN or infinite; they are invalid in the maps.
        depth_uncertainty: (H, W), float32, in units of `depth`: the median absolute deviation of the
            ensemble's members, NaN where invalid; None without an ensemble.
        normals_uncertainty: (H, W), float32, 0..1: the members' mean angle to their mean, divided by pi;
            None without an ensemble.
        outlines: What depth is to follow once nothing is fitted to it any more; None where it stays as it is.
    """

    depth: DepthMap | None
    normals: NormalMap | None
    durations_s: Mapping[str, float]
    non_finite: int = 0
    depth_uncertainty: NDArray[np.float32] | None = None
    normals_uncertainty: NDArray[np.float32] | None = None
    outlines: Outlines | None = None

    @cached_property
    def outlined_depth(self) -> DepthMap | None:
        """`depth` along the outlines of the image, if it is to follow them: what is shown, saved and scored.

        It is computed when first asked for.
        """
        if self.depth is None or self.outlines is None:
            return self.depth
        return self.outlines.followed_by(self.depth)

    @property
    def depth_std(self) -> NDArray[np.float32] | None:
        """(H, W), float32, in units of `depth`: the standard deviation that `depth_uncertainty` stands for.

        That of normally distributed errors; None without an ensemble.
        """
        if self.depth_uncertainty is None:
            return None
        return np.multiply(self.depth_uncertainty, STD_OF_MEDIAN_DEVIATION, dtype=np.float32)


def depth_map_from(
    values: NDArray[np.float32], kind: DepthKind, *, stretch: bool = False
) -> tuple[DepthMap, int]:
    """Tell what the numbers of relative depth mean; count those that are NaN.

    Args:
        values: (H, W).
        kind: What they mean.
        stretch: Stretch the depth to 0..1.
    """
    non_finite = int(np.count_nonzero(np.isnan(values)))
    shown = _stretched(values) if stretch else values
    return DepthMap(read_only(shown), np.ones(values.shape, dtype=np.bool_), kind), non_finite


def normal_map_from(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]
) -> tuple[NormalMap, int]:
    """Join planes (H, W) to unit normals, as interpolation shortens; count those that are NaN."""
    # Not by OpenCV, whose last bit depends on where the planes lie in memory: a training that goes on would
    # score otherwise than one without a break.
    length = x * x
    for axis in (y, z):
        length += axis * axis
    np.sqrt(length, out=length)
    valid = np.asarray(length > _MIN_LENGTH)
    non_finite = 0
    if not valid.all():
        non_finite = int(np.count_nonzero(np.isnan(length)))
        length[~valid] = np.nan
    scale = np.reciprocal(length, out=length)
    # Planes are faster to work on than vectors.
    values = np.asarray(
        cv2.merge([np.multiply(axis, scale, out=axis) for axis in (x, y, z)]), dtype=np.float32
    )
    return NormalMap(values, valid), non_finite


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the finite values to 0..1; a constant becomes 0."""
    if np.isnan(values).all():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    if high - low < _MIN_RANGE:
        return np.where(np.isnan(values), values, np.float32(0))
    return np.asarray((values - low) / (high - low), dtype=np.float32)
