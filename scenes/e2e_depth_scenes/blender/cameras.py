# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Cameras as robots carry them: 0.1 to 2 m above the ground, tilted, 40 to 110 degrees wide."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import bpy
import numpy as np
from mathutils import Matrix, Vector

SENSOR_MM = 36.0


@dataclass(frozen=True)
class View:
    """Where a camera stands and looks.

    Attributes:
        position: World, metres.
        heading_deg: Direction of view around z; 0 looks along +y, 90 along -x.
        pitch_deg: Up is positive.
        roll_deg: Around the direction of view.
        fov_deg: Horizontal field of view.
    """

    position: tuple[float, float, float]
    heading_deg: float
    pitch_deg: float
    roll_deg: float
    fov_deg: float

    @property
    def pose(self) -> Matrix:
        """(4, 4), world from Blender camera (-z forward, y up)."""
        turn = Matrix.Rotation(math.radians(self.heading_deg), 4, "Z")
        tilt = Matrix.Rotation(math.radians(90 + self.pitch_deg), 4, "X")
        roll = Matrix.Rotation(math.radians(self.roll_deg), 4, "Z")
        return Matrix.Translation(self.position) @ turn @ tilt @ roll


@dataclass(frozen=True)
class Clearance:
    """What a view must keep free, metres.

    Attributes:
        nearest_m: No ray may end before.
        median_m: Half of the rays must reach further.
        share_of_sky: At most this share of the rays may meet nothing.
        overhead_m: Nothing may hang nearer above the camera: outdoors it would stand inside a vehicle.
    """

    nearest_m: float
    median_m: float
    share_of_sky: float
    overhead_m: float = 0.0


def draw_fov(rng: random.Random) -> float:
    """Draw a horizontal field of view, degrees: mostly 50 to 80."""
    return rng.triangular(40, 80, 62) if rng.random() < 0.75 else rng.uniform(70, 110)


def draw_roll(rng: random.Random) -> float:
    """Draw a roll, degrees: a mount is nearly level, a hand or an arm is not."""
    return rng.gauss(0, 1.5) if rng.random() < 0.75 else rng.gauss(0, 10)


def towards(
    rng: random.Random, position: tuple[float, float, float], target: tuple[float, float, float]
) -> View:
    """A view from one point to another."""
    x, y, z = (b - a for a, b in zip(position, target, strict=True))
    heading = math.degrees(math.atan2(-x, y))
    pitch = math.degrees(math.atan2(z, math.hypot(x, y)))
    return View(position, heading, pitch, draw_roll(rng), draw_fov(rng))


def new_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """Give the scene a camera."""
    lens = bpy.data.cameras.new("camera")
    lens.clip_start, lens.clip_end = 0.02, 1000
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", SENSOR_MM
    camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def place(camera: bpy.types.Object, view: View) -> None:
    """Move the camera to a view."""
    camera.matrix_world = view.pose
    camera.data.lens = SENSOR_MM / 2 / math.tan(math.radians(view.fov_deg) / 2)


def is_open(scene: bpy.types.Scene, view: View, clearance: Clearance) -> bool:
    """Whether a view has the clearance, probed with a few rays before anything is rendered."""
    graph = bpy.context.evaluated_depsgraph_get()
    above = scene.ray_cast(
        graph, Vector(view.position), Vector((0, 0, 1)), distance=max(1e-3, clearance.overhead_m)
    )
    if above[0]:
        return False
    pose = view.pose
    reach = math.tan(math.radians(view.fov_deg) / 2)
    distances = []
    for v in np.linspace(-0.7, 0.7, 5):
        for u in np.linspace(-0.9, 0.9, 6):
            direction = (pose.to_3x3() @ Vector((u * reach, v * reach, -1))).normalized()
            hit, place_hit, *_ = scene.ray_cast(graph, Vector(view.position), direction)
            distances.append((place_hit - Vector(view.position)).length if hit else math.inf)
    return (
        min(distances) >= clearance.nearest_m
        and float(np.median(distances)) >= clearance.median_m
        and float(np.mean(np.isinf(distances))) <= clearance.share_of_sky
    )


def choose(
    scene: bpy.types.Scene, draw: Callable[[], View], clearance: Clearance, count: int, tries: int = 12
) -> list[View]:
    """Draw views until `count` of them are open, or too many tries failed."""
    views: list[View] = []
    for _ in range(tries * count):
        view = draw()
        if is_open(scene, view, clearance):
            views.append(view)
        if len(views) == count:
            break
    return views


def choose_path(
    scene: bpy.types.Scene,
    draw: Callable[[], View],
    clearance: Clearance,
    rng: random.Random,
    motion: tuple[int, float, float],
    tries: int = 60,
) -> list[View]:
    """Draw the views of a camera that moves slowly, all of them open; none if too many tries failed.

    Args:
        scene: What the rays of the probe may hit.
        draw: Draws the first view.
        clearance: What each view must keep free.
        rng: Draws which way the camera goes: about where it looks, and level.
        motion: Count of views, metres and degrees about the vertical from each to the next.
        tries: How often to draw.
    """
    count, step_m, turn_deg = motion
    for _ in range(tries):
        first = draw()
        bearing = math.radians(first.heading_deg + rng.gauss(0, 25))
        turn = rng.choice((-1, 1)) * turn_deg
        x, y, z = first.position
        views = [
            replace(
                first,
                position=(x - i * step_m * math.sin(bearing), y + i * step_m * math.cos(bearing), z),
                heading_deg=first.heading_deg + i * turn,
            )
            for i in range(count)
        ]
        if all(is_open(scene, view, clearance) for view in views):
            return views
    return []
