# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Cameras close to a thing, and cameras that look down."""

from __future__ import annotations

import math
from dataclasses import replace

import bpy
from cameras import View
from mathutils import Vector
from stage import Stage

REACH_M = 25.0  # things further from the usual camera are left alone
LARGEST_M = 6.0
STEEPEST_DEG = 45.0
TRIES = 6


def tilt_down(stage: Stage, view: View) -> View:
    """Let a camera look 0 to 45 degrees down; one that already looks further down stays."""
    if view.pitch_deg < -STEEPEST_DEG:
        return view
    return replace(view, pitch_deg=-stage.rng.uniform(0, STEEPEST_DEG))


def move_close(stage: Stage, view: View) -> View:
    """Move a camera to a random side of a thing, at its own height above the ground, so that it sees it.

    Returns:
        The new view; the old one where nothing suitable is in sight of a free place.
    """
    rng = stage.rng
    scene = bpy.context.scene
    graph = bpy.context.evaluated_depsgraph_get()
    eye = Vector(view.position)
    found, ground, *_ = scene.ray_cast(graph, eye, Vector((0, 0, -1)))
    height = eye.z - ground.z if found else eye.z
    near = [box for thing in stage.things() if (box := _box_of(thing)) and _suits(*box, eye, height)]
    for _ in range(TRIES if near else 0):
        low, high = rng.choice(near)
        centre, size = (low + high) / 2, high - low
        extent = max(size.x, size.y, 0.5)
        distance = rng.uniform(0.45, 1.3) * min(2.0, max(0.7, extent))
        angle = rng.uniform(0, 2 * math.pi)
        away = Vector((math.sin(angle), -math.cos(angle), 0))
        # From the middle to the border of the thing's outline on the ground, and on by the distance.
        border = min(
            side / 2 / max(abs(share), 1e-6)
            for side, share in zip((size.x, size.y), (away.x, away.y), strict=True)
        )
        place = centre + (border + distance) * away
        place.z = low.z + height
        aside = rng.uniform(-0.4, 0.4) * view.fov_deg
        target = Vector((centre.x, centre.y, min(place.z, high.z - 0.05)))
        if not _sees(scene, graph, place, target, border + 0.1):
            continue
        pitch = rng.gauss(-12, 10)
        return replace(view, position=tuple(place), heading_deg=math.degrees(angle) + aside, pitch_deg=pitch)
    return view


def _box_of(thing: bpy.types.Object) -> tuple[Vector, Vector] | None:
    """The corners of a thing's box in the world; None for a lamp."""
    if thing.type != "MESH":
        return None
    corners = [thing.matrix_world @ Vector(corner) for corner in thing.bound_box]
    low, high = (Vector([pick(c[i] for c in corners) for i in range(3)]) for pick in (min, max))
    return low, high


def _suits(low: Vector, high: Vector, eye: Vector, height: float) -> bool:
    """Whether a thing stands on the ground near the camera, and is no wall, floor or picture."""
    size = high - low
    thin, wide = sorted((size.x, size.y))
    return (
        ((low + high) / 2 - eye).length < REACH_M
        and abs(low.z - (eye.z - height)) < 0.6
        and size.z > 0.3
        and wide < LARGEST_M
        and (thin > 0.15 or wide < 0.3)
    )


def _sees(
    scene: bpy.types.Scene, graph: bpy.types.Depsgraph, eye: Vector, target: Vector, depth_m: float
) -> bool:
    """Whether nothing lies between a camera and the thing around a point that reaches `depth_m` from it."""
    found, place, *_ = scene.ray_cast(graph, eye, (target - eye).normalized())
    return found and (target - place).length < depth_m
