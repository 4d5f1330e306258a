"""Sparse measurements of a training view, as sensors would take them, with the faults that they have."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.training.recipe import SamplesRecipe

_LEAST_KNOWN = 500  # pixels with depth, without which a view is not sampled
_LEAST = 5  # samples; fewer are none
_LEAST_DEPTH_M = 0.03
_EDGE_PX = 7  # across which a sensor beside the camera sees past an edge
_BEHIND = 1.2  # times the depth of an edge's foreground, that the background has at least


class DrawnSamples(NamedTuple):
    """Samples of a view.

    Attributes:
        u_px: (N,), columns.
        v_px: (N,), rows.
        depth_m: (N,), metres, positive.
    """

    u_px: NDArray[np.intp]
    v_px: NDArray[np.intp]
    depth_m: NDArray[np.float32]


def draw_training_samples(
    depth_m: NDArray[np.float32], image: NDArray[np.uint8], recipe: SamplesRecipe, rng: np.random.Generator
) -> DrawnSamples | None:
    """Measure a view sparsely: at random, along the lines of a LiDAR, or where the image has corners.

    Args:
        depth_m: (H, W), metres; 0 where unknown.
        image: (H, W, 3), RGB.
        recipe: How often, and how wrongly.
        rng: The only source of randomness.

    Returns:
        At least 5 samples; None where there is too little depth.
    """
    known = (depth_m > 0) & (depth_m < recipe.max_depth_m)
    if np.count_nonzero(known) < _LEAST_KNOWN:
        return None
    patterns = np.array([recipe.random, recipe.lidar, recipe.corners])
    kind = rng.choice(len(patterns), p=patterns / patterns.sum())
    if kind == 0:
        weight = known.ravel() / known.sum()
        v, u = _chosen(weight, _log_uniform(rng, 20, 1000), known.shape, rng)
    elif kind == 1:
        v, u = np.nonzero(_lidar_lines(known.shape, rng) & known)
    else:
        weight = (_gradient(image) ** rng.uniform(0.7, 2) + 1e-3) * known
        v, u = _chosen(weight.ravel() / weight.sum(), _log_uniform(rng, 30, 400), known.shape, rng)
    if rng.random() < recipe.missing:
        keep = _outside_rectangle(u, v, known.shape, rng)
        u, v = u[keep], v[keep]
    if len(u) < _LEAST:
        return None
    noise = 0.01 if rng.random() < 0.7 else rng.uniform(0, 0.03)
    measured = depth_m[v, u] * (1 + noise * rng.standard_normal(len(u)))
    if rng.random() < recipe.parallax:
        behind = cv2.dilate(depth_m, np.ones((_EDGE_PX, _EDGE_PX), np.uint8))[v, u]
        measured = np.where((behind > _BEHIND * measured) & (rng.random(len(u)) < 0.4), behind, measured)
    if rng.random() < recipe.outliers:
        wrong = rng.random(len(u)) < rng.uniform(0, recipe.most_outliers)
        nearest, farthest = np.percentile(depth_m[known], [0.5, 99.5])
        anywhere = rng.uniform(nearest, farthest, len(u))
        scaled = measured * np.exp(rng.uniform(-1, 1, len(u)))
        measured = np.where(wrong, anywhere if rng.random() < 0.7 else scaled, measured)
    return DrawnSamples(u, v, np.maximum(measured, _LEAST_DEPTH_M).astype(np.float32))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> int:
    return int(np.exp(rng.uniform(math.log(low), math.log(high))))


def _chosen(
    weight: NDArray[Any], count: int, size: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.intp], ...]:
    """Rows and columns of pixels drawn by weight, each once."""
    count = min(count, int(np.count_nonzero(weight)))
    return np.unravel_index(rng.choice(len(weight), count, replace=False, p=weight), size)


def _lidar_lines(size: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark the pixels of 2 to 64 scan lines: tilted, curved, sparser or denser along the line."""
    height, width = size
    span = rng.uniform(0.35, 1.1) * height
    lines = max(2, min(_log_uniform(rng, 4, 64), int(span / 1.6)))
    across = np.arange(rng.uniform(0, 1), width, rng.uniform(0.6, 3)) - width / 2
    tilt, curve = math.tan(math.radians(rng.normal(0, 3))), rng.uniform(0, 0.12)
    offset = span * np.linspace(-0.5, 0.5, lines)[:, None] * (1 + curve * (2 * across / width) ** 2)
    row = np.rint(height / 2 + rng.normal(0, 0.12 * height) + offset + tilt * across).astype(int)
    column = np.broadcast_to(np.rint(across + width / 2).astype(int), row.shape)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    marked = np.zeros(size, np.bool_)
    marked[row[inside], column[inside]] = True
    return marked


def _gradient(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(gray, (0, 0), 1)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.asarray(np.hypot(across, down), np.float32)


def _outside_rectangle(
    u: NDArray[np.intp], v: NDArray[np.intp], size: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.bool_]:
    height, width = size
    far_down = np.abs(v - rng.uniform(0, height)) > rng.uniform(0.1, 0.5) * height
    far_across = np.abs(u - rng.uniform(0, width)) > rng.uniform(0.1, 0.5) * width
    return np.asarray(far_down | far_across)
