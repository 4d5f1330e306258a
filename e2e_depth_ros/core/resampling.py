"""Images made smaller or larger, and maps brought back: the steps of a network's framing, without torch."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.threads import one_thread


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize an image bilinearly, over as many pixels as one of the result stands for.

    The half-pixel rule, as Pillow and torch do it with antialiasing, without rounding in between.

    Args:
        image: (H, W, 3).
        size: (h, w) of the result.

    Returns:
        (3, h, w), of the image's own range.
    """
    height, width = size
    with one_thread():  # of a large image BLAS would share a row among threads
        rows = _resized_rows(image.astype(np.float32), height)  # (h, W, 3)
        columns = _resized_rows(np.asarray(cv2.transpose(rows), np.float32), width)  # (w, h, 3)
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
    flat = values.reshape(len(values), -1)
    result = np.empty((length, flat.shape[1]), np.float32)
    for row, (first, weights) in zip(result, _taps(len(values), length), strict=True):
        np.dot(weights, flat[first : first + len(weights)], out=row)
    return result.reshape(length, *values.shape[1:])


@lru_cache(maxsize=8)  # a camera's size doesn't change
def _taps(length: int, new_length: int) -> list[tuple[int, NDArray[np.float32]]]:
    """Find which values make a value of the result, and their shares: a triangle over them.

    Returns:
        For each value of the result the first of its places among `length`, and the weights of that and the
        following ones, which sum to 1.
    """
    scale = length / new_length
    reach = max(scale, 1.0)
    taps = []
    for centre in (np.arange(new_length) + 0.5) * scale:
        first, end = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), length)
        weights = np.maximum(1 - np.abs((np.arange(first, end) + 0.5 - centre) / reach), 0)
        taps.append((first, (weights / weights.sum()).astype(np.float32)))
    return taps
