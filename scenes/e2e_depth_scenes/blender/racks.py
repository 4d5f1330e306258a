# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.
"""Racks of cartons, as in stores and warehouses."""

from __future__ import annotations

from collections import defaultdict

import bpy
import meshes
from mathutils import Matrix
from meshes import Point
from objects import Palette
from stage import Stage


def rack(
    stage: Stage,
    cartons: Palette,
    metal: bpy.types.Material,
    base: Matrix,
    size: tuple[float, float, float],
    levels: int,
) -> None:
    """A rack along y, its middle at the origin of `base`.

    Args:
        stage: The scene.
        cartons: Materials of what lies on it.
        metal: Material of posts and boards.
        base: Where it stands.
        size: Depth along x, length along y, height of a level; metres.
        levels: Number of boards.
    """
    rng = stage.rng
    deep, length, step = size
    frames: list[tuple[Point, Point]] = []
    goods: dict[int, list[tuple[Point, Point]]] = defaultdict(list)
    fullness = rng.uniform(0.3, 1)
    y = -length / 2
    while y < length / 2 - 0.5:
        bay = min(rng.uniform(1.5, 2.7), length / 2 - y)
        for level in range(levels):
            z = level * step + 0.12
            frames.append(((-deep / 2, y, z - 0.06), (deep / 2, y + bay, z)))
            along = y + 0.1
            while along < y + bay - 0.3:
                wide, tall = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.9) * step
                if stage.chance(fullness):
                    inset = rng.uniform(0, 0.25) * deep
                    corners = ((inset - deep / 2, along, z), (deep / 2 - inset, along + wide, z + tall))
                    goods[rng.randrange(len(cartons))].append(corners)
                along += wide + rng.uniform(0.02, 0.2)
        posts = ((x - 0.03, x + 0.03) for x in (-deep / 2, deep / 2))
        frames += [((x0, y - 0.03, 0), (x1, y + 0.03, levels * step)) for x0, x1 in posts]
        y += bay
    stage.put_once(meshes.boxes(frames), metal, base=base)
    for index, corners in goods.items():
        stage.put_once(meshes.boxes(corners), cartons[index], base=base)
