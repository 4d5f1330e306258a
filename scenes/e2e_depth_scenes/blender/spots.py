# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Free ground before a camera, found by rays: it works in any scene that was built."""

from __future__ import annotations

import math

import bpy
from cameras import View
from mathutils import Matrix, Vector
from stage import Stage, frame

PROBE_M = 0.4  # height above the ground at which a place must be free
DEEPEST_M = 3.0  # no ground further below the camera than that
DIRECTIONS = 12


def spot_before(
    stage: Stage,
    view: View,
    reach_m: tuple[float, float],
    room_m: tuple[float, float],
    *,
    turn: float | None = None,
    tries: int = 8,
) -> Matrix | None:
    """Find free ground that a camera sees.

    Args:
        stage: The scene so far.
        view: The camera.
        reach_m: Smallest and largest distance; nearer ones are likelier.
        room_m: Half the width and half the depth that must be free around the place.
        turn: How the place is turned around z, radians; None draws it.
        tries: How often to draw.

    Returns:
        A frame on the ground, or None where nothing was found.
    """
    rng = stage.rng
    scene = bpy.context.scene
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    eye, down = Vector(view.position), Vector((0, 0, -1))
    _, underfoot, *_ = scene.ray_cast(graph, eye, down)
    for _ in range(tries):
        angle = math.radians(view.heading_deg + rng.uniform(-0.42, 0.42) * view.fov_deg)
        distance = reach_m[0] + (reach_m[1] - reach_m[0]) * rng.random() ** 2
        around = rng.uniform(0, 2 * math.pi) if turn is None else turn
        ahead = Vector((-math.sin(angle), math.cos(angle), 0))
        if scene.ray_cast(graph, eye, ahead, distance=distance + min(room_m))[0]:
            continue
        found, ground, up, *_ = scene.ray_cast(graph, eye + distance * ahead, down, distance=DEEPEST_M)
        # Not on a wall's top, nor on a table: ground rises from a camera's by a kerb and a slope at most.
        if not found or up.z < 0.95 or ground.z > underfoot.z + 0.25 + 0.05 * distance:
            continue
        place = frame(*ground, turn=around)
        if _is_free(scene, graph, place, room_m):
            return place
    return None


def _is_free(
    scene: bpy.types.Scene, graph: bpy.types.Depsgraph, place: Matrix, room_m: tuple[float, float]
) -> bool:
    """Whether rays from the middle of a rectangle reach its border."""
    centre = place @ Vector((0, 0, PROBE_M))
    for index in range(DIRECTIONS):
        angle = 2 * math.pi * index / DIRECTIONS
        across, along = math.cos(angle), math.sin(angle)
        reach = min(half / max(abs(share), 1e-6) for half, share in zip(room_m, (across, along), strict=True))
        if scene.ray_cast(graph, centre, place.to_3x3() @ Vector((across, along, 0)), distance=reach)[0]:
            return False
    return True
