# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Meshes that are made once for a process and used, scaled and turned, in every scene."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector, noise

Point = tuple[float, float, float]


class Shapes:
    """The stock of meshes, by name; each name holds several variants.

    Every mesh fits a box of about 1 x 1 x 1. Boxes, balls and cylinders are centred at the origin; turned
    vessels ("vessel", "vase") stand on z = 0.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._stock: dict[str, list[bpy.types.Mesh]] = {
            "box": [box(0.0)],
            "block": [box(0.0), box(0.01), box(0.03)],
            "cushion": [box(0.12), box(0.2), box(0.3)],
            "cylinder": [cone(32), cone(24, top=0.4), cone(12)],
            "round": [cone(32)],
            "pole": [cone(10)],
            "taper": [cone(10, top=0.3)],
            "cone": [cone(24, top=0.02), cone(24, top=0.25)],
            "shade": [cone(24, top=0.3, caps=False)],
            "ball": [blob(rng, 3, 0.0, 1.0)],
            "blob": [blob(rng, 4, rng.uniform(0.3, 0.9), rng.uniform(2, 6)) for _ in range(5)],
            "rock": [blob(rng, 3, 0.8, 3.0, smooth=False) for _ in range(3)],
            "crown": [leaves(rng, 350, 0.16), leaves(rng, 700, 0.12), leaves(rng, 500, 0.14)],
            "bush": [leaves(rng, 500, 0.13), leaves(rng, 300, 0.2)],
            "tuft": [grass(rng, 60), grass(rng, 120)],
            "vessel": [mug(), mug(), bottle(rng), bottle(rng), bowl(), *(vase(rng) for _ in range(3))],
            "vase": [vase(rng) for _ in range(4)],
            "gable": [gable()],
            "head": [monkey()],
            "cloth": [cloth(rng), cloth(rng)],
            "curtain": [curtain(rng), curtain(rng)],
        }

    def pick(self, name: str) -> bpy.types.Mesh:
        """Return one variant of a shape.

        Raises:
            KeyError: There is no shape of this name.
        """
        return self._rng.choice(self._stock[name])


def box(bevel: float) -> bpy.types.Mesh:
    """A unit cube, its edges rounded by `bevel`."""
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=1)
    if bevel:
        bmesh.ops.bevel(shape, geom=list(shape.edges), offset=bevel, segments=3, affect="EDGES", profile=0.5)
    return _mesh(shape, smooth=bevel > 0.08)


def boxes(corners: list[tuple[Point, Point]]) -> bpy.types.Mesh:
    """Many axis-aligned boxes in one mesh (a facade's windows, say): far cheaper than many objects."""
    low = np.array([pair[0] for pair in corners], dtype=float)
    high = np.array([pair[1] for pair in corners], dtype=float)
    low, high = np.minimum(low, high), np.maximum(low, high)
    picks = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)])
    points = np.where(picks[None], high[:, None], low[:, None]).reshape(-1, 3)
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = (sides[None] + 8 * np.arange(len(corners))[:, None, None]).reshape(-1, 4)
    mesh = bpy.data.meshes.new("boxes")
    mesh.from_pydata(points.tolist(), [], faces.tolist())
    mesh.materials.append(None)
    return mesh


def slanted_box(
    low: tuple[float, float, float, float], high: tuple[float, float, float, float], bevel: float
) -> bpy.types.Mesh:
    """A box that narrows upwards; `low` and `high` are (half width, y from, y to, z)."""
    shape = bmesh.new()
    rims = [
        [shape.verts.new((x * half, y, z)) for x, y in ((-1, y0), (1, y0), (1, y1), (-1, y1))]
        for half, y0, y1, z in (low, high)
    ]
    shape.faces.new(reversed(rims[0]))
    shape.faces.new(rims[1])
    for i in range(4):
        j = (i + 1) % 4
        shape.faces.new((rims[0][i], rims[0][j], rims[1][j], rims[1][i]))
    if bevel:
        bmesh.ops.bevel(shape, geom=list(shape.edges), offset=bevel, segments=2, affect="EDGES", profile=0.5)
    return _mesh(shape)


def wheels(
    radius: float, x: float, half: float, axles: tuple[float, float], height: float | None = None
) -> bpy.types.Mesh:
    """Four wheels at -x and x, `half` their width, their middle at `height` (by default on the ground)."""
    shape = bmesh.new()
    upright = Matrix.Rotation(math.pi / 2, 4, "Y")
    for side in (-x, x):
        for y in axles:
            pose = Matrix.Translation((side, y, radius if height is None else height)) @ upright
            bmesh.ops.create_cone(
                shape, cap_ends=True, segments=14, radius1=radius, radius2=radius, depth=2 * half, matrix=pose
            )
    return _mesh(shape)


def sheet(points: list[list[Point]]) -> bpy.types.Mesh:
    """A surface through a grid of points, smooth."""
    rows, columns = len(points), len(points[0])
    faces = [
        (r * columns + c, r * columns + c + 1, (r + 1) * columns + c + 1, (r + 1) * columns + c)
        for r in range(rows - 1)
        for c in range(columns - 1)
    ]
    mesh = bpy.data.meshes.new("sheet")
    mesh.from_pydata([point for row in points for point in row], [], faces)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
    mesh.materials.append(None)
    return mesh


def gable() -> bpy.types.Mesh:
    """A roof: a triangular prism over the unit square, its ridge along y at z = 1."""
    points = [(-0.5, -0.5, 0), (0.5, -0.5, 0), (0, -0.5, 1), (-0.5, 0.5, 0), (0.5, 0.5, 0), (0, 0.5, 1)]
    faces = [(0, 1, 2), (3, 5, 4), (0, 2, 5, 3), (1, 4, 5, 2), (0, 3, 4, 1)]
    mesh = bpy.data.meshes.new("gable")
    mesh.from_pydata(points, [], faces)
    mesh.materials.append(None)
    return mesh


def cone(sides: int, top: float = 0.5, *, caps: bool = True) -> bpy.types.Mesh:
    """A cylinder or truncated cone of height 1, radius 0.5 below and `top` above."""
    shape = bmesh.new()
    bmesh.ops.create_cone(shape, cap_ends=caps, segments=sides, radius1=0.5, radius2=top, depth=1)
    if caps and sides >= 16 and top > 0.1:
        rims = [e for e in shape.edges if abs(e.verts[0].co.z - e.verts[1].co.z) < 1e-5]
        bmesh.ops.bevel(shape, geom=rims, offset=0.02, segments=2, affect="EDGES", profile=0.5)
    return _mesh(shape, smooth=sides >= 10)


def turned(profile: list[tuple[float, float]]) -> bpy.types.Mesh:
    """A vessel turned on a lathe; `profile` holds (radius, height) from the middle of the foot."""
    shape = bmesh.new()
    points = [shape.verts.new((radius, 0, z)) for radius, z in profile]
    edges = [shape.edges.new(pair) for pair in pairwise(points)]
    bmesh.ops.spin(shape, geom=points + edges, axis=(0, 0, 1), cent=(0, 0, 0), steps=28, angle=2 * math.pi)
    bmesh.ops.remove_doubles(shape, verts=list(shape.verts), dist=1e-4)
    bmesh.ops.recalc_face_normals(shape, faces=list(shape.faces))
    return _mesh(shape, smooth=True)


def mug() -> bpy.types.Mesh:
    """A cup without a handle."""
    outside = [(0, 0), (0.38, 0), (0.42, 0.03), (0.42, 0.95), (0.4, 1)]
    return turned([*outside, (0.37, 0.95), (0.36, 0.08), (0, 0.06)])


def bottle(rng: random.Random) -> bpy.types.Mesh:
    """A bottle with a neck."""
    shoulder, neck = rng.uniform(0.5, 0.65), rng.uniform(0.06, 0.08)
    body = [(0, 0), (0.2, 0), (0.22, 0.03), (0.22, shoulder), (0.08, 0.75)]
    return turned([*body, (neck, 0.97), (0.09, 0.98), (0.09, 1), (0, 1)])


def bowl() -> bpy.types.Mesh:
    """A wide bowl."""
    outside = [(0, 0), (0.25, 0), (0.3, 0.05), (0.45, 0.3), (0.5, 0.5)]
    return turned([*outside, (0.47, 0.5), (0.4, 0.28), (0.22, 0.09), (0, 0.08)])


def vase(rng: random.Random) -> bpy.types.Mesh:
    """A vase of random profile."""
    belly = [(rng.uniform(0.12, 0.45), z) for z in (0.2, 0.4, 0.6, 0.8)]
    return turned([(0, 0), (rng.uniform(0.15, 0.3), 0), *belly, (rng.uniform(0.1, 0.3), 1), (0.1, 0.98)])


def blob(
    rng: random.Random, divisions: int, amplitude: float, frequency: float, *, smooth: bool = True
) -> bpy.types.Mesh:
    """A ball, dented by noise."""
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=divisions, radius=0.5)
    offset = Vector([rng.uniform(0, 99) for _ in range(3)])
    for vertex in shape.verts:
        vertex.co *= 1 + amplitude * noise.noise(vertex.co * frequency + offset)
    return _mesh(shape, smooth=smooth)


def leaves(rng: random.Random, count: int, size: float) -> bpy.types.Mesh:
    """A crown: leaf-shaped quads scattered in a ball, denser towards its surface."""
    shape = bmesh.new()
    for _ in range(count):
        place = _direction(rng) * 0.5 * rng.uniform(0.4, 1) ** 0.5
        turn = Matrix.Rotation(rng.uniform(0, 2 * math.pi), 4, _direction(rng))
        outline = [(-0.5, 0, 0), (0, -0.25, 0.1), (0.5, 0, 0), (0, 0.25, 0.1)]
        pose = Matrix.Translation(place) @ turn @ Matrix.Scale(size, 4)
        shape.faces.new([shape.verts.new(pose @ Vector(corner)) for corner in outline])
    return _mesh(shape)


def grass(rng: random.Random, count: int) -> bpy.types.Mesh:
    """A tuft of blades that stands on z = 0."""
    shape = bmesh.new()
    for _ in range(count):
        x, y, lean = rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), rng.uniform(-0.25, 0.25)
        height, turn = rng.uniform(0.3, 1), rng.uniform(0, math.pi)
        dx, dy = 0.03 * math.cos(turn), 0.03 * math.sin(turn)
        corners = [(x - dx, y - dy, 0), (x + dx, y + dy, 0), (x + lean, y + lean, height)]
        shape.faces.new([shape.verts.new(corner) for corner in corners])
    return _mesh(shape)


def monkey() -> bpy.types.Mesh:
    """Blender's own test head: a shape that is nothing else."""
    shape = bmesh.new()
    bmesh.ops.create_monkey(shape)
    bmesh.ops.scale(shape, vec=(0.38, 0.38, 0.38), verts=list(shape.verts))
    return _mesh(shape, smooth=True)


def cloth(rng: random.Random) -> bpy.types.Mesh:
    """A rumpled unit square."""
    offset = Vector((rng.uniform(0, 99), rng.uniform(0, 99), 0))
    steps = [i / 30 - 0.5 for i in range(31)]

    def height(x: float, y: float) -> float:
        place = Vector((x, y, 0))
        return 0.12 * noise.noise(place * 3 + offset) + 0.05 * noise.noise(place * 8 + offset)

    return sheet([[(x, y, height(x, y)) for x in steps] for y in steps])


def curtain(rng: random.Random) -> bpy.types.Mesh:
    """A pleated sheet: width along x, height along z, both 1 and centred."""
    pleats = rng.uniform(25, 60)
    steps = [i / 60 - 0.5 for i in range(61)]
    depth = [0.06 * math.sin(pleats * x) + 0.03 * math.sin(0.37 * pleats * x) for x in steps]
    return sheet([[(x, y, z) for x, y in zip(steps, depth, strict=True)] for z in (-0.5, 0, 0.5)])


def tilt(angle: float) -> Matrix:
    """A turn around x that lifts +y, radians."""
    return Matrix.Rotation(angle, 4, "X")


def _direction(rng: random.Random) -> Vector:
    return Vector([rng.gauss(0, 1) for _ in range(3)]).normalized()


def _mesh(shape: bmesh.types.BMesh, *, smooth: bool = False) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new("shape")
    shape.to_mesh(mesh)
    shape.free()
    if smooth:
        mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
    mesh.materials.append(None)  # the slot that each object fills with its own material
    return mesh
