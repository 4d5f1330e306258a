# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Walls, floors, ceilings, windows and doors: the shell of a room or a corridor."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import bpy
from mathutils import Matrix
from objects import Palette
from stage import Stage, frame

THICKNESS = 0.12


@dataclass(frozen=True)
class Shell:
    """The inside of a room, centred at the origin, floor at z = 0; metres."""

    width: float
    depth: float
    height: float

    def wall(self, side: int) -> tuple[Matrix, float]:
        """A frame in the middle of one of four walls, +y into the wall, and the wall's length."""
        length, distance = (self.width, self.depth) if side % 2 == 0 else (self.depth, self.width)
        return frame(0, 0, turn=side * pi / 2) @ frame(0, distance / 2), length


def build_shell(
    stage: Stage,
    shell: Shell,
    paints: Palette,
    windows: float,
    doors: int,
    *,
    wall: str = "wall",
    floor: str = "floor",
) -> list[int]:
    """Build floor, ceiling and four walls.

    Args:
        stage: The scene.
        shell: Its inside.
        paints: Materials for frames and doors.
        windows: Probability that a wall has a window; a pale scene has none.
        doors: Tries for doors on each wall.
        wall: Role of the walls' materials.
        floor: Role of the floor's.

    Returns:
        The sides that have a window.
    """
    plain, ceiling = stage.paints.make(wall), stage.paints.make("ceiling")
    accent = stage.paints.make("wall") if stage.chance(0.3) else plain
    x, y, t = shell.width / 2, shell.depth / 2, THICKNESS
    stage.box(stage.paints.make(floor), (-x - t, -y - t, -0.1), (x + t, y + t, 0))
    stage.box(ceiling, (-x - t, -y - t, shell.height), (x + t, y + t, shell.height + 0.1))
    skirting = stage.rng.choice([ceiling, *paints[-4:]])
    glazed = []
    for side in range(4):
        base, length = shell.wall(side)
        material = stage.rng.choice([plain, plain, accent])
        if stage.chance(0.0 if stage.paints.pale else windows):
            glazed.append(side)
            _wall_with_window(stage, material, paints, base, length, shell.height)
            continue
        stage.box(material, (-length / 2 - t, 0, 0), (length / 2 + t, t, shell.height), base=base)
        if stage.chance(0.6):
            stage.box(
                skirting, (-length / 2, -0.015, 0), (length / 2, 0, stage.rng.uniform(0.06, 0.15)), base=base
            )
        _hang_on_wall(stage, paints, base, length, shell.height, doors)
    return glazed


def _wall_with_window(
    stage: Stage, material: bpy.types.Material, paints: Palette, base: Matrix, length: float, height: float
) -> None:
    rng, t = stage.rng, THICKNESS
    width = min(0.8 * length, rng.uniform(0.8, 2.6)) if stage.chance(0.75) else rng.uniform(0.6, 0.9) * length
    x0 = rng.uniform(0.1 - length / 2, length / 2 - width - 0.1)
    x1 = x0 + width
    z0, z1 = rng.choice([0.02, 0.8, 0.95, 1.1]), rng.uniform(1.8, height - 0.1)
    stage.box(material, (-length / 2 - t, 0, 0), (x0, t, height), base=base)
    stage.box(material, (x1, 0, 0), (length / 2 + t, t, height), base=base)
    stage.box(material, (x0, 0, 0), (x1, t, z0), base=base)
    stage.box(material, (x0, 0, z1), (x1, t, height), base=base)
    timber, half = rng.choice(paints), 0.025
    sashes = rng.randint(1, 3) + int(width / 3)
    for sash in range(sashes + 1):
        x = x0 + width * sash / sashes
        stage.box(timber, (x - half, 0.03, z0), (x + half, 0.08, z1), base=base)
    for z in (z0, z1 - 2 * half):
        stage.box(timber, (x0, 0.03, z), (x1, 0.08, z + 2 * half), base=base)
    if stage.chance(0.45):
        cloth = stage.paints.make("fabric")
        for x in (x0, x1):
            size = (rng.uniform(0.4, 0.9), 1, 0.96 * height)
            stage.shape("curtain", cloth, (x, -0.1, height / 2), size, base=base)
    elif stage.chance(0.4):
        stage.box(paints[0], (x0 + 0.1, -0.11, 0.15), (x1 - 0.1, -0.02, min(z0, 0.75)), base=base)


def _hang_on_wall(
    stage: Stage, paints: Palette, base: Matrix, length: float, height: float, doors: int
) -> None:
    rng = stage.rng
    for _ in range(doors):
        if stage.chance(0.6) and length > 1.3:
            x = rng.uniform(0.1 - length / 2, length / 2 - 1)
            _door(stage, paints, base @ frame(x, 0))
    for _ in range(rng.randint(0, 3)):
        width, tall = rng.uniform(0.2, 1.2), rng.uniform(0.2, 0.9)
        x = rng.uniform(-0.45, max(-0.44, 0.45 - width / length)) * length
        z = rng.uniform(1, 1.6)
        if z + tall > height - 0.1:
            continue
        if stage.chance(0.12):
            mirror = stage.paints.mirror()
            stage.box(mirror, (x, -0.02, z - 0.5), (x + width, 0, z + tall), base=base)
            continue
        image = stage.skies.image() if stage.chance(0.6) else None
        picture = stage.paints.picture(image) if image else stage.paints.make("thing")
        edge = rng.choice(paints)
        stage.box(edge, (x - 0.03, -0.03, z - 0.03), (x + width + 0.03, 0, z + tall + 0.03), base=base)
        stage.box(picture, (x, -0.035, z), (x + width, -0.02, z + tall), base=base)
    if stage.chance(0.3):
        stage.model("wall", base @ frame(rng.uniform(-0.4, 0.4) * length, -0.1, turn=pi))


def _door(stage: Stage, paints: Palette, base: Matrix) -> None:
    leaf, edge, handle = stage.rng.choice(paints), stage.rng.choice(paints), paints[-1]
    stage.box(edge, (-0.07, -0.03, 0), (0.97, 0, 2.12), base=base)
    stage.box(leaf, (0, -0.045, 0), (0.9, -0.02, 2.05), base=base)
    if stage.chance(0.3):
        stage.box(stage.paints.pane(), (0.2, -0.05, 1.0), (0.7, -0.04, 1.85), base=base)
    stage.shape("ball", handle, (0.82, -0.09, 1.0), (0.06, 0.06, 0.06), base=base)


def light_room(stage: Stage, shell: Shell, glazed: list[int], *, bright: bool) -> None:
    """Daylight through the windows, and ceiling lamps; a bright room is flooded with both."""
    rng = stage.rng
    area = shell.width * shell.depth
    lamps = rng.randint(0 if glazed else 1, 3)
    watts = rng.uniform(3, 12) * area if bright else rng.uniform(1, 5) * area
    for _ in range(lamps):
        x, y = rng.uniform(-0.4, 0.4) * shell.width, rng.uniform(-0.4, 0.4) * shell.depth
        stage.lamp("AREA", (x, y, shell.height - 0.05), watts / lamps, rng.uniform(0.2, 1.2))
    if glazed and stage.chance(0.6):
        stage.sun(2, 30) if bright else stage.sun(1, 8)
    stage.skies.surround(outdoor=True, strength=rng.uniform(3, 15) if bright else rng.uniform(0.6, 4))
