"""Images made smaller or larger, and maps brought back: the steps of a network's framing, without torch."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize an image bilinearly, over as many pixels as one of the result stands for.

    The half-pixel rule, as Pillow and torch do it with antialiasing, without rounding in between.

    Args:
        image: (H, W, C).
        size: (h, w) of the result.

    Returns:
        (C, h, w), of the image's own range.
    """
    height, width = size
    rows = _resized_rows(image.astype(np.float32), height)  # (h, W, C)
    columns = _resized_rows(np.ascontiguousarray(rows.transpose(1, 0, 2)), width)  # (w, h, C)
    return np.ascontiguousarray(columns.transpose(2, 1, 0))


def enlarged(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map bilinearly between its pixels, by the half-pixel rule and without antialiasing.

    Args:
        plane: (h, w).
        size: (H, W) of the result.
    """
    if plane.shape == size:
        return plane
    height, width = size
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _resized_rows(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Resize along the first axis."""
    if len(values) == length:
        return values
    places, weights = _taps(len(values), length)
    result = np.zeros((length, *values.shape[1:]), np.float32)
    part = np.empty_like(result)
    for place, weight in zip(places, weights, strict=True):  # numpy alone: a BLAS would wake its threads
        np.take(values, place, axis=0, out=part)
        part *= weight[:, None, None]
        result += part
    return result


@lru_cache(maxsize=8)  # a camera's size doesn't change
def _taps(length: int, new_length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find which values make a value of the result, and their shares: a triangle over them.

    Returns:
        (K, new_length) each: places among `length`, and weights that sum to 1.
    """
    scale = length / new_length
    reach = max(scale, 1.0)
    centres = (np.arange(new_length) + 0.5) * scale
    first = np.maximum(np.floor(centres - reach + 0.5).astype(np.intp), 0)
    end = np.minimum(np.floor(centres + reach + 0.5).astype(np.intp), length)
    places = first + np.arange(int((end - first).max()))[:, None]
    weights = np.maximum(1 - np.abs((places + 0.5 - centres) / reach), 0)
    weights[places >= end] = 0
    weights /= weights.sum(axis=0)
    return np.minimum(places, length - 1), weights.astype(np.float32)
