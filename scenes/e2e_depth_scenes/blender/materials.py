# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Materials: what each part of a scene is made of, unless it is a catalogue model."""

from __future__ import annotations

import random
from collections.abc import Callable

import bpy
import textures
from passes import write_normals
from textures import Colour, Graph, Texture

Maker = Callable[[Graph, random.Random, str], Texture]

# For each part of a scene: textures with their palette, and the range of roughness.
ROLES: dict[str, tuple[list[tuple[Maker, str]], tuple[float, float]]] = {
    "wall": (
        [(textures.plain, "wall")] * 6
        + [(textures.mottled, "wall"), (textures.stripes, "wall"), (textures.bricks, "brick")],
        (0.6, 1),
    ),
    "ceiling": (
        [(textures.plain, "white")] * 4 + [(textures.tiles, "white"), (textures.wooden, "wood")],
        (0.7, 1),
    ),
    "floor": (
        [(textures.planks, "wood")] * 3
        + [(textures.tiles, "stone"), (textures.tiles, "wall"), (textures.tiles, "grey")]
        + [
            (textures.grainy, "grey"),
            (textures.grainy, "any"),
            (textures.mottled, "grey"),
            (textures.plain, "stone"),
        ],
        (0.25, 0.9),
    ),
    "wood": ([(textures.wooden, "wood")], (0.3, 0.8)),
    "thing": (
        [(textures.plain, "any")] * 4
        + [
            (textures.plain, "paint"),
            (textures.mottled, "any"),
            (textures.stripes, "any"),
            (textures.wooden, "wood"),
            (textures.wooden, "wood"),
        ]
        + [(textures.checks, "any"), (textures.cells, "any"), (textures.bricks, "any")],
        (0.1, 0.95),
    ),
    "furniture": (
        [(textures.wooden, "wood")] * 4
        + [(textures.plain, "white"), (textures.plain, "grey"), (textures.plain, "any")],
        (0.25, 0.9),
    ),
    "fabric": (
        [
            (textures.plain, "any"),
            (textures.grainy, "any"),
            (textures.stripes, "any"),
            (textures.grainy, "grey"),
            (textures.checks, "any"),
        ],
        (0.8, 1),
    ),
    "leaf": ([(textures.mottled, "leaf")], (0.5, 0.9)),
    "bark": ([(textures.mottled, "soil"), (textures.grainy, "soil")], (0.8, 1)),
    "asphalt": ([(textures.grainy, "asphalt")] * 4 + [(textures.mottled, "asphalt")], (0.5, 1)),
    "pavement": (
        [
            (textures.tiles, "stone"),
            (textures.tiles, "grey"),
            (textures.tiles, "stone"),
            (textures.grainy, "grey"),
            (textures.cells, "stone"),
        ],
        (0.6, 1),
    ),
    "grass": ([(textures.grainy, "grass")] * 3 + [(textures.mottled, "grass")], (0.8, 1)),
    "soil": ([(textures.grainy, "soil"), (textures.mottled, "soil"), (textures.grainy, "stone")], (0.8, 1)),
    "concrete": (
        [(textures.mottled, "grey"), (textures.plain, "grey"), (textures.grainy, "stone")],
        (0.6, 1),
    ),
    "facade": (
        [(textures.plain, "plaster")] * 3
        + [(textures.bricks, "brick")] * 3
        + [(textures.wall_tiles, "stone")],
        (0.6, 1),
    ),
    "roof": (
        [(textures.tiles, "brick"), (textures.tiles, "asphalt"), (textures.mottled, "asphalt")],
        (0.6, 1),
    ),
    "car": ([(textures.plain, "paint")], (0.1, 0.35)),
    "rubber": ([(textures.plain, "rubber")], (0.6, 0.9)),
    "marking": ([(textures.grainy, "white"), (textures.plain, "white")], (0.6, 0.9)),
    "metal": ([(textures.plain, "grey")], (0.1, 0.5)),
    "paper": ([(textures.plain, "paper")], (0.7, 1)),
    "worktop": (
        [
            (textures.plain, "white"),
            (textures.plain, "grey"),
            (textures.plain, "any"),
            (textures.wooden, "wood"),
            (textures.mottled, "stone"),
            (textures.grainy, "grey"),
        ],
        (0.15, 0.7),
    ),
    "skin": ([(textures.plain, "skin")], (0.5, 0.8)),
    "hair": ([(textures.grainy, "hair")], (0.5, 0.9)),
}

# What takes their place in a pale scene.
PALE: dict[str, tuple[list[tuple[Maker, str]], tuple[float, float]]] = {
    "wall": ([(textures.plain, "paper")] * 3 + [(textures.plain, "white")], (0.6, 1)),
    "ceiling": ([(textures.plain, "paper")], (0.7, 1)),
    "floor": (
        [
            (textures.tiles, "white"),
            (textures.plain, "white"),
            (textures.planks, "wood"),
            (textures.grainy, "grey"),
            (textures.plain, "stone"),
        ],
        (0.2, 0.9),
    ),
    "furniture": ([(textures.plain, "paper")] * 4 + [(textures.wooden, "wood")], (0.15, 0.8)),
    "worktop": ([(textures.plain, "paper")] * 3 + [(textures.plain, "white")], (0.1, 0.6)),
    "thing": (
        [(textures.plain, "paper")] * 4 + [(textures.plain, "any")] * 2 + [(textures.wooden, "wood")],
        (0.1, 0.95),
    ),
    "fabric": (
        [(textures.plain, "paper"), (textures.grainy, "white"), (textures.plain, "any")],
        (0.8, 1),
    ),
}


class Paints:
    """Makes the materials of one scene after another.

    Attributes:
        pale: Whether the present scene is mostly white.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.pale = False

    def make(self, role: str) -> bpy.types.Material:
        """Make a new material for a part of a scene.

        Raises:
            KeyError: There is no such role.
        """
        rng = self._rng
        makers, roughness = PALE[role] if self.pale and role in PALE else ROLES[role]
        maker, palette = rng.choice(makers)
        graph = Graph(role)
        colour, height = maker(graph, rng, palette)
        graph.feed(graph.surface.inputs["Base Color"], colour)
        graph.surface.inputs["Roughness"].default_value = rng.uniform(*roughness)
        if role == "metal" or (role == "thing" and rng.random() < 0.1):
            graph.surface.inputs["Metallic"].default_value = 1.0
        if role == "thing" and rng.random() < 0.06:
            graph.surface.inputs["Transmission Weight"].default_value = 1.0
        if height is not None and rng.random() < 0.6:
            bump = graph.add("Bump", {"Strength": rng.uniform(0.05, 0.4), "Distance": 0.02, "Height": height})
            graph.feed(graph.surface.inputs["Normal"], bump.outputs[0])
        write_normals(graph.material)
        return graph.material

    def many(self, role: str, count: int) -> list[bpy.types.Material]:
        """Make several materials for one role."""
        return [self.make(role) for _ in range(count)]

    def glow(self, colour: Colour, strength: float) -> bpy.types.Material:
        """Make a lamp's surface."""
        graph = Graph("glow")
        graph.surface.inputs["Emission Color"].default_value = colour
        graph.surface.inputs["Emission Strength"].default_value = strength
        write_normals(graph.material)
        return graph.material

    def pane(self) -> bpy.types.Material:
        """Make a window pane as seen from the street: dark and shiny."""
        graph = Graph("pane")
        value = self._rng.uniform(0.01, 0.12)
        graph.surface.inputs["Base Color"].default_value = (value, value * 1.05, value * 1.15, 1)
        graph.surface.inputs["Roughness"].default_value = self._rng.uniform(0.02, 0.15)
        write_normals(graph.material)
        return graph.material

    def mirror(self) -> bpy.types.Material:
        """Make a mirror: a camera sees the room in it, its depth is that of the glass."""
        graph = Graph("mirror")
        graph.surface.inputs["Base Color"].default_value = (0.85, 0.87, 0.87, 1)
        graph.surface.inputs["Metallic"].default_value = 1.0
        graph.surface.inputs["Roughness"].default_value = self._rng.uniform(0, 0.04)
        write_normals(graph.material)
        return graph.material

    def windowed(self) -> bpy.types.Material:
        """Make a facade with painted windows, for buildings too far for real ones."""
        rng = self._rng
        graph = Graph("windowed")
        makers, _ = ROLES["facade"]
        maker, palette = rng.choice(makers)
        wall, _ = maker(graph, rng, palette)
        dark = rng.uniform(0.02, 0.15)
        node = graph.add(
            "TexBrick",
            {
                "Vector": graph.wall_position(),
                "Color1": (dark, dark, dark * 1.2, 1),
                "Color2": (dark * 2, dark * 2, dark * 2, 1),
                "Mortar": wall,
                "Scale": 1.0,
                "Mortar Size": rng.uniform(0.45, 0.85),
                "Mortar Smooth": 0.0,
                "Brick Width": rng.uniform(2, 3.5),
                "Row Height": rng.uniform(2.7, 3.4),
            },
            offset=0.0,
        )
        graph.feed(graph.surface.inputs["Base Color"], node.outputs[0])
        graph.surface.inputs["Roughness"].default_value = rng.uniform(0.4, 0.9)
        write_normals(graph.material)
        return graph.material

    def picture(self, image: bpy.types.Image) -> bpy.types.Material:
        """Make a picture to hang: a random piece of a photograph."""
        rng = self._rng
        graph = Graph("picture")
        place = graph.add("TexCoord").outputs["Generated"]
        parts = graph.add("SeparateXYZ", {0: place})
        flat = graph.add("CombineXYZ", {0: parts.outputs[0], 1: parts.outputs[2]}).outputs[0]
        crop = rng.uniform(0.15, 0.4)
        corner = (rng.uniform(0, 1), rng.uniform(0.3, 0.6), 0)
        where = graph.add("Mapping", {0: flat, "Location": corner, "Scale": (crop, crop, 1)}).outputs[0]
        colour = graph.add("TexImage", {0: where}, image=image).outputs[0]
        graph.feed(graph.surface.inputs["Base Color"], colour)
        graph.surface.inputs["Roughness"].default_value = rng.uniform(0.1, 0.7)
        write_normals(graph.material)
        return graph.material
