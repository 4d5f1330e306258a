"""Which pixels of a metric depth image go into its point cloud: what a navigation stack can use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError, KindError
from e2e_depth_ros.core.geometry import depth_edges
from e2e_depth_ros.core.maps import DepthKind, DepthMap

_NEIGHBOUR_REACH = 2  # pixels, of the decimated cloud


@dataclass(frozen=True)
class CloudFilterSettings:
    """What is left out of a cloud. Names are those of rtabmap_util and Nav2.

    Attributes:
        min_depth: Nearer points are left out, metres.
        max_depth: Farther points are left out, metres.
        confidence_threshold: Points of lower confidence are left out, 0..1; 0 keeps all.
        remove_edges: Whether to leave out points at depth edges, which fly between two surfaces.
        decimation: Only every n-th row and column is kept.
        voxel_size: Of each cube of this edge length at most one point is kept, metres; 0 keeps all.
        noise_filter_radius: Within this distance a point must have others, metres; 0 is off. They are looked
            for among the 24 pixels around it.
        noise_filter_min_neighbors: How many.
        far_returns: Whether pixels without a point within range give one at `max_depth`, so that costmaps
            clear the space before it. Only where depth is valid and beyond.
    """

    min_depth: float = 0.1
    max_depth: float = 80.0
    confidence_threshold: float = 0.0
    remove_edges: bool = True
    decimation: int = 1
    voxel_size: float = 0.0
    noise_filter_radius: float = 0.0
    noise_filter_min_neighbors: int = 5
    far_returns: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_depth < self.max_depth:
            raise InvalidInputError(
                f"expected 0 <= min_depth < max_depth, got {self.min_depth} and {self.max_depth}"
            )
        if not 0 <= self.confidence_threshold <= 1:
            raise InvalidInputError(
                f"expected confidence_threshold within 0..1, got {self.confidence_threshold}"
            )
        if self.decimation < 1 or self.noise_filter_min_neighbors < 1:
            raise InvalidInputError(
                "expected decimation and noise_filter_min_neighbors of at least 1, "
                f"got {self.decimation} and {self.noise_filter_min_neighbors}"
            )
        if not (self.voxel_size >= 0 and self.noise_filter_radius >= 0):
            raise InvalidInputError(
                "expected voxel_size and noise_filter_radius of at least 0, "
                f"got {self.voxel_size} and {self.noise_filter_radius}"
            )


def filtered_depth(
    depth: DepthMap,
    settings: CloudFilterSettings,
    *,
    confidence: NDArray[np.float32] | None = None,
    edges: NDArray[np.bool_] | None = None,
) -> DepthMap:
    """Invalidate what the image alone shows to be unfit: range, confidence, depth edges; and decimate.

    Args:
        depth: METRIC.
        settings: What to leave out.
        confidence: (H, W), 0..1; required if there is a threshold.
        edges: (H, W), depth edges, if they are known already.

    Returns:
        Metric depth of the same size; far returns are at `max_depth`.

    Raises:
        KindError: The depth is not metric.
        InvalidInputError: There is a threshold but no confidence, or it has another size.
    """
    if depth.kind is not DepthKind.METRIC:
        raise KindError(f"expected metric depth for a cloud, got {depth.kind.value} depth")
    values = depth.values
    with np.errstate(invalid="ignore"):
        too_far = depth.valid & (values > np.float32(settings.max_depth))
        keep = depth.valid & (values >= np.float32(settings.min_depth))
    keep &= ~too_far
    if settings.confidence_threshold > 0:
        if confidence is None or confidence.shape != depth.size:
            got = None if confidence is None else confidence.shape
            raise InvalidInputError(f"expected confidence of shape {depth.size} for a threshold, got {got}")
        keep &= confidence >= np.float32(settings.confidence_threshold)
    if settings.remove_edges:
        keep &= ~(depth_edges(values, depth.valid) if edges is None else edges)
    if settings.far_returns:
        values = np.where(too_far, np.float32(settings.max_depth), values)
        keep |= too_far
    if settings.decimation > 1:
        kept = np.zeros_like(keep)
        kept[:: settings.decimation, :: settings.decimation] = True
        keep &= kept
    return DepthMap(values, keep, DepthKind.METRIC)


def kept_points(points_m: NDArray[np.float32], settings: CloudFilterSettings) -> NDArray[np.bool_]:
    """Choose points by their neighbourhood in space: no isolated ones, and one for each voxel.

    Args:
        points_m: (H, W, 3), metres; NaN where there is none.
        settings: Radius, count and voxel size.

    Returns:
        (H, W), True for the points to keep.

    Raises:
        InvalidInputError: The points have another shape.
    """
    if points_m.ndim != 3 or points_m.shape[2] != 3:
        raise InvalidInputError(f"expected points of shape (H, W, 3), got {points_m.shape}")
    keep: NDArray[np.bool_] = np.isfinite(points_m[..., 2])
    if settings.noise_filter_radius > 0:
        step = settings.decimation
        keep[::step, ::step] &= ~_isolated(points_m[::step, ::step], settings)
    if settings.voxel_size > 0:
        keep &= _first_of_voxels(points_m, keep, settings.voxel_size)
    return keep


def _isolated(points_m: NDArray[np.float32], settings: CloudFilterSettings) -> NDArray[np.bool_]:
    """Points with too few others within the radius, looked for among the pixels around them.

    In an organised cloud what is near in space is near in the image, which saves a search tree.

    Args:
        points_m: (H, W, 3), decimated already; NaN where there is none.
        settings: Radius and count.
    """
    height, width = points_m.shape[:2]
    planes = [np.ascontiguousarray(points_m[..., axis]) for axis in range(3)]
    count = np.zeros((height, width), dtype=np.int32)
    limit = np.float32(settings.noise_filter_radius**2)
    reach = _NEIGHBOUR_REACH
    # One of each pair of opposite steps; a pair of pixels then counts for both.
    steps = [(0, right) for right in range(1, reach + 1)]
    steps += [(down, right) for down in range(1, reach + 1) for right in range(-reach, reach + 1)]
    for down, right in steps:
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width - max(0, -right))
        square = np.zeros(planes[0][here].shape, dtype=np.float32)
        for plane in planes:
            difference = plane[here] - plane[there]
            difference *= difference
            square += difference
        near = square <= limit  # False for NaN
        count[here] += near
        count[there] += near
    result: NDArray[np.bool_] = count < settings.noise_filter_min_neighbors
    return result


def _first_of_voxels(
    points_m: NDArray[np.float32], given: NDArray[np.bool_], voxel_size: float
) -> NDArray[np.bool_]:
    index = np.flatnonzero(given)
    if len(index) == 0:
        return given
    cell = np.floor(points_m.reshape(-1, 3)[index] * np.float32(1 / voxel_size)).astype(np.int64)
    cell -= cell.min(axis=0)
    # 21 bits an axis.
    first = _first_of_equals((cell[:, 0] << 42) + (cell[:, 1] << 21) + cell[:, 2])
    result = np.zeros(given.shape, dtype=np.bool_)
    result.reshape(-1)[index[first]] = True
    return result


def _first_of_equals(key: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index of the first of all elements of each value, in linear time, by hashing."""
    pending = np.arange(len(key))
    bits = max(10, len(key).bit_length() + 1)
    table = np.empty(1 << bits, dtype=np.intp)
    found = []
    factor = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio (Knuth, 1998, section 6.4)
    while len(pending):
        own = key[pending]
        slot = (own.astype(np.uint64) * np.uint64(factor)) >> np.uint64(64 - bits)
        # Backwards, so that the first of those that share a slot stays in it.
        table[slot[::-1]] = pending[::-1]
        winner = table[slot]
        found.append(pending[winner == pending])
        # Different values in one slot try again with another hash.
        pending = pending[key[winner] != own]
        factor = factor * 0xD1342543DE82EF95 % 2**64 | 1
    return np.concatenate([np.zeros(0, dtype=np.intp), *found])
