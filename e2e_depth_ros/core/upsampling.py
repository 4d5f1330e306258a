"""Outlines from the image for maps that come from a coarser grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap

GRID_PX: Final = 160
"""Longer edge, pixels, of the grid on which the filter looks for outlines."""
RADIUS: Final = 4
"""Half the width of its windows, pixels of that grid."""
EPSILON: Final = 1e-3
"""Variance of the image, of colours in 0..1, below which a window counts as even."""
SMALL: Final = 0.03
"""Relative change of metric depth of which outlines make half: less is detail, more is a jump."""

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

_Plane = NDArray[np.float32]
_Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Outlines:
    """Where an image lets depth jump that a network saw at a smaller size.

    Attributes:
        image: (H, W, 3), uint8, RGB.
        network_px: Longer edge, pixels, at which the network saw it: the grid that its map is as smooth as.
    """

    image: NDArray[np.uint8]
    network_px: int = GRID_PX

    def followed_by(self, depth: DepthMap) -> DepthMap:
        """Let the network's own map follow them; see `follow_outlines`. Invalid pixels stay so.

        Raises:
            InvalidInputError: Map and image are not of one size.
        """
        followed = follow_outlines(depth.values, self.image, grid_px=self.network_px)
        return DepthMap(followed, depth.valid, depth.kind)

    def followed_by_metric(self, depth: DepthMap) -> DepthMap:
        """Let depth follow them that was made metric by measurements.

        The filter sees 1 / depth, in which surfaces far away don't drown thin things before them. Between
        samples depth may have detail finer than the grid, which a window would even out: so a pixel goes the
        share d^2 / (d^2 + s^2) of its way, d, which is relative to its depth, as is s, `SMALL`.

        Args:
            depth: METRIC.

        Raises:
            InvalidInputError: Map and image are not of one size.
            KindError: The depth is not metric.
        """
        smooth = depth.require(DepthKind.METRIC).values
        way = follow_outlines(np.reciprocal(smooth), self.image, grid_px=self.network_px)
        np.subtract(np.reciprocal(way, out=way), smooth, out=way)
        square = np.square(way)
        way *= square / (square + np.square(np.float32(SMALL) * smooth))
        way += smooth
        return DepthMap(way, depth.valid, depth.kind)


def follow_outlines(
    values: NDArray[Any],
    image: NDArray[np.uint8],
    *,
    grid_px: int = GRID_PX,
    radius: int = RADIUS,
    epsilon: float = EPSILON,
) -> NDArray[np.float32]:
    """Let a smooth map jump where the image does: the fast guided filter, guided by colour.

    In each window of a coarse grid the map is explained as an affine function of the colour; the functions,
    averaged over the windows that a pixel lies in, are then applied to the colours of the full image (He et
    al., "Guided Image Filtering", TPAMI 2013, equation 19; He and Sun, arXiv 1505.00996). What the image does
    not explain stays as smooth as it was. No value leaves the range that the map has nearby.

    Args:
        values: (H, W), such as depth, as smooth as if it had been enlarged from the grid; NaN where unknown.
        image: (H, W, 3), RGB, what the map is of.
        grid_px: Longer edge of the grid; an image that is smaller is its own grid.
        radius: Half the width of the windows, pixels of the grid.
        epsilon: Variance of colours in 0..1 below which a window counts as even.

    Returns:
        (H, W); NaN where the map is.

    Raises:
        InvalidInputError: Map and image are not of one size.
    """
    if values.ndim != 2 or image.shape != (*values.shape, 3) or image.dtype != np.uint8 or values.size == 0:
        raise InvalidInputError(
            f"expected a map (H, W) and its image of uint8 (H, W, 3), "
            f"got {values.shape} and {image.dtype} {image.shape}"
        )
    height, width = values.shape
    values = np.asarray(np.ascontiguousarray(values), np.float32)
    share = min(1.0, grid_px / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    coarse, known = _on_grid(values, size)
    colours = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    window = (2 * radius + 1, 2 * radius + 1)
    # Plane by plane from here on: several times faster than on interleaved channels.
    *slopes, offset = _affine_functions(coarse, known, cv2.split(colours), window, epsilon)
    followed = np.asarray(cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    for slope, channel in zip(slopes, cv2.split(image), strict=True):
        everywhere = cv2.resize(slope, (width, height), interpolation=cv2.INTER_LINEAR)
        followed += np.asarray(cv2.multiply(everywhere, channel, scale=1 / 255, dtype=cv2.CV_32F))
    kernel = np.ones(window, np.uint8)
    for limit, extreme, unknown in ((np.maximum, cv2.erode, np.inf), (np.minimum, cv2.dilate, -np.inf)):
        filled = coarse if known is None else np.where(known, coarse, np.float32(unknown))
        nearby = extreme(filled, kernel)
        limit(followed, cv2.resize(nearby, (width, height), interpolation=cv2.INTER_NEAREST), out=followed)
    if known is not None:
        followed[np.isnan(values)] = np.nan
    return followed


def _on_grid(values: _Plane, size: _Size) -> tuple[_Plane, NDArray[np.bool_] | None]:
    """Return the mean of what is known in each cell, 0 without any; and which know, None where all do."""
    coarse = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    if np.isfinite(coarse).all():
        return np.asarray(coarse, np.float32), None
    finite = np.isfinite(values)
    shares = cv2.resize(finite.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(np.where(finite, values, np.float32(0)), size, interpolation=cv2.INTER_AREA)
    known = shares > 1e-3
    return np.where(known, sums / np.maximum(shares, np.float32(1e-3)), np.float32(0)), known


def _affine_functions(
    coarse: _Plane, known: NDArray[np.bool_] | None, colours: Sequence[_Plane], window: _Size, epsilon: float
) -> list[_Plane]:
    """Fit the map by the colours of each window, and average the functions over windows.

    Returns:
        (h, w) each: the slope of each colour, then the offset.
    """
    weight = None if known is None else known.astype(np.float32)
    share = np.float32(1) if weight is None else np.maximum(_mean(weight, window), np.float32(1e-6))

    def mean(plane: _Plane) -> _Plane:
        if weight is None:
            return _mean(plane, window)
        return np.asarray(_mean(plane * weight, window) / share)

    mean_value, mean_colours = mean(coarse), [mean(colour) for colour in colours]
    covariance = [
        mean(colour * coarse) - mean_colour * mean_value
        for colour, mean_colour in zip(colours, mean_colours, strict=True)
    ]
    variances = [
        mean(colours[i] * colours[j]) - mean_colours[i] * mean_colours[j] + np.float32(epsilon * (i == j))
        for i, j in _PAIRS
    ]
    slopes = _solve_symmetric(variances, covariance)
    explained = [slope * colour for slope, colour in zip(slopes, mean_colours, strict=True)]
    offset = mean_value - (explained[0] + explained[1] + explained[2])
    return [mean(plane) for plane in (*slopes, offset)]


def _solve_symmetric(matrix: Sequence[_Plane], right: Sequence[_Plane]) -> list[_Plane]:
    """Solve a symmetric 3 x 3 system at each pixel by its adjugate; the entries as in `_PAIRS`."""
    rr, rg, rb, gg, gb, bb = matrix
    r, g, b = right
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = np.float32(1) / (rr * c_rr + rg * c_rg + rb * c_rb)
    return [
        (c_rr * r + c_rg * g + c_rb * b) * scale,
        (c_rg * r + c_gg * g + c_gb * b) * scale,
        (c_rb * r + c_gb * g + c_bb * b) * scale,
    ]


def _mean(plane: _Plane, window: _Size) -> _Plane:
    return np.asarray(cv2.blur(plane, window, borderType=cv2.BORDER_REFLECT))
