"""Outlines from the image for maps that come from a coarser grid."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

GRID_PX: Final = 160
"""Longer edge, pixels, of the grid on which the filter looks for outlines."""
RADIUS: Final = 4
"""Half the width of its windows, pixels of that grid."""
EPSILON: Final = 1e-3
"""Variance of the image, of colours in 0..1, below which a window counts as even."""

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


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
    functions = _affine_functions(coarse, known, colours, window, epsilon)
    everywhere = cv2.resize(functions, (width, height), interpolation=cv2.INTER_LINEAR)
    # Written in place, plane by plane: this runs at the image's full size.
    followed = np.ascontiguousarray(everywhere[..., 3], dtype=np.float32)
    for channel in range(3):
        plane = cv2.multiply(everywhere[..., channel], image[..., channel], scale=1 / 255, dtype=cv2.CV_32F)
        followed += plane
    kernel = np.ones(window, np.uint8)
    for limit, extreme, unknown in ((np.maximum, cv2.erode, np.inf), (np.minimum, cv2.dilate, -np.inf)):
        filled = coarse if known is None else np.where(known, coarse, np.float32(unknown))
        nearby = extreme(filled, kernel)
        limit(followed, cv2.resize(nearby, (width, height), interpolation=cv2.INTER_NEAREST), out=followed)
    if known is not None:
        followed[np.isnan(values)] = np.nan
    return followed


def _on_grid(
    values: NDArray[np.float32], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
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
    coarse: NDArray[np.float32],
    known: NDArray[np.bool_] | None,
    colours: NDArray[np.float32],
    window: tuple[int, int],
    epsilon: float,
) -> NDArray[np.float32]:
    """Fit the map by the colours of each window: slopes and offset, averaged over windows, (h, w, 4)."""
    share = np.float32(1) if known is None else np.maximum(_mean(known.astype(np.float32), window), 1e-6)
    weight = np.float32(1) if known is None else known.astype(np.float32)

    def mean(array: NDArray[np.float32]) -> NDArray[np.float32]:
        if array.ndim == 3 and known is not None:
            return np.asarray(_mean(array * weight[..., None], window) / share[..., None], np.float32)
        return np.asarray(_mean(array * weight, window) / share, np.float32)

    mean_colour, mean_value = mean(colours), mean(coarse)
    covariance = mean(colours * coarse[..., None]) - mean_colour * mean_value[..., None]
    products = mean(np.stack([colours[..., i] * colours[..., j] for i, j in _PAIRS], axis=-1))
    rr, rg, rb, gg, gb, bb = (
        products[..., k] - mean_colour[..., i] * mean_colour[..., j] for k, (i, j) in enumerate(_PAIRS)
    )
    slopes = _solve_symmetric(rr + epsilon, rg, rb, gg + epsilon, gb, bb + epsilon, covariance)
    offset = mean_value - (slopes * mean_colour).sum(axis=-1)
    return mean(np.concatenate([slopes, offset[..., None]], axis=-1).astype(np.float32))


def _solve_symmetric(
    rr: NDArray[Any],
    rg: NDArray[Any],
    rb: NDArray[Any],
    gg: NDArray[Any],
    gb: NDArray[Any],
    bb: NDArray[Any],
    right: NDArray[Any],
) -> NDArray[Any]:
    """Solve a symmetric 3 x 3 system at each pixel by its adjugate: (h, w) each, right side (h, w, 3)."""
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c_rr + rg * c_rg + rb * c_rb
    r, g, b = right[..., 0], right[..., 1], right[..., 2]
    solved = np.stack(
        [c_rr * r + c_rg * g + c_rb * b, c_rg * r + c_gg * g + c_gb * b, c_rb * r + c_gb * g + c_bb * b],
        axis=-1,
    )
    return np.asarray(solved / determinant[..., None])


def _mean(array: NDArray[Any], window: tuple[int, int]) -> NDArray[Any]:
    return np.asarray(cv2.blur(array, window, borderType=cv2.BORDER_REFLECT))
