"""Cuboids, prisms and the ground: polyhedra made from the sizes that one thinks in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import Material
from e2e_depth_scenes.ray_caster.solids import BOX_CORNERS, Array, Cuboid, Polyhedron

_UPRIGHT = np.eye(3, dtype=np.float32)
_BOX_NORMALS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32
)  # the order of a box's materials


def turned(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Return the rotation (3, 3) about z by yaw after y by pitch after x by roll, radians."""
    cos_z, sin_z, cos_y, sin_y = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cos_x, sin_x = math.cos(roll), math.sin(roll)
    return np.array(
        [
            [cos_z * cos_y, cos_z * sin_y * sin_x - sin_z * cos_x, cos_z * sin_y * cos_x + sin_z * sin_x],
            [sin_z * cos_y, sin_z * sin_y * sin_x + cos_z * cos_x, sin_z * sin_y * cos_x - cos_z * sin_x],
            [-sin_y, cos_y * sin_x, cos_y * cos_x],
        ],
        np.float32,
    )


def half_space(level_m: float, material: Material) -> Polyhedron:
    """Return the ground: everything below a height."""
    return Polyhedron([[0, 0, 1]], [level_m], anchor=[0, 0, level_m], corners=None, materials=[material])


def box(
    base: ArrayLike,
    size: Sequence[float],
    materials: Material | Sequence[Material],
    rotation: Array | None = None,
    *,
    is_hollow: bool = False,
) -> Cuboid:
    """Return a cuboid.

    Args:
        base: (3,), the middle of its bottom, metres.
        size: (3,), its extent along its own x, y and z, metres.
        materials: One, or six: +x, -x, +y, -y, +z, -z.
        rotation: (3, 3), world from local.
        is_hollow: It is a room, seen from inside.
    """
    anchor = np.asarray(base, np.float32)
    turn = _UPRIGHT if rotation is None else rotation
    length, width, height = (float(extent) for extent in size)
    reach = np.array([length / 2, length / 2, width / 2, width / 2, height, 0], np.float32)
    normals = (_BOX_NORMALS @ turn.T).astype(np.float32)
    offsets = reach + normals @ anchor
    local = np.array([[length / 2], [width / 2], [height / 2]], np.float32) * BOX_CORNERS
    local[2] += np.float32(height / 2)
    corners = anchor[:, None] + turn @ local
    every = (materials,) if isinstance(materials, Material) else materials
    return Cuboid(normals, offsets, anchor=anchor, corners=corners, materials=every, is_hollow=is_hollow)


def prism(
    base: ArrayLike,
    outline: Sequence[tuple[float, float]],
    width: float,
    materials: Material | Sequence[Material],
    rotation: Array | None = None,
) -> Polyhedron:
    """Return a convex outline, extruded sideways.

    Args:
        base: (3,), where the outline's origin lies, metres.
        outline: M corners (x, z) of the convex outline, anticlockwise with x right and z up, metres.
        width: Extent along y, centred, metres.
        materials: One, or M + 2: of each edge, then of the ends +y and -y.
        rotation: (3, 3), world from local.
    """
    turn = _UPRIGHT if rotation is None else rotation
    anchor = np.asarray(base, np.float32)
    normals, offsets = [], []
    for (x, z), (next_x, next_z) in zip(outline, [*outline[1:], outline[0]], strict=True):
        length = math.hypot(next_x - x, next_z - z)
        right, up = (next_z - z) / length, (x - next_x) / length  # right of the edge is outside
        normals.append((right, 0.0, up))
        offsets.append(right * x + up * z)
    normals += [(0.0, 1.0, 0.0), (0.0, -1.0, 0.0)]
    offsets += [width / 2, width / 2]
    turned_normals = (np.array(normals, np.float32) @ turn.T).astype(np.float32)
    turned_offsets = np.array(offsets, np.float32) + turned_normals @ anchor
    low_x, high_x = min(x for x, _ in outline), max(x for x, _ in outline)
    low_z, high_z = min(z for _, z in outline), max(z for _, z in outline)
    middle = np.array([[(low_x + high_x) / 2], [0], [(low_z + high_z) / 2]], np.float32)
    half = np.array([[(high_x - low_x) / 2], [width / 2], [(high_z - low_z) / 2]], np.float32)
    corners = anchor[:, None] + turn @ (middle + half * BOX_CORNERS)
    every = (materials,) if isinstance(materials, Material) else materials
    return Polyhedron(turned_normals, turned_offsets, anchor=anchor, corners=corners, materials=every)
