# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Colours and procedural textures, as shader graphs."""

from __future__ import annotations

import colorsys
import random
from typing import Any

import bpy

Colour = tuple[float, float, float, float]

# Ranges of hue, saturation and value (linear light) that a palette draws from.
PALETTES: dict[str, list[tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    "wall": [((0.04, 0.16), (0, 0.18), (0.45, 0.85))] * 5 + [((0, 1), (0.05, 0.4), (0.25, 0.75))],
    "white": [((0.05, 0.15), (0, 0.06), (0.6, 0.88))],
    "paper": [((0.05, 0.65), (0, 0.04), (0.72, 0.93))],
    "grey": [((0, 1), (0, 0.1), (0.06, 0.55))],
    "asphalt": [((0.05, 0.7), (0, 0.08), (0.05, 0.28))],
    "rubber": [((0.05, 0.7), (0, 0.1), (0.008, 0.035))],
    "stone": [((0.05, 0.12), (0, 0.2), (0.2, 0.6))],
    "wood": [((0.05, 0.1), (0.3, 0.75), (0.08, 0.5))],
    "leaf": [((0.17, 0.34), (0.4, 0.8), (0.05, 0.3))] * 5 + [((0.03, 0.15), (0.5, 0.9), (0.1, 0.45))],
    "grass": [((0.16, 0.3), (0.35, 0.75), (0.06, 0.28))] * 3 + [((0.1, 0.16), (0.3, 0.6), (0.15, 0.45))],
    "soil": [((0.05, 0.1), (0.25, 0.6), (0.08, 0.35))],
    "brick": [((0.0, 0.07), (0.4, 0.75), (0.15, 0.5))] * 3 + [((0.08, 0.13), (0.2, 0.5), (0.3, 0.65))],
    "skin": [((0.04, 0.09), (0.3, 0.6), (0.12, 0.75))],
    "hair": [((0.05, 0.1), (0.1, 0.7), (0.01, 0.2))] * 3 + [((0.08, 0.12), (0.2, 0.5), (0.2, 0.6))],
    "plaster": [((0.03, 0.16), (0, 0.35), (0.3, 0.85))] * 4 + [((0, 1), (0.05, 0.45), (0.2, 0.7))],
    "paint": [((0, 1), (0, 0.15), (0.02, 0.85))] * 3 + [((0, 1), (0.5, 0.95), (0.08, 0.7))] * 2,
    "any": [((0, 1), (0, 0.3), (0.03, 0.85))] * 3 + [((0, 1), (0.3, 0.95), (0.05, 0.8))] * 2,
}


def draw_colour(rng: random.Random, palette: str) -> Colour:
    """Draw a colour, linear RGBA."""
    hue, saturation, value = (rng.uniform(*limits) for limits in rng.choice(PALETTES[palette]))
    return (*colorsys.hsv_to_rgb(hue % 1, saturation, value), 1.0)


def shade_of(rng: random.Random, colour: Colour, low: float = 0.45, high: float = 1.5) -> Colour:
    """Draw a lighter or darker relative of a colour."""
    factor = rng.uniform(low, high)
    return (*(min(1.0, channel * factor) for channel in colour[:3]), 1.0)


class Graph:
    """The shader graph of one material, with short words for adding nodes."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.surface = next(node for node in self.tree.nodes if node.type == "BSDF_PRINCIPLED")

    def add(self, kind: str, inputs: dict[str | int, Any] | None = None, **attributes: Any) -> bpy.types.Node:
        """Add a node; each input is a value, or the output socket of another node."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in attributes.items():
            setattr(node, name, value)
        for name, value in (inputs or {}).items():
            self.feed(node.inputs[name], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        """Connect an output socket, or set a value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> bpy.types.NodeSocket:
        """Mix two colours."""
        return self.add("Mix", {0: factor, 6: a, 7: b}, data_type="RGBA", blend_type=blend).outputs[2]

    def position(self) -> bpy.types.NodeSocket:
        """World position, metres: textures keep their size, however an object is scaled."""
        return self.add("NewGeometry").outputs["Position"]

    def wall_position(self) -> bpy.types.NodeSocket:
        """(x + y, z): the plane of any wall along an axis, metres."""
        parts = self.add("SeparateXYZ", {0: self.position()})
        along = self.add("Math", {0: parts.outputs[0], 1: parts.outputs[1]}, operation="ADD")
        return self.add("CombineXYZ", {0: along.outputs[0], 1: parts.outputs[2]}).outputs[0]

    def noise(self, place: Any, scale: float, detail: float = 4, distortion: float = 0) -> Any:
        """Fractal noise, 0..1, with features of about 1 / scale metres."""
        inputs = {"Vector": place, "Scale": scale, "Detail": detail, "Distortion": distortion}
        return self.add("TexNoise", inputs).outputs[0]

    def ramp(self, value: Any, low: Colour, high: Colour, begin: float = 0.35, end: float = 0.65) -> Any:
        """Map a value from begin..end to low..high."""
        node = self.add("ValToRGB", {0: value})
        for element, place, colour in zip(node.color_ramp.elements, (begin, end), (low, high), strict=True):
            element.position, element.color = place, colour
        return node.outputs[0]


Texture = tuple[Any, Any]  # (colour, height or None)


def plain(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """One colour with faint large stains."""
    colour = draw_colour(rng, palette)
    stains = graph.noise(graph.position(), rng.uniform(0.3, 1.5), 5)
    return graph.ramp(stains, colour, shade_of(rng, colour, 0.8, 1.1)), None


def mottled(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Two colours in clouds."""
    colour = draw_colour(rng, palette)
    other = draw_colour(rng, palette) if rng.random() < 0.35 else shade_of(rng, colour)
    clouds = graph.noise(graph.position(), rng.uniform(2, 14), rng.uniform(2, 7), rng.uniform(0, 2))
    return graph.ramp(clouds, colour, other, rng.uniform(0.25, 0.48), rng.uniform(0.52, 0.75)), clouds


def grainy(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Fine grain, as asphalt, carpet or lawn, with large stains."""
    colour = draw_colour(rng, palette)
    grain = graph.noise(graph.position(), rng.uniform(25, 120), 3)
    fine = graph.ramp(grain, shade_of(rng, colour, 0.5, 0.85), shade_of(rng, colour, 1.1, 1.6), 0.3, 0.7)
    stains = graph.noise(graph.position(), rng.uniform(0.15, 0.8), 5)
    tint = graph.ramp(stains, (0.55, 0.55, 0.55, 1), (1, 1, 1, 1), 0.3, 0.65)
    return graph.mix(rng.uniform(0.3, 1), fine, tint, "MULTIPLY"), grain


def planks(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Boards with wood grain."""
    colour = draw_colour(rng, palette)
    stretch = graph.add("Mapping", {0: graph.position(), "Scale": (2.0, 14.0, 14.0)}).outputs[0]
    grain = graph.noise(stretch, rng.uniform(1, 3), 5, rng.uniform(0, 1.5))
    wood = graph.ramp(grain, colour, shade_of(rng, colour, 0.45, 0.8), 0.3, 0.7)
    boards = graph.add(
        "TexBrick",
        {
            "Vector": graph.position(),
            "Color1": (1, 1, 1, 1),
            "Color2": (0.6, 0.6, 0.6, 1),
            "Mortar": (0.15, 0.12, 0.1, 1),
            "Scale": 1.0,
            "Mortar Size": 0.004,
            "Brick Width": rng.uniform(0.6, 1.6),
            "Row Height": rng.uniform(0.07, 0.2),
        },
    )
    return graph.mix(1.0, wood, boards.outputs[0], "MULTIPLY"), boards.outputs[1]


def tiles(graph: Graph, rng: random.Random, palette: str, place: Any = None) -> Texture:
    """Square or oblong tiles with joints."""
    colour = draw_colour(rng, palette)
    side = rng.choice([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6])
    node = graph.add(
        "TexBrick",
        {
            "Vector": place or graph.position(),
            "Color1": colour,
            "Color2": shade_of(rng, colour, 0.7, 1.2),
            "Mortar": draw_colour(rng, "grey"),
            "Scale": 1.0,
            "Mortar Size": side * rng.uniform(0.008, 0.03),
            "Brick Width": side * rng.choice([1, 1, 1, 2]),
            "Row Height": side,
        },
        offset=rng.choice([0.0, 0.0, 0.5]),
    )
    return node.outputs[0], node.outputs[1]


def wall_tiles(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Tiles on an upright wall."""
    return tiles(graph, rng, palette, graph.wall_position())


def bricks(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """A brick wall in running bond."""
    colour = draw_colour(rng, palette)
    node = graph.add(
        "TexBrick",
        {
            "Vector": graph.wall_position(),
            "Color1": colour,
            "Color2": shade_of(rng, colour, 0.6, 1.1),
            "Mortar": draw_colour(rng, "stone"),
            "Scale": 1.0,
            "Mortar Size": rng.uniform(0.006, 0.015),
            "Brick Width": rng.uniform(0.2, 0.4),
            "Row Height": rng.uniform(0.065, 0.14),
        },
    )
    dirt = graph.ramp(
        graph.noise(graph.position(), rng.uniform(0.3, 1.5), 5), (0.5, 0.5, 0.5, 1), (1, 1, 1, 1)
    )
    return graph.mix(rng.uniform(0.2, 0.9), node.outputs[0], dirt, "MULTIPLY"), node.outputs[1]


def stripes(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Stripes of wallpaper or cloth."""
    colour = draw_colour(rng, palette)
    place = graph.wall_position()
    wave = graph.add(
        "TexWave", {"Vector": place, "Scale": rng.uniform(1, 9), "Distortion": rng.uniform(0, 1.5)}
    )
    return graph.mix(wave.outputs[1], colour, shade_of(rng, colour, 0.6, 1.2)), None


def wooden(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Solid wood with grain."""
    colour = draw_colour(rng, palette)
    axes = [1.5, 12.0, 12.0]
    rng.shuffle(axes)
    stretch = graph.add("Mapping", {0: graph.position(), "Scale": axes}).outputs[0]
    grain = graph.noise(stretch, rng.uniform(1, 4), 5, rng.uniform(0, 2))
    return graph.ramp(grain, colour, shade_of(rng, colour, 0.4, 0.85), 0.3, 0.7), grain


def checks(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """A checked pattern."""
    colour = draw_colour(rng, palette)
    inputs = {
        0: graph.position(),
        "Color1": colour,
        "Color2": shade_of(rng, colour),
        "Scale": rng.uniform(2, 20),
    }
    return graph.add("TexChecker", inputs).outputs[0], None


def cells(graph: Graph, rng: random.Random, palette: str) -> Texture:
    """Irregular cells, as natural stone."""
    colour = draw_colour(rng, palette)
    node = graph.add("TexVoronoi", {"Vector": graph.position(), "Scale": rng.uniform(2, 12)})
    return graph.mix(node.outputs["Distance"], colour, shade_of(rng, colour, 0.5, 1.3)), node.outputs[
        "Distance"
    ]
