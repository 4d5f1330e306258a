"""Sparse measurements as sensors would take them of a scene whose depth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

_LIDAR_ELEVATION_DEG = {64: 22.5, 32: 20.0, 16: 15.0, 8: 10.0, 4: 5.0}
_LIDAR_STEP_DEG = 0.35
_NOISE = 0.01  # relative, of every measurement
_OCCLUSION_PX = 15  # at a width of 640: how far from an edge a sensor beside the camera sees past it
_SPARSE = 0.5  # share of pixels with depth, below which depth is not dense
_OCCLUDED_SHARE = 0.15
_KINDS = ("random", "lidar", "corners", "patch", "one-depth")


@dataclass(frozen=True)
class SamplingProtocol:
    """How a scene is sampled.

    Attributes:
        kind: random, lidar, corners, patch (all within a tenth of the width) or one-depth (all within 2 %).
        count: Number of samples, for lidar of scan lines; patch and one-depth take up to 200.
        outliers: Share of samples whose depth is random, 0..1.
        occlusion: Whether samples near depth edges see the background through the foreground.
    """

    kind: str
    count: int = 200
    outliers: float = 0.0
    occlusion: bool = False

    @classmethod
    def parse(cls, text: str, *, outliers: float = 0.0, occlusion: bool = False) -> SamplingProtocol:
        """Read "random:500", "lidar:16", "corners:150", "patch" or "one-depth".

        Raises:
            InvalidInputError: The text names no protocol, or the share of outliers is not within 0..1.
        """
        kind, colon, number = text.partition(":")
        needs_count = kind in ("random", "lidar", "corners")
        fine = kind in _KINDS and bool(colon) == needs_count and (not needs_count or number.isdecimal())
        if not fine or (needs_count and int(number) < 1):
            raise InvalidInputError(
                f"expected random:N, lidar:LINES, corners:N, patch or one-depth as samples, got {text!r}"
            )
        if not 0 <= outliers <= 1:
            raise InvalidInputError(f"expected a share of outliers within 0..1, got {outliers}")
        return cls(kind, int(number) if needs_count else 200, outliers, occlusion)

    def __str__(self) -> str:
        name = f"{self.kind}:{self.count}" if self.kind in ("random", "lidar", "corners") else self.kind
        return (
            name
            + (f" {self.outliers:.0%} outliers" if self.outliers else "")
            + (" occlusion" if self.occlusion else "")
        )


@dataclass(frozen=True, eq=False)
class PixelSamples:
    """Measurements at whole pixels.

    Attributes:
        rows: (N,), int.
        columns: (N,), int.
        depth_m: (N,), float64, metres, with noise and outliers.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    depth_m: NDArray[np.float64]


def draw_samples(
    depth_m: NDArray[Any],
    image: NDArray[np.uint8],
    focal_px: float,
    protocol: SamplingProtocol,
    rng: np.random.Generator,
) -> PixelSamples:
    """Measure a scene.

    Args:
        depth_m: (H, W), metres; NaN, or not positive, where unknown: there is nothing measured there.
        image: (H, W, 3), RGB, in which corners are looked for.
        focal_px: Focal length, pixels, for the lines of a LiDAR at the camera.
        protocol: How to sample.
        rng: Source of places, noise and outliers.

    Returns:
        The samples; there may be fewer than asked for, and none where nothing is known.
    """
    depth = np.nan_to_num(np.asarray(depth_m, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    known = depth > 0
    if protocol.kind == "random":
        place = _chosen(np.flatnonzero(known), protocol.count, rng)
    elif protocol.kind == "lidar":
        lines = _lidar_pixels(depth.shape, focal_px, protocol.count)
        if known.mean() < _SPARSE:  # the lines of a real LiDAR need a little width to meet simulated ones
            lines = np.asarray(cv2.dilate(lines, np.ones((5, 1), np.uint8)), dtype=np.uint8)
        place = np.flatnonzero((lines > 0) & known)
    elif protocol.kind == "corners":
        place = _nearest_known(_corner_pixels(image, protocol.count), known)
    elif protocol.kind == "patch":
        place = _chosen(np.flatnonzero(_patch(known, rng)), protocol.count, rng)
    else:
        around = rng.choice(depth[known]) if known.any() else 0.0
        place = _chosen(np.flatnonzero(known & (np.abs(depth - around) < 0.02 * around)), protocol.count, rng)
    rows, columns = np.unravel_index(place, depth.shape)
    measured = depth[rows, columns] * (1 + _NOISE * rng.standard_normal(len(place)))
    if protocol.occlusion:
        _see_through_edges(measured, depth, rows, columns, rng)
    if protocol.outliers and len(place):
        wrong = _chosen(np.arange(len(place)), round(protocol.outliers * len(place)), rng)
        nearest, farthest = np.percentile(depth[known], [0.5, 99.5])
        measured[wrong] = rng.uniform(nearest, farthest, len(wrong))
    return PixelSamples(rows, columns, measured)


def _chosen(items: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    result: NDArray[np.intp] = rng.choice(items, min(count, len(items)), replace=False)
    return result


def _lidar_pixels(size: tuple[int, ...], focal_px: float, lines: int) -> NDArray[np.uint8]:
    """Pixels, marked 1, that the scan lines of a spinning LiDAR at the camera's place fall on."""
    height, width = size
    most = _LIDAR_ELEVATION_DEG.get(lines, 15.0)
    elevation = np.deg2rad(np.linspace(-most, most, lines) if lines > 1 else np.zeros(1))[:, None]
    azimuth = np.deg2rad(np.arange(-65, 65, _LIDAR_STEP_DEG))[None]
    u = np.rint((width - 1) / 2 + focal_px * np.tan(azimuth) + 0 * elevation).astype(int)
    v = np.rint((height - 1) / 2 - focal_px * np.tan(elevation) / np.cos(azimuth)).astype(int)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    hit = np.zeros((height, width), dtype=np.uint8)
    hit[v[inside], u[inside]] = 1
    return hit


def _nearest_known(place: NDArray[np.intp], known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Keep the places with depth; where depth is sparse, move the others to the nearest depth close by."""
    flat = known.reshape(-1)
    if known.mean() >= _SPARSE or not known.any():
        return place[flat[place]]
    distance, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place_of_label = np.zeros(int(label.max()) + 1, dtype=np.intp)
    place_of_label[label.reshape(-1)[flat]] = np.flatnonzero(flat)
    near = place[distance.reshape(-1)[place] < 8 * known.shape[1] / 640]
    return np.unique(place_of_label[label.reshape(-1)[near]])


def _corner_pixels(image: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Flat indices of the strongest corners, as a visual SLAM would track them (Shi and Tomasi, 1994)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    width = gray.shape[1]
    corners: NDArray[Any] | None = cv2.goodFeaturesToTrack(gray, count, 0.01, max(1.0, 8 * width / 640))
    if corners is None or len(corners) == 0:
        return np.zeros(0, dtype=np.intp)
    u, v = np.asarray(corners).reshape(-1, 2).astype(np.intp).T
    return np.asarray(v * width + u)


def _patch(known: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns = np.nonzero(known)
    patch = np.zeros_like(known)
    if len(rows):
        centre = rng.integers(len(rows))
        radius = max(1, known.shape[1] // 20)
        top, left = max(0, rows[centre] - radius), max(0, columns[centre] - radius)
        patch[top : rows[centre] + radius + 1, left : columns[centre] + radius + 1] = True
    result: NDArray[np.bool_] = patch & known
    return result


def _see_through_edges(
    measured: NDArray[np.float64],
    depth: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    rng: np.random.Generator,
) -> None:
    """Give samples on the foreground side of depth edges the depth of the background, in place."""
    reach = max(1, round(_OCCLUSION_PX * depth.shape[1] / 640))
    background = cv2.dilate(depth, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))[rows, columns]
    beside_edge = np.flatnonzero(background > 1.2 * depth[rows, columns])
    wrong = _chosen(beside_edge, max(1, int(_OCCLUDED_SHARE * len(measured))), rng)
    measured[wrong] = background[wrong]
