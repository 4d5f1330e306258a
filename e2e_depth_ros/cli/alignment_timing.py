"""Time the way from a point cloud to metric depth, with a LiDAR in a room of known depth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from e2e_depth_ros.alignment import AlignmentTracker, TrackerSettings
from e2e_depth_ros.alignment.samples import samples_from_points, thin
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SAMPLES = 500
"""How many of the cloud's samples are aligned with, as `max_samples` of the node may have it."""

CLOUD = "cloud to samples"
SCALE_AND_SHIFT = "scale and shift"
CORRECTION = "scale, shift and correction"

_ROOM_M = np.array([[-2.0, -1.5, -1.0], [3.0, 0.8, 5.0]])  # two opposite corners, from the camera
_POSE = np.array([[1.0, 0, 0, 0.1], [0, 1, 0, -0.2], [0, 0, 1, 0.05], [0, 0, 0, 1]])  # LiDAR in the camera


def time_alignment(size: tuple[int, int], points: int, steps: Iterable[Any]) -> list[dict[str, float]]:
    """Time a cloud to samples, and samples to metric depth.

    Args:
        size: (H, W) of the camera's image.
        points: In the cloud, all around the LiDAR; about a tenth is seen by the camera.
        steps: Its length is the number of clouds.

    Returns:
        For each cloud the seconds of `CLOUD`, `SCALE_AND_SHIFT` and `CORRECTION`, each on its own.
    """
    height, width = size
    camera = Camera(
        size, np.array([[0.8 * width, 0, 0.5 * width], [0, 0.8 * width, 0.45 * height], [0, 0, 1.0]])
    )
    rng = np.random.default_rng(0)
    v, u = np.indices(size)
    rays = np.stack([u, v, np.ones(size)], axis=-1).reshape(-1, 3) @ np.linalg.inv(camera.intrinsics).T
    depth_m = _distances(np.zeros(3), rays).reshape(size)
    wave = 1 + 0.06 * np.sin(5 * u / width + 3 * v / width)  # a network's smooth error
    relative = DepthMap(
        ((depth_m * wave - 1) / 7).astype(np.float32), np.ones(size, np.bool_), DepthKind.AFFINE_INVARIANT
    )
    image = np.repeat((255 / (1 + depth_m[..., None])).astype(np.uint8), 3, axis=2)
    laps = []
    for _ in steps:
        directions = rng.normal(size=(points, 3))
        cloud = (directions * _distances(_POSE[:3, 3], directions)[:, None]).astype(np.float32)
        begin = time.perf_counter()
        samples = samples_from_points(cloud, _POSE, camera)
        lap = {CLOUD: time.perf_counter() - begin}
        samples = thin(samples, SAMPLES)
        for name, correction in ((SCALE_AND_SHIFT, False), (CORRECTION, True)):
            tracker = AlignmentTracker(TrackerSettings(correction=correction))
            begin = time.perf_counter()
            tracker.update(relative, 0, samples, image=image)
            lap[name] = time.perf_counter() - begin
        laps.append(lap)
    return laps


def _distances(start: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many times each direction (N, 3) fits between a place in the room and its walls."""
    with np.errstate(divide="ignore"):
        to_walls = (_ROOM_M[:, None] - start) / directions  # (2, N, 3)
    result: NDArray[np.float64] = to_walls.max(axis=0).min(axis=1)
    return result
