"""Solids that a ray can be intersected with exactly: polyhedra, ellipsoids, and frustums.

Convention:
    World frame: z up, metres. Points and directions are stored as (3, N), so that numpy's inner loops run
    over rays. A ray is origin + t * direction, and directions are not unit vectors: t has the caller's unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_scenes.ray_caster.materials import Material

Array = NDArray[np.float32]

_NEAR = np.float32(1e-4)
_TINY = np.float32(1e-12)
_FAR = np.float32(np.inf)


class Surface(NamedTuple):
    """The surface at N points.

    Attributes:
        normals: (3, N), unit, outward.
        u: (N,), texture coordinate, metres.
        v: (N,), texture coordinate, metres.
        face: (N,), number of the face.
    """

    normals: Array
    u: Array
    v: Array
    face: NDArray[np.int64]


class Solid(ABC):
    """One closed shape.

    Attributes:
        anchor: (3, 1), the point that textures and local coordinates start from.
        corners: (3, 8), a box around the solid; None if it has no bounds.
        materials: One for all faces, or one a face.
    """

    anchor: Array
    corners: Array | None
    materials: tuple[Material, ...]

    @abstractmethod
    def intersect(self, origin: Array, direction: Array) -> Array:
        """Return t (N,) of the first hit, infinity where there is none.

        Args:
            origin: (3, 1) or (3, N).
            direction: (3, 1) or (3, N).
        """

    @abstractmethod
    def surface(self, points: Array) -> Surface:
        """Describe the surface at points (3, N) that lie on it."""


class Polyhedron(Solid):
    """A convex polyhedron: the points x with normals @ x <= offsets. With one plane it is a half-space.

    Args:
        normals: (K, 3), outward, unit.
        offsets: (K,), metres.
        anchor: Where textures start.
        corners: (3, 8), a box around it, or None.
        materials: One, or K.
        is_hollow: It is seen from inside, as a room is: rays hit where they leave.
    """

    def __init__(
        self,
        normals: ArrayLike,
        offsets: ArrayLike,
        *,
        anchor: ArrayLike,
        corners: Array | None,
        materials: Sequence[Material],
        is_hollow: bool = False,
    ) -> None:
        self.normals = np.asarray(normals, np.float32)
        self.offsets = np.asarray(offsets, np.float32)[:, None]
        self.anchor = np.asarray(anchor, np.float32).reshape(3, 1)
        self.corners = corners
        self.materials = tuple(materials)
        self.is_hollow = is_hollow

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Clip the ray against every plane (Cyrus and Beck, 1978)."""
        approach = self.normals @ direction  # (K, N); negative where the ray comes from outside
        approach = np.where(approach == 0, _TINY, approach)
        t = (self.offsets - self.normals @ origin) / approach
        enters = approach < 0
        first = np.where(enters, t, -_FAR).max(axis=0)
        last = np.where(enters, _FAR, t).min(axis=0)
        return self._choose(first, last)

    def _choose(self, first: Array, last: Array) -> Array:
        if self.is_hollow:
            return np.where((last > first) & (last > _NEAR), last, _FAR)
        return np.where((first < last) & (first > _NEAR), first, _FAR)

    def surface(self, points: Array) -> Surface:
        """On walls u runs sideways and v upwards; on floors u is x and v is y."""
        face = (self.normals @ points - self.offsets).argmax(axis=0)
        x, y, z = self.normals.T
        length = np.sqrt(x * x + y * y)
        is_flat = length < 0.3
        safe = np.where(is_flat, np.float32(1), length)
        side_x, side_y = np.where(is_flat, 1, -y / safe), np.where(is_flat, 0, x / safe)
        up_x, up_y = np.where(is_flat, 0, -z * side_y), np.where(is_flat, 1, z * side_x)
        up_z = np.where(is_flat, 0, length)
        local = points - self.anchor
        u = local[0] * side_x[face] + local[1] * side_y[face]
        v = local[0] * up_x[face] + local[1] * up_y[face] + local[2] * up_z[face]
        # Shifted, so that opposite faces don't show the same piece of the pattern.
        return Surface(self.normals.T[:, face], u + (0.37 * face).astype(np.float32), v, face)


class Cuboid(Polyhedron):
    """A polyhedron of three pairs of opposite faces, +x, -x, +y, -y, +z, -z of its own; made by `box`."""

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Clip the ray against three slabs (Kay and Kajiya, 1986)."""
        normals = self.normals[::2]
        approach = normals @ direction
        approach = np.where(approach == 0, _TINY, approach)
        start = normals @ origin
        one, other = (self.offsets[::2] - start) / approach, (-self.offsets[1::2] - start) / approach
        return self._choose(np.minimum(one, other).max(axis=0), np.maximum(one, other).min(axis=0))


class Ellipsoid(Solid):
    """An ellipsoid with upright or turned axes.

    Args:
        centre: (3,), metres.
        half_axes: (3,), metres.
        material: Its only material.
        rotation: (3, 3), world from local.
        raggedness: 0 to 1: share of the outline that is bitten off, for foliage.
    """

    def __init__(
        self,
        centre: ArrayLike,
        half_axes: ArrayLike,
        material: Material,
        rotation: Array | None = None,
        raggedness: float = 0.0,
    ) -> None:
        self.anchor = np.asarray(centre, np.float32).reshape(3, 1)
        self.half_axes = np.asarray(half_axes, np.float32).reshape(3, 1)
        self.rotation = np.eye(3, dtype=np.float32) if rotation is None else np.asarray(rotation, np.float32)
        self.materials = (material,)
        self.raggedness = raggedness
        self._leaves_per_radius = np.float32(np.clip(self.half_axes.max() / 0.06, 8, 30))
        self.corners = self.anchor + self.rotation @ (self.half_axes * BOX_CORNERS)

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Solve the quadratic in coordinates where the ellipsoid is the unit sphere."""
        to_sphere = self.rotation.T / self.half_axes
        start, along = to_sphere @ (origin - self.anchor), to_sphere @ direction
        a = (along * along).sum(axis=0)
        b = (along * start).sum(axis=0)
        # The distance of the ray from the centre, free of cancellation where the solid is far away.
        closest = start - along * (b / a)
        discriminant = 1 - (closest * closest).sum(axis=0)
        t = (-b - np.sqrt(a * np.maximum(discriminant, 0))) / a
        hit = (discriminant > 0) & (t > _NEAR)
        if self.raggedness:
            # Rays that graze the ball pass where a hash of their cell says so: leaves, not a ball.
            cell = np.floor((start + along * t) * self._leaves_per_radius).astype(np.int32)
            noise = ((cell[0] * 73856093) ^ (cell[1] * 19349663) ^ (cell[2] * 83492791)) & 255
            hit &= discriminant > self.raggedness * noise / np.float32(255)
        return np.asarray(np.where(hit, t, _FAR))

    def surface(self, points: Array) -> Surface:
        """Textures wind around the upright axis."""
        local = self.rotation.T @ (points - self.anchor)
        normals = self.rotation @ (local / self.half_axes**2)
        normals /= np.sqrt((normals * normals).sum(axis=0))
        around = np.arctan2(local[1], local[0]) * self.half_axes[0]
        return Surface(normals, around, local[2], np.zeros(points.shape[1], np.int64))


class Frustum(Solid):
    """A cone cut off at both ends, with caps; equal radii make a cylinder.

    Args:
        base: (3,), the middle of its lower cap, metres.
        height: Metres along its axis.
        radius_low: At the base, metres.
        radius_high: At the other end, metres.
        material: Its only material.
        rotation: (3, 3), world from local; the axis is local z.
    """

    def __init__(
        self,
        base: ArrayLike,
        height: float,
        radius_low: float,
        radius_high: float,
        material: Material,
        rotation: Array | None = None,
    ) -> None:
        self.anchor = np.asarray(base, np.float32).reshape(3, 1)
        self.height, self.radius = np.float32(height), np.float32(radius_low)
        self.slope = np.float32((radius_high - radius_low) / height)
        self.rotation = np.eye(3, dtype=np.float32) if rotation is None else np.asarray(rotation, np.float32)
        self.materials = (material,)
        widest = max(radius_low, radius_high)
        local = np.array([[widest], [widest], [height / 2]], np.float32) * BOX_CORNERS
        local[2] += height / 2
        self.corners = self.anchor + self.rotation @ local

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Solve x^2 + y^2 = (radius + slope z)^2 for the side, and the two planes for the caps."""
        start, along = self.rotation.T @ (origin - self.anchor), self.rotation.T @ direction
        # Begin where the ray passes the axis: squares of far distances would drown a thin pole.
        skipped = -(along[0] * start[0] + along[1] * start[1]) / np.maximum(
            along[0] ** 2 + along[1] ** 2, 1e-12
        )
        near = start + along * skipped
        radius, grow = self.radius + self.slope * near[2], self.slope * along[2]
        a = along[0] ** 2 + along[1] ** 2 - grow**2
        a = np.where(np.abs(a) < _TINY, _TINY, a)
        b = along[0] * near[0] + along[1] * near[1] - grow * radius
        c = near[0] ** 2 + near[1] ** 2 - radius**2
        crosses = b * b > a * c
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        best = np.full(np.broadcast_shapes(a.shape, c.shape), _FAR)
        for sign in (-1, 1):  # with a < 0 the nearer root may be either
            step = (-b + sign * root) / a
            t, z = skipped + step, near[2] + step * along[2]
            hit = crosses & (z > 0) & (z < self.height) & (t > _NEAR) & (t < best)
            best = np.where(hit, t, best)
        steep = np.where(along[2] == 0, _TINY, along[2])
        for level in (np.float32(0), self.height):
            t = (level - start[2]) / steep
            x, y = start[0] + t * along[0], start[1] + t * along[1]
            hit = (x * x + y * y < (self.radius + self.slope * level) ** 2) & (t > _NEAR) & (t < best)
            best = np.where(hit, t, best)
        return best

    def surface(self, points: Array) -> Surface:
        """Textures wind around the axis; the caps have their own."""
        local = self.rotation.T @ (points - self.anchor)
        around = np.maximum(np.sqrt(local[0] ** 2 + local[1] ** 2), 1e-9)
        lean = 1 / np.sqrt(1 + self.slope**2)
        # The face is the one that the point is closest to: side, lower cap or upper cap.
        gaps = [lean * np.abs(around - self.radius - self.slope * local[2]), np.abs(local[2])]
        face = np.stack([*gaps, np.abs(local[2] - self.height)]).argmin(axis=0)
        is_side = face == 0
        normals = np.empty_like(points)
        normals[:2] = np.where(is_side, local[:2] / around * lean, np.float32(0))
        normals[2] = np.where(is_side, -self.slope * lean, np.where(face == 1, np.float32(-1), np.float32(1)))
        u = np.where(is_side, np.arctan2(local[1], local[0]) * self.radius, local[0])
        return Surface(self.rotation @ normals, u, np.where(is_side, local[2], local[1]), face)


BOX_CORNERS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), np.float32).reshape(3, 8)
"""(3, 8), the corners of the cube of side 2; those whose numbers differ in one bit are neighbours."""
