"""Sparse measured depth as an image, which a network can start from where it otherwise starts from zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.neighbours import lack_of_support

_TRUSTED = 0.5  # samples trusted less say nothing about the range
_LEAST_TRUSTED = 3  # fewer can't tell a range
_ENDS = (2.0, 98.0)  # percentiles of what is measured,
_MARGIN = (0.1, 0.15)  # beyond which depth goes on by so much of log depth, and by so much of the range
_LEAST_HALF_RANGE = 0.3  # of log depth
_MOST = 1.5  # half ranges from the centre that are told apart
_REACH_PX = 6.0  # distance at which closeness falls to 1 / e
_LEAST_SHARE = 0.25  # of closeness that a sample keeps which nothing supports
_LEAST_WEIGHT = 1e-3  # of a sample, lest all be lost where none is supported
_COARSER = 0.15  # weight of a sample that the coarser level counts for


@dataclass(frozen=True, eq=False)
class Hint:
    """What was measured, at the size that a network works at, in units of its own range.

    Convention:
        Log depth is `centre` + `half_range` * value; the network answers in the same units, so its -1 and 1
        lie a little beyond the nearest and the farthest that was measured.

    Attributes:
        pixels: (3, h, w), float32: log depth filled in smoothly between trusted samples; that of the nearest
            sample; closeness of that one and trust in it, from -1 far away to 1 at one that others support.
        centre: Log of metres.
        half_range: Log of a factor of depth.
    """

    pixels: NDArray[np.float32]
    centre: float
    half_range: float

    def depth_m(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Depth, metres, of values in units of the range, of any shape."""
        log_depth = np.float32(self.centre) + np.float32(self.half_range) * values.astype(np.float32)
        return np.asarray(np.exp(log_depth), np.float32)


def hint_from_samples(
    u_px: NDArray[Any], v_px: NDArray[Any], depth_m: NDArray[Any], size: tuple[int, int]
) -> Hint:
    """Fill in between samples.

    Convention:
        Pixel (0, 0) is centred at (0, 0).

    Args:
        u_px: (N,), columns of the image that is hinted at; N at least 1.
        v_px: (N,), rows.
        depth_m: (N,), metres, positive. Outliers may be among them.
        size: (h, w) of the image.
    """
    height, width = size
    u, v = np.asarray(u_px, np.float32), np.asarray(v_px, np.float32)
    log_depth = np.log(np.asarray(depth_m, np.float32))
    trust = 1 / (1 + lack_of_support(u, v, log_depth) ** 4)
    trusted = trust > _TRUSTED
    if np.count_nonzero(trusted) < _LEAST_TRUSTED:
        trusted[:] = True
    low, high = np.percentile(log_depth[trusted], _ENDS)
    half_range = max((high - low) / 2 + _MARGIN[0] + _MARGIN[1] * (high - low), _LEAST_HALF_RANGE)
    centre = (low + high) / 2
    values = np.clip((log_depth - centre) / half_range, -_MOST, _MOST).astype(np.float32)

    order = np.argsort(trust, kind="stable")  # of several in one pixel the most trusted stays
    column = np.clip(np.rint(u), 0, width - 1).astype(np.intp)[order]
    row = np.clip(np.rint(v), 0, height - 1).astype(np.intp)[order]
    value, weight, absent = np.zeros(size, np.float32), np.zeros(size, np.float32), np.ones(size, np.uint8)
    value[row, column], weight[row, column], absent[row, column] = values[order], trust[order], 0
    filled = _filled(value, np.where(absent, np.float32(0), np.maximum(weight, np.float32(_LEAST_WEIGHT))))
    distance, label = cv2.distanceTransformWithLabels(absent, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros((2, int(label.max()) + 1), np.float32)
    of_label[:, label[absent == 0]] = value[absent == 0], weight[absent == 0]
    nearest, nearest_trust = of_label[:, label]
    closeness = np.exp(-distance / np.float32(_REACH_PX))
    closeness *= np.float32(_LEAST_SHARE) + np.float32(1 - _LEAST_SHARE) * nearest_trust
    return Hint(np.stack([filled, nearest, 2 * closeness - 1]), float(centre), float(half_range))


def _filled(value: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill in between weighted pixels by averages over ever larger cells (push-pull)."""
    levels = [(value * weight, weight)]
    while min(levels[-1][1].shape) > 2:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    total, weights = levels[-1]
    filled = np.full(total.shape, total.sum() / weights.sum(), np.float32)
    for total, weights in reversed(levels):
        if filled.shape != total.shape:
            filled = cv2.resize(filled, total.shape[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        filled = (total + np.float32(_COARSER) * filled) / (weights + np.float32(_COARSER))
    return filled


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum over cells of 2 x 2 pixels, and blur a little across their borders."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)))
    summed = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    return np.asarray(cv2.GaussianBlur(summed, (3, 3), 0.6), np.float32)
