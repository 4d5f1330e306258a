# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Light: photographed surroundings, plain skies, the sun and lamps."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import bpy
import numpy as np
from split import belongs

OUTDOOR = re.compile(r"city|dawn|forest|night|park|sky|sunrise|sunset|venice")


def blender_surroundings() -> list[Path]:
    """The panoramas that come with Blender (CC0)."""
    return sorted(Path(bpy.utils.resource_path("LOCAL"), "datafiles/studiolights/world").glob("*.exr"))


class Skies:
    """The world around a scene: panoramas of one split, or a painted sky."""

    def __init__(self, paths: list[Path], split: str, rng: random.Random) -> None:
        self._rng = rng
        # By the name alone: some panoramas come from two places under one name.
        self.paths = [path for path in paths if belongs(f"surroundings {path.stem}", split)]
        self._images: dict[Path, tuple[bpy.types.Image, float]] = {}
        self._world = bpy.data.worlds.new("world")
        # The automatic importance map costs a second for each scene.
        self._world.cycles.sampling_method = "MANUAL"
        self._world.cycles.sample_map_resolution = 128
        bpy.context.scene.world = self._world

    def image(self) -> bpy.types.Image | None:
        """Any panorama, for the pictures on a wall; None where the split has none."""
        return self._load(self._rng.choice(self.paths))[0] if self.paths else None

    def surround(self, *, outdoor: bool, strength: float = 1.0, overcast: bool = False) -> None:
        """Put the scene into a panorama, its mean radiance scaled to `strength`; or under a painted sky."""
        paths = [path for path in self.paths if not outdoor or OUTDOOR.search(path.stem)]
        if not paths or overcast or (outdoor and self._rng.random() < 0.65):
            self._paint_sky(strength, overcast=overcast)
            return
        image, mean = self._load(self._rng.choice(paths))
        tree = self._clear()
        place = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
        turn = tree.nodes.new("ShaderNodeMapping")
        turn.inputs["Rotation"].default_value = (0, 0, self._rng.uniform(0, 2 * math.pi))
        panorama = tree.nodes.new("ShaderNodeTexEnvironment")
        panorama.image = image
        tree.links.new(place, turn.inputs[0])
        tree.links.new(turn.outputs[0], panorama.inputs[0])
        self._shine(tree, panorama.outputs[0], strength / mean)

    def _paint_sky(self, strength: float, *, overcast: bool) -> None:
        """A sky: a gradient from a pale horizon to the zenith, with noise for clouds."""
        rng = self._rng
        tree = self._clear()
        place = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
        parts = tree.nodes.new("ShaderNodeSeparateXYZ")
        tree.links.new(place, parts.inputs[0])
        gradient = tree.nodes.new("ShaderNodeValToRGB")
        horizon, zenith = gradient.color_ramp.elements
        warm, blue, value = rng.uniform(-0.15, 0.25), rng.uniform(0.25, 0.9), rng.uniform(0.25, 1)
        if overcast:
            warm, blue, value = 0.0, rng.uniform(0, 0.15), rng.uniform(0.5, 1)
        horizon.color = (0.9 + 0.5 * max(0.0, warm), 0.9, 0.95 - warm, 1)
        zenith.color = (value * (1 - blue), value * (1 - 0.55 * blue), value, 1)
        zenith.position = rng.uniform(0.15, 0.8)
        tree.links.new(parts.outputs[2], gradient.inputs[0])
        # Clouds lie in a plane, so that they become small and dense towards the horizon.
        height = tree.nodes.new("ShaderNodeMath")
        height.operation = "MAXIMUM"
        height.inputs[1].default_value = 0.06
        tree.links.new(parts.outputs[2], height.inputs[0])
        plane = tree.nodes.new("ShaderNodeVectorMath")
        plane.operation = "DIVIDE"
        tree.links.new(place, plane.inputs[0])
        tree.links.new(height.outputs[0], plane.inputs[1])
        noise = tree.nodes.new("ShaderNodeTexNoise")
        noise.inputs["Scale"].default_value = rng.uniform(0.3, 1.5)
        noise.inputs["Detail"].default_value = 5
        tree.links.new(plane.outputs[0], noise.inputs["Vector"])
        cover = tree.nodes.new("ShaderNodeValToRGB")
        begin = rng.uniform(0.2, 0.45) if overcast else rng.uniform(0.4, 0.8)
        cover.color_ramp.elements[0].position = begin
        cover.color_ramp.elements[1].position = begin + rng.uniform(0.08, 0.3)
        tree.links.new(noise.outputs[0], cover.inputs[0])
        clouds = tree.nodes.new("ShaderNodeMix")
        clouds.data_type = "RGBA"
        white = rng.uniform(0.6, 1.2)
        clouds.inputs[7].default_value = (white, white, white, 1)
        tree.links.new(cover.outputs[0], clouds.inputs[0])
        tree.links.new(gradient.outputs[0], clouds.inputs[6])
        self._shine(tree, clouds.outputs[2], strength)

    def _clear(self) -> bpy.types.NodeTree:
        self._world.use_nodes = True
        self._world.node_tree.nodes.clear()
        return self._world.node_tree

    def _shine(self, tree: bpy.types.NodeTree, colour: bpy.types.NodeSocket, strength: float) -> None:
        background = tree.nodes.new("ShaderNodeBackground")
        output = tree.nodes.new("ShaderNodeOutputWorld")
        background.inputs[1].default_value = strength
        tree.links.new(colour, background.inputs[0])
        tree.links.new(background.outputs[0], output.inputs[0])

    def _load(self, path: Path) -> tuple[bpy.types.Image, float]:
        if path not in self._images:
            image = bpy.data.images.load(str(path))
            width, height = image.size
            pixels = np.empty(width * height * image.channels, dtype=np.float32)
            image.pixels.foreach_get(pixels)
            light = pixels.reshape(height, width, -1)[..., :3].mean(axis=(1, 2))
            # Rows near the poles cover less of the sphere.
            weights = np.sin((np.arange(height) + 0.5) / height * math.pi)
            self._images[path] = image, max(1e-3, float(np.average(light, weights=weights)))
        return self._images[path]


def lamplight(rng: random.Random) -> tuple[float, float, float]:
    """Draw a colour between candle and daylight."""
    warmth = rng.uniform(0, 1)
    return (1.0, 1 - 0.35 * warmth, 1 - 0.6 * warmth)


def add_lamp(kind: str, strength: float, size: float, colour: tuple[float, float, float]) -> bpy.types.Object:
    """Make a light: "AREA" and "POINT" in watts and metres, "SUN" in W/m2 and radians."""
    light = bpy.data.lights.new("lamp", kind)
    light.energy, light.color = strength, colour
    if kind == "AREA":
        light.size = size
    elif kind == "SUN":
        light.angle = size
    else:
        light.shadow_soft_size = size
    return bpy.data.objects.new("lamp", light)
