"""Keypoints from the circles that the network paints around them."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.model.instruct.paint import find_paint

CIRCLE_OPACITY = 1.0
"""InstructDiffusion learned to paint keypoints as filled, opaque circles,"""

CIRCLE_RADIUS = 10 / 256
"""of this radius, as a share of the image's shorter edge."""

_LEAST_OVERLAP = 0.4  # of a blob and the circles it is taken for: intersection over union
_MOST_JOINED = 4  # circles in one blob; what is larger is no keypoint
_REFINEMENTS = 20
_LEAST_RIM = 5  # pixels


class Keypoint(NamedTuple):
    """A point that an instruction means.

    Attributes:
        u_px: Column; the centre of the first pixel is 0.
        v_px: Row.
        confidence: 0..1: how sure its pixels are painted, times how round the blob is.
    """

    u_px: float
    v_px: float
    confidence: float


def keypoints_from_painting(
    painted: NDArray[np.floating],
    original: NDArray[np.floating],
    colour: tuple[int, int, int],
    *,
    radius_px: float | None = None,
) -> list[Keypoint]:
    """Find the circles of one colour.

    Circles that touch are told apart by the area they have together. Blobs that aren't made of circles are
    passed over.

    Args:
        painted: See `find_paint`.
        original: See `find_paint`.
        colour: Of the circles.
        radius_px: Of the circles; None for what the network was trained with.

    Returns:
        The most confident first.

    Raises:
        InvalidInputError: See `find_paint`.
    """
    probability = find_paint(painted, original, colour, CIRCLE_OPACITY).probability
    height, width = probability.shape
    radius = radius_px or CIRCLE_RADIUS * min(height, width)
    count, labels = cv2.connectedComponents((probability > 0.5).astype(np.uint8), connectivity=4)
    found: list[Keypoint] = []
    for label in range(1, count):
        v, u = np.nonzero(labels == label)
        joined = max(1, round(len(u) / (math.pi * radius**2)))
        if joined > _MOST_JOINED:
            continue
        points = np.stack([u, v], axis=1).astype(np.float64)
        weights = probability[v, u].astype(np.float64)
        centres = _centres(points, weights, joined)
        if joined == 1:
            centres = _uncut(points, centres, radius, (height, width))
        overlap = _overlap(points, centres, radius, (height, width))
        if overlap >= _LEAST_OVERLAP:
            nearest = _distances(points, centres).argmin(axis=1)
            found += [
                Keypoint(float(c[0]), float(c[1]), float(weights[nearest == i].mean() * overlap))
                for i, c in enumerate(centres)
            ]
    return sorted(found, key=lambda keypoint: -keypoint.confidence)


def _centres(points: NDArray[np.float64], weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Part points into so many groups (Lloyd's algorithm), started from those farthest apart."""
    centres = np.average(points, axis=0, weights=weights)[None]
    if count == 1:
        return centres
    centres = points[_distances(points, centres).argmax(axis=0)]
    while len(centres) < count:
        farthest = _distances(points, centres).min(axis=1).argmax()
        centres = np.concatenate([centres, points[farthest][None]])
    for _ in range(_REFINEMENTS):
        nearest = _distances(points, centres).argmin(axis=1)
        centres = np.stack(
            [np.average(points[nearest == i], axis=0, weights=weights[nearest == i]) for i in range(count)]
        )
    return centres


def _uncut(
    points: NDArray[np.float64], centre: NDArray[np.float64], radius: float, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Move the centre of a circle that the image's border cuts to where its rim says (Gauss-Newton).

    The centroid of what is left of such a circle lies too far inside.
    """
    last = np.array([size[1] - 1, size[0] - 1])
    at_border = ((points == 0) | (points == last)).any(axis=1)
    if not at_border.any():
        return centre
    blob = np.zeros(size, np.uint8)
    blob[points[:, 1].astype(int), points[:, 0].astype(int)] = 1
    outline = cv2.findContours(blob, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0].astype(np.float64)
    rim = outline[((outline > 0) & (outline < last)).all(axis=1)]
    if len(rim) < _LEAST_RIM:
        return centre
    for _ in range(_REFINEMENTS):
        away = centre - rim
        distance = np.maximum(np.linalg.norm(away, axis=1), 1e-6)
        # The outermost pixels' centres lie half a pixel inside the rim.
        step = np.linalg.lstsq(away / distance[:, None], distance - (radius - 0.5), rcond=None)[0]
        centre = centre - step
    return centre


def _overlap(
    points: NDArray[np.float64], centres: NDArray[np.float64], radius: float, size: tuple[int, int]
) -> float:
    """Return intersection over union of a blob and circles, as far as they are in the image."""
    rows, columns = np.indices(size)
    everywhere = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    circles = int((_distances(everywhere, centres).min(axis=1) <= radius).sum())
    both = int((_distances(points, centres).min(axis=1) <= radius).sum())
    return both / (circles + len(points) - both)


def _distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(points[:, None] - centres[None], axis=2), np.float64)  # (N, K)
