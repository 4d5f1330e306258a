# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""The scene under construction: what a builder of rooms or streets works with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import bpy
from cameras import Clearance, View
from furniture import Furniture, Model, largest_plain_slot
from lights import Skies, add_lamp, lamplight
from materials import Paints
from mathutils import Euler, Matrix, Vector
from meshes import Point, Shapes
from variety import Variety

IDENTITY = Matrix.Identity(4)
UPRIGHT = Euler((0, 0, 0))


def frame(x: float, y: float, z: float = 0.0, turn: float = 0.0) -> Matrix:
    """A coordinate frame at a place, turned around z (radians)."""
    return Matrix.Translation((x, y, z)) @ Matrix.Rotation(turn, 4, "Z")


@dataclass(frozen=True)
class Plan:
    """What a builder returns: how to draw its cameras, and what they must keep clear."""

    draw_view: Callable[[], View]
    clearance: Clearance


class Stage:
    """Holds the random source, the assets, and the objects of the present scene."""

    def __init__(
        self, rng: random.Random, furniture: Furniture, skies: Skies, variety: Variety | None = None
    ) -> None:
        self.rng = rng
        self._variety = variety or Variety(rng, {})
        self.furniture = furniture
        self.skies = skies
        self.paints = Paints(rng)
        self.shapes = Shapes(rng)
        self._objects: list[bpy.types.Object] = []
        self._own_meshes: list[bpy.types.Mesh] = []

    def clear(self) -> None:
        """Remove the present scene; the stock of shapes and models stays."""
        materials = [material for material in bpy.data.materials if not material.get("catalogue")]
        # At once: removing one by one walks through all data each time.
        bpy.data.batch_remove([*self._objects, *bpy.data.lights, *materials, *self._own_meshes])
        self._objects.clear()
        self._own_meshes.clear()
        self.paints.pale = False

    def happens(self, choice: str) -> bool:
        """True with the probability that the recipe gives to a choice of `variety`."""
        return self._variety.happens(choice)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def put(
        self,
        mesh: bpy.types.Mesh,
        material: bpy.types.Material,
        location: Point = (0, 0, 0),
        size: Point = (1, 1, 1),
        *,
        base: Matrix = IDENTITY,
        rotation: Euler = UPRIGHT,
    ) -> bpy.types.Object:
        """Place a mesh of the stock: scaled, rotated, moved, then carried by the frame `base`."""
        thing = bpy.data.objects.new("thing", mesh)
        bpy.context.scene.collection.objects.link(thing)
        self._objects.append(thing)
        thing.matrix_world = base @ Matrix.LocRotScale(Vector(location), rotation, Vector(size))
        thing.material_slots[0].link = "OBJECT"
        thing.material_slots[0].material = material
        return thing

    def put_once(
        self, mesh: bpy.types.Mesh, material: bpy.types.Material, *, base: Matrix = IDENTITY
    ) -> bpy.types.Object:
        """Place a mesh that was made for this scene alone; it goes with the scene."""
        self._own_meshes.append(mesh)
        return self.put(mesh, material, base=base)

    def things(self) -> list[bpy.types.Object]:
        """All that was placed."""
        return list(self._objects)

    def replace_mesh(self, thing: bpy.types.Object, mesh: bpy.types.Mesh) -> None:
        """Give a placed thing a mesh of its own, which goes with the scene; the material stays."""
        self._own_meshes.append(mesh)
        thing.data = mesh

    def shape(
        self,
        name: str,
        material: bpy.types.Material,
        location: Point,
        size: Point,
        *,
        base: Matrix = IDENTITY,
        turn: float = 0.0,
    ) -> bpy.types.Object:
        """Place a shape by its name, turned around z."""
        return self.put(
            self.shapes.pick(name), material, location, size, base=base, rotation=Euler((0, 0, turn))
        )

    def box(
        self,
        material: bpy.types.Material,
        low: Point,
        high: Point,
        *,
        base: Matrix = IDENTITY,
        shape: str = "box",
    ) -> bpy.types.Object:
        """Place a box (or a box-like shape) between two corners."""
        centre = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
        size = tuple(abs(b - a) for a, b in zip(low, high, strict=True))
        return self.shape(shape, material, centre, size, base=base)

    def model(self, role: str, base: Matrix, max_length_m: float = 50.0) -> Model | None:
        """Place a catalogue model, standing in the frame `base`, its front towards the frame's +y."""
        picked = self.furniture.pick(role, max_length_m)
        return None if picked is None else self.place_model(*picked, base)

    def place_model(self, model: Model, mesh: bpy.types.Mesh, base: Matrix) -> Model:
        """Place a picked model; now and then some of its parts get another material."""
        thing = bpy.data.objects.new("model", mesh)
        bpy.context.scene.collection.objects.link(thing)
        self._objects.append(thing)
        scale = Matrix.Scale(self.rng.uniform(0.94, 1.06), 4)
        thing.matrix_world = base @ Matrix.Translation((0, 0, model.elevation_m)) @ scale
        if model.category == "Vehicles":
            slot = largest_plain_slot(mesh) if self.chance(0.6) else None
            if slot is not None:
                self._repaint(thing, slot, "car")
        elif model.category not in ("Characters", "Exterior") and self.chance(
            0.6 if self.paints.pale else 0.25
        ):
            for slot in range(len(thing.material_slots)):
                if self.chance(0.5):
                    self._repaint(thing, slot, self.rng.choice(["furniture", "fabric", "thing"]))
        return model

    def lamp(
        self,
        kind: str,
        location: Point,
        strength: float,
        size: float,
        *,
        tilt: float = 0.0,
        turn: float = 0.0,
    ) -> None:
        """Place a light; area lights and the sun shine down, tilted by `tilt` radians."""
        light = add_lamp(kind, strength, size, lamplight(self.rng))
        light.location, light.rotation_euler = location, Euler((tilt, 0, turn))
        bpy.context.scene.collection.objects.link(light)
        self._objects.append(light)

    def sun(self, low: float, high: float, size: tuple[float, float] = (0.005, 0.08)) -> None:
        """Place a sun of random height; irradiance (W/m2) and size (radians) are drawn between the limits."""
        rng = self.rng
        self.lamp(
            "SUN",
            (0, 0, 50),
            rng.uniform(low, high),
            rng.uniform(*size),
            tilt=rng.uniform(0.2, 1.4),
            turn=rng.uniform(0, 2 * pi),
        )

    def daylight(self) -> None:
        """Light an outdoor scene: clear with hard shadows, hazy, overcast, or at dusk."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.6:  # clear
            self.skies.surround(outdoor=True, strength=1.0)
            self.sun(2, 9, size=(0.005, 0.03))
        elif draw < 0.75:  # hazy
            self.skies.surround(outdoor=True, strength=1.0)
            self.sun(0.5, 2, size=(0.05, 0.5))
        elif draw < 0.93:
            self.skies.surround(outdoor=True, strength=1.0, overcast=True)
        else:
            self.skies.surround(outdoor=True, strength=rng.uniform(0.01, 0.1))

    def _repaint(self, thing: bpy.types.Object, slot: int, role: str) -> None:
        thing.material_slots[slot].link = "OBJECT"
        thing.material_slots[slot].material = self.paints.make(role)
