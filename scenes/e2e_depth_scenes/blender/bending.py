# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.
"""Curves and hills: what was built along the straight, level y axis is bent, exactly, after it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import bmesh
import bpy
from cameras import View
from mathutils import Matrix, Vector
from stage import Stage

LONG_M = 25.0  # longer things are cut into pieces and bent, shorter ones only moved and turned
STEP_M = 6.0
REACH_M = 150.0  # further away the cuts are few
ASIDE_M = 40.0  # land further aside turns no more, or it would fold


@dataclass(frozen=True)
class Bend:
    """Where a point of the straight street goes: aside and up, smoothly, nothing near y = 0.

    Attributes:
        curve: Sideways shift of the street far ahead and far behind, metres in each metre along it.
        slopes: The same upwards, behind and ahead.
        onset_m: Over which distance both begin.
    """

    curve: float
    slopes: tuple[float, float]
    onset_m: float

    def shift(self, y: float) -> tuple[float, float]:
        """The shift to the side and upwards at y, metres."""
        run = math.hypot(y, self.onset_m) - self.onset_m
        return self.curve * run, self.slopes[y > 0] * run

    def turn(self, y: float) -> float:
        """The street's direction at y, radians around z."""
        return -math.atan(self.curve * y / math.hypot(y, self.onset_m))


def draw_bend(stage: Stage) -> Bend | None:
    """Draw a bend; every second street has none."""
    rng = stage.rng
    if stage.chance(0.5):
        return None
    curve = rng.gauss(0, 0.25) if stage.chance(0.7) else 0.0
    slopes = (rng.gauss(0, 0.05), rng.gauss(0, 0.05)) if stage.chance(0.7) else (0.0, 0.0)
    return Bend(curve, slopes, rng.uniform(40, 120))


def bend_stage(stage: Stage, bend: Bend) -> None:
    """Bend all that stands on the stage."""
    for thing in stage.things():
        if thing.type != "MESH":
            continue
        corners = [thing.matrix_world @ Vector(corner) for corner in thing.bound_box]
        low, high = min(c.y for c in corners), max(c.y for c in corners)
        if high - low > LONG_M:
            _bend_mesh(stage, thing, bend)
        else:
            pose = thing.matrix_world
            y = (low + high) / 2
            x, z = bend.shift(y)
            pivot = Matrix.Translation((0, y, 0))
            turned = pivot @ Matrix.Rotation(bend.turn(y), 4, "Z") @ pivot.inverted() @ pose
            thing.matrix_world = Matrix.Translation((x, 0, z)) @ turned


def bend_view(view: View, bend: Bend) -> View:
    """Carry a camera along; it turns with the street, but keeps its pitch."""
    x, y, z = view.position
    (aside, up), angle = bend.shift(y), bend.turn(y)
    place = (aside + x * math.cos(angle), y + x * math.sin(angle), z + up)
    return replace(view, position=place, heading_deg=view.heading_deg + math.degrees(angle))


def _bend_mesh(stage: Stage, thing: bpy.types.Object, bend: Bend) -> None:
    shape = bmesh.new()
    shape.from_mesh(thing.data)
    bmesh.ops.transform(shape, matrix=thing.matrix_world, verts=list(shape.verts))
    y = -REACH_M
    while y < 2 * REACH_M:
        geometry = [*shape.verts, *shape.edges, *shape.faces]
        bmesh.ops.bisect_plane(shape, geom=geometry, plane_co=(0, y, 0), plane_no=(0, 1, 0))
        y += STEP_M if abs(y) < 60 else 4 * STEP_M
    for vertex in shape.verts:
        x, z = bend.shift(vertex.co.y)
        angle = bend.turn(vertex.co.y)
        across = min(max(vertex.co.x, -ASIDE_M), ASIDE_M)
        vertex.co += Vector((x + across * (math.cos(angle) - 1), across * math.sin(angle), z))
    mesh = bpy.data.meshes.new("bent")
    shape.to_mesh(mesh)
    shape.free()
    if not mesh.materials:
        mesh.materials.append(None)
    stage.replace_mesh(thing, mesh)
    thing.matrix_world = Matrix.Identity(4)
