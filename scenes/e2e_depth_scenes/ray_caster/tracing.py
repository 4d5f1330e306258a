"""First hits of the camera's rays, and what the light sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_scenes.ray_caster.materials import Material
from e2e_depth_scenes.ray_caster.solids import Array, Solid

_NEAR_M = 0.02
_THINNEST_PX = 0.3  # thinner things would only flicker


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera in the world: square pixels, principal point in the middle, no distortion.

    Attributes:
        size: (H, W).
        focal_px: Focal length, pixels.
        eye: (3,), world, metres.
        axes: (3, 3), rows are the camera's right, down and forward in the world.
    """

    size: tuple[int, int]
    focal_px: float
    eye: Array
    axes: Array

    def directions(self) -> Array:
        """Return each pixel's ray in the world, (3, H, W), with 1 along the forward axis: t is depth."""
        height, width = self.size
        x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / self.focal_px
        y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / self.focal_px
        right, down, forward = (axis[:, None, None] for axis in self.axes)
        return np.asarray(right * x + down * y[:, None] + forward, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Hits:
    """What each pixel shows, flat; only pixels that show something.

    Attributes:
        pixel: (N,), index into the flat image.
        depth_m: (N,), along the forward axis.
        points: (3, N), world.
        normals: (3, N), world, unit, towards the camera.
        u: (N,), texture coordinate, metres.
        v: (N,), texture coordinate, metres.
        material: (N,), index into `materials`.
        materials: The materials in view.
        solid: (H, W), index of the solid, -1 where nothing is.
    """

    pixel: NDArray[np.int64]
    depth_m: Array
    points: Array
    normals: Array
    u: Array
    v: Array
    material: NDArray[np.int32]
    materials: list[Material]
    solid: NDArray[np.int32]


def first_hits(solids: list[Solid], view: View, max_depth_m: float) -> Hits:
    """Find the nearest solid on each pixel's ray, and the surface there."""
    directions = view.directions()
    origin = view.eye.reshape(3, 1)
    depth = np.full(view.size, np.float32(max_depth_m))
    solid = np.full(view.size, -1, np.int32)
    nearest, windows = _windows(solids, view)
    visible = np.flatnonzero((windows[:, 0] < windows[:, 1]) & (windows[:, 2] < windows[:, 3]))
    for number in visible[np.argsort(nearest[visible])]:
        top, bottom, left, right = windows[number]
        window = np.s_[top:bottom, left:right]
        if depth[window].max() <= nearest[number]:
            continue  # hidden behind what is there
        t = solids[number].intersect(origin, directions[:, top:bottom, left:right].reshape(3, -1))
        t = t.reshape(bottom - top, right - left)
        closer = t < depth[window]
        np.copyto(depth[window], t, where=closer)
        np.copyto(solid[window], np.int32(number), where=closer)
    return _surfaces(solids, view.eye.reshape(3, 1), directions, depth, solid)


def _surfaces(
    solids: list[Solid], origin: Array, directions: Array, depth: Array, solid: NDArray[np.int32]
) -> Hits:
    flat = solid.ravel()
    pixel = np.argsort(flat, kind="stable")
    pixel = pixel[np.searchsorted(flat[pixel], 0) :]  # without the sky
    t, which = depth.ravel()[pixel], flat[pixel]
    rays = directions.reshape(3, -1)[:, pixel]
    points = origin + rays * t
    normals, u, v = np.empty_like(points), np.empty_like(t), np.empty_like(t)
    material, materials = np.empty(len(t), np.int32), list[Material]()
    begins = np.flatnonzero(np.diff(which, prepend=-1))
    ends = np.flatnonzero(np.diff(which, append=-1)) + 1  # none, as there are no begins, where all is sky
    for begin, end in zip(begins, ends, strict=True):
        one, part = solids[which[begin]], np.s_[begin:end]
        normals[:, part], u[part], v[part], face = one.surface(points[:, part])
        material[part] = len(materials) + (face if len(one.materials) > 1 else 0)
        materials += one.materials
    normals *= np.where((normals * rays).sum(axis=0) > 0, np.float32(-1), np.float32(1))
    return Hits(pixel, t, points, normals, u, v, material, materials, solid)


def _windows(solids: list[Solid], view: View) -> tuple[Array, NDArray[np.int64]]:
    """Return each solid's least depth, and the window it may cover: top, bottom, left, right."""
    height, width = view.size
    nearest = np.zeros(len(solids), np.float32)
    windows = np.tile(np.array([0, height, 0, width]), (len(solids), 1))
    bounded = [i for i, one in enumerate(solids) if one.corners is not None]
    if not bounded:
        return nearest, windows
    corners = np.stack([np.asarray(solids[i].corners) for i in bounded])  # (B, 3, 8), world
    local = view.axes @ (corners - view.eye.reshape(3, 1))
    # Edges that pass the near plane are cut there: a wall beside the camera fills only its own side.
    start, end = local[:, :, _EDGES[0]], local[:, :, _EDGES[1]]  # (B, 3, 12)
    span = end[:, 2] - start[:, 2]
    cut = (_NEAR_M - start[:, 2]) / np.where(span == 0, 1, span)
    crosses = (start[:, 2] < _NEAR_M) != (end[:, 2] < _NEAR_M)
    cuts = start + (end - start) * cut[:, None]
    x, y, z = (np.concatenate([local[:, i], cuts[:, i]], axis=1) for i in range(3))
    usable = np.concatenate([local[:, 2] >= _NEAR_M, crosses], axis=1)
    z = np.where(usable, np.maximum(z, _NEAR_M), 1)
    column = np.where(usable, x / z, np.nan) * view.focal_px + (width - 1) / 2
    row = np.where(usable, y / z, np.nan) * view.focal_px + (height - 1) / 2
    ahead = usable.any(axis=1)
    nearest[bounded] = np.where(ahead, np.where(usable, z, np.inf).min(axis=1), np.inf)
    for edge, values, limit in ((0, row, height), (2, column, width)):
        low = np.where(usable, values, np.inf).min(axis=1)
        high = np.where(usable, values, -np.inf).max(axis=1)
        shown = ahead & (high - low > _THINNEST_PX)
        windows[bounded, edge] = np.where(shown, np.clip(np.ceil(low), 0, limit), 0).astype(np.int64)
        windows[bounded, edge + 1] = np.where(shown, np.clip(np.floor(high) + 1, 0, limit), 0).astype(
            np.int64
        )
    return nearest, windows


def sunlit(solids: list[Solid], points: Array, toward_sun: Array) -> Array:
    """Return 1 where a point sees the sun and 0 where something is in between.

    Args:
        solids: Whatever casts shadows; those without bounds cast none.
        points: (3, N), world.
        toward_sun: (3,), unit.
    """
    lit = np.ones(points.shape[1], np.float32)
    casters = [one for one in solids if one.corners is not None]
    if not casters:
        return lit
    across = np.linalg.svd(toward_sun.reshape(1, 3))[2][1:].astype(
        np.float32
    )  # (2, 3), the plane the sun sees
    x, y = across @ points
    order = np.argsort(x)
    x, y = x[order], y[order]
    outline = across @ np.stack([np.asarray(one.corners) for one in casters])  # (C, 2, 8)
    low, high = outline.min(axis=2), outline.max(axis=2)
    begins, ends = np.searchsorted(x, low[:, 0]), np.searchsorted(x, high[:, 0])
    for number in np.flatnonzero(begins < ends):
        begin, end = begins[number], ends[number]
        inside = (y[begin:end] > low[number, 1]) & (y[begin:end] < high[number, 1])
        chosen = order[begin:end][inside]
        if len(chosen):
            t = casters[number].intersect(points[:, chosen], toward_sun.reshape(3, 1))
            lit[chosen[t < np.inf]] = 0
    return lit


def lamplit(solids: list[Solid], points: Array, lamp: Array) -> Array:
    """Return 1 where a point sees the lamp (3,) and 0 where something is in between."""
    lit = np.ones(points.shape[1], np.float32)
    casters = [one for one in solids if one.corners is not None and not getattr(one, "is_hollow", False)]
    if not casters:
        return lit
    origin = lamp.reshape(3, 1).astype(np.float32)
    rays = points - origin
    unit = rays / np.maximum(np.sqrt((rays * rays).sum(axis=0)), 1e-6)
    corners = np.stack([np.asarray(one.corners) for one in casters])  # (C, 3, 8)
    middle = corners.mean(axis=2) - lamp
    squared_radius = ((corners[:, :, 0] - corners[:, :, 7]) ** 2).sum(axis=1) / 4
    # A ray passes a ball if it is close enough in direction; any may pass if the lamp is inside of it.
    tangent = (middle**2).sum(axis=1) - squared_radius
    limit = np.where(tangent > 0, np.sqrt(np.maximum(tangent, 0)), -np.inf)
    for one, passes in zip(casters, middle @ unit > limit[:, None], strict=True):
        chosen = np.flatnonzero(passes)
        if len(chosen):
            t = one.intersect(origin, rays[:, chosen])
            lit[chosen[t < 0.995]] = 0
    return lit


_EDGES = np.array(
    [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit], dtype=np.int64
).T  # corners whose numbers differ in one bit are neighbours
