"""A scene whose depth is known, and samples of it, for the tests of this room."""

from __future__ import annotations

import cv2
import numpy as np

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.maps import DepthKind, DepthMap

SIZE = (90, 120)  # (H, W)
SCALE, SHIFT_M = 3.5, 1.25


def camera(size=SIZE):
    intrinsics = np.array([[100.0, 0, 57.0], [0, 95.0, 41.0], [0, 0, 1]])
    return Camera(size=size, intrinsics=intrinsics)


def scene_relative():
    """Relative depth, 0 to 1: a slope from the lower left to the far upper right, with a box before it."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    relative = 0.25 + 0.55 * (u / SIZE[1]) + 0.2 * (1 - v / SIZE[0])
    relative[50:80, 30:60] = 0.08
    return (relative - relative.min()) / (relative.max() - relative.min())


def as_map(values, kind=DepthKind.AFFINE_INVARIANT):
    values = np.asarray(values, dtype=np.float32)
    return DepthMap(values, np.isfinite(values), kind)


def affine_model(scale, shift_m, low, high, kind):
    """The model of a scale and shift over a range of relative values."""
    extent = scale * (high - low)
    return AffineModel(low, high, extent, (shift_m + scale * low) / extent, kind)


def metric_from(relative):
    return (SCALE * relative + SHIFT_M).astype(np.float32)


def smooth_error(rng, amplitude=0.06):
    """A smooth error of log depth, as networks make it."""
    coarse = rng.standard_normal((5, 6)).astype(np.float32)
    return amplitude * cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def planted(count, seed=0, *, scale=SCALE, shift=SHIFT_M, noise=0.0, outliers=0.0):
    """Samples without a scene: relative depth in 0..1, depth, and which of them are outliers."""
    rng = np.random.default_rng(seed)
    r = rng.random(count)
    z = (scale * r + shift) * np.exp(noise * rng.standard_normal(count))
    wrong = rng.permutation(count) < round(outliers * count)
    z[wrong] = rng.uniform(shift, scale + shift, wrong.sum())
    return r, z, wrong


def draw(depth_m, count, rng, *, noise=0.0, outliers=0.0):
    """Random samples: u, v, depth, and which of them are outliers."""
    flat = rng.choice(depth_m.size, count, replace=False)
    v, u = np.unravel_index(flat, depth_m.shape)
    z = depth_m[v, u].astype(np.float64) * (1 + noise * rng.standard_normal(count))
    wrong = np.zeros(count, dtype=bool)
    wrong[rng.choice(count, round(outliers * count), replace=False)] = True
    z[wrong] = rng.uniform(depth_m.min(), depth_m.max(), wrong.sum())
    return u.astype(np.float32), v.astype(np.float32), z, wrong


def abs_rel(depth_m, truth_m):
    return float(np.mean(np.abs(depth_m - truth_m) / truth_m))
