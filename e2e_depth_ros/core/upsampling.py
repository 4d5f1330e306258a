"""Outlines from the image for maps that come from a coarser grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, read_only

GRID_PX: Final = 160
"""Longer edge, pixels, of the grid on which the filter looks for outlines."""
RADIUS: Final = 4
"""Half the width of its windows, pixels of that grid."""
EPSILON: Final = 1e-3
"""Variance of the image, of colours in 0..1, below which a window counts as even."""
SMALL: Final = 0.03
"""Relative change of metric depth of which outlines make half: less is detail, more is a jump."""

_PAIRS: Final = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

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
        return DepthMap(read_only(self._guide.lead(depth.values)), depth.valid, depth.kind)

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
        way = self._guide.lead(np.reciprocal(smooth))
        np.subtract(np.reciprocal(way, out=way), smooth, out=way)
        square = np.square(way)
        least = np.multiply(smooth, np.float32(SMALL))
        np.square(least, out=least)
        least += square
        square /= least
        way *= square
        way += smooth
        return DepthMap(read_only(way), depth.valid, depth.kind)

    @cached_property
    def _guide(self) -> _Guide:
        return _Guide(self.image, self.network_px)


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
    return _Guide(image, grid_px, radius, epsilon).lead(values)


@dataclass(frozen=True, eq=False)
class _Guide:
    """The filter of an image. What follows from the image alone is found once, for all of its maps."""

    image: NDArray[np.uint8]
    grid_px: int
    radius: int = RADIUS
    epsilon: float = EPSILON

    def lead(self, values: NDArray[Any]) -> _Plane:
        """Filter a map; see `follow_outlines`."""
        image = self.image
        if (
            values.ndim != 2
            or image.shape != (*values.shape, 3)
            or image.dtype != np.uint8
            or values.size == 0
        ):
            raise InvalidInputError(
                f"expected a map (H, W) and its image of uint8 (H, W, 3), "
                f"got {values.shape} and {image.dtype} {image.shape}"
            )
        values = np.asarray(np.ascontiguousarray(values), np.float32)
        coarse, known = _on_grid(values, self._grid)
        full = values.shape[::-1]
        *slopes, offset = self._affine_functions(coarse, known)
        followed = np.asarray(cv2.resize(offset, full, interpolation=cv2.INTER_LINEAR), np.float32)
        for slope, channel in zip(slopes, self._channels, strict=True):
            everywhere = cv2.resize(slope, full, interpolation=cv2.INTER_LINEAR)
            followed += np.asarray(cv2.multiply(everywhere, channel, dtype=cv2.CV_32F))
        kernel = np.ones(self._window, np.uint8)
        for limit, extreme, unknown in ((np.maximum, cv2.erode, np.inf), (np.minimum, cv2.dilate, -np.inf)):
            filled = coarse if known is None else np.where(known, coarse, np.float32(unknown))
            nearby = np.asarray(extreme(filled, kernel), np.float32)
            limit(followed, _enlarged_in_steps(nearby, values.shape), out=followed)
        if known is not None:
            followed[np.isnan(values)] = np.nan
        return followed

    @property
    def _window(self) -> _Size:
        return (2 * self.radius + 1, 2 * self.radius + 1)

    @cached_property
    def _grid(self) -> _Size:
        """(w, h), as OpenCV has sizes."""
        height, width = self.image.shape[:2]
        share = min(1.0, self.grid_px / max(height, width))
        return max(1, round(width * share)), max(1, round(height * share))

    @cached_property
    def _channels(self) -> Sequence[NDArray[Any]]:
        """Red, green and blue, (H, W) each, uint8."""
        return cv2.split(self.image)

    @cached_property
    def _colours(self) -> list[_Plane]:
        """Red, green and blue on the grid, (h, w) each, 0..255."""
        small = cv2.resize(self.image, self._grid, interpolation=cv2.INTER_AREA)
        return [channel.astype(np.float32) for channel in cv2.split(small)]

    @cached_property
    def _spread(self) -> tuple[list[_Plane], list[_Plane]]:
        """`_spread_of` the grid, where all of the map is known."""
        return self._spread_of(None)

    def _spread_of(self, weight: _Plane | None) -> tuple[list[_Plane], list[_Plane]]:
        """Return the mean colour of each window, and the inverse covariance of its colours."""
        colours = self._colours
        products = [colours[i] * colours[j] for i, j in _PAIRS]
        red, green, blue, *squares = _means([*colours, *products], self._window, weight)
        means = [red, green, blue]
        even = np.float32(self.epsilon * 255**2)
        covariance = [
            square - means[i] * means[j] + even * (i == j)
            for (i, j), square in zip(_PAIRS, squares, strict=True)
        ]
        return means, _inverse_symmetric(covariance)

    def _affine_functions(self, coarse: _Plane, known: NDArray[np.bool_] | None) -> list[_Plane]:
        """Fit the map by the colours of each window, and average the functions over windows.

        Returns:
            (h, w) each: the slope of each colour, then the offset.
        """
        weight = None if known is None else known.astype(np.float32)
        mean_colours, inverse = self._spread if weight is None else self._spread_of(weight)
        mean_value, *products = _means(
            [coarse, *(colour * coarse for colour in self._colours)], self._window, weight
        )
        covariance = [
            product - mean_colour * mean_value
            for product, mean_colour in zip(products, mean_colours, strict=True)
        ]
        slopes = _product_symmetric(inverse, covariance)
        explained = [slope * colour for slope, colour in zip(slopes, mean_colours, strict=True)]
        offset = mean_value - (explained[0] + explained[1] + explained[2])
        return _means([*slopes, offset], self._window, weight)


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


def _enlarged_in_steps(plane: _Plane, shape: tuple[int, ...]) -> _Plane:
    """Give each pixel the value of the grid's cell that it lies in.

    Rows are copied whole: OpenCV's nearest neighbour alone takes three times as long.
    """
    height, width = shape
    wide = cv2.resize(plane, (width, len(plane)), interpolation=cv2.INTER_NEAREST)
    return np.asarray(wide[np.arange(height) * len(plane) // height], np.float32)


def _inverse_symmetric(matrix: Sequence[_Plane]) -> list[_Plane]:
    """Invert a symmetric 3 x 3 matrix at each pixel by its adjugate; the entries as in `_PAIRS`."""
    rr, rg, rb, gg, gb, bb = matrix
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = np.float32(1) / (rr * c_rr + rg * c_rg + rb * c_rb)
    return [entry * scale for entry in (c_rr, c_rg, c_rb, c_gg, c_gb, c_bb)]


def _product_symmetric(matrix: Sequence[_Plane], vector: Sequence[_Plane]) -> list[_Plane]:
    """Multiply a symmetric 3 x 3 matrix by a vector at each pixel; the entries as in `_PAIRS`."""
    rr, rg, rb, gg, gb, bb = matrix
    r, g, b = vector
    return [rr * r + rg * g + rb * b, rg * r + gg * g + gb * b, rb * r + gb * g + bb * b]


def _means(planes: Sequence[_Plane], window: _Size, weight: _Plane | None = None) -> list[_Plane]:
    """Return the mean of each plane in the window around each pixel, by weight if there is one."""
    if weight is None:
        return [_mean(plane, window) for plane in planes]
    share = np.maximum(_mean(weight, window), np.float32(1e-6))
    return [np.asarray(_mean(plane * weight, window) / share) for plane in planes]


def _mean(plane: _Plane, window: _Size) -> _Plane:
    return np.asarray(cv2.blur(plane, window, borderType=cv2.BORDER_REFLECT))
