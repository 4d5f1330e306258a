# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Corridors of houses and offices, and aisles of stores."""

from __future__ import annotations

from math import pi

import objects
from cameras import Clearance, View, draw_fov, draw_roll
from interiors import Shell, build_shell
from mathutils import Matrix
from racks import rack
from stage import Plan, Stage, frame

CLEARANCE = Clearance(nearest_m=0.2, median_m=0.7, share_of_sky=0.5)


def build(stage: Stage) -> Plan:
    """Build a corridor along y, or an aisle between racks."""
    rng = stage.rng
    aisle = stage.chance(0.3)
    width = rng.uniform(3, 7) if aisle else rng.uniform(1.2, 3)
    shell = Shell(width, rng.uniform(8, 30), rng.uniform(3, 6) if aisle else rng.uniform(2.2, 3.2))
    paints = objects.palette(stage)
    build_shell(stage, shell, paints, windows=0.15, doors=rng.randint(1, 5))
    if aisle:
        _racks(stage, paints, shell)
    for _ in range(rng.randint(2, 9)):
        side = rng.choice([1, 3])
        base, length = shell.wall(side)
        place = base @ frame(rng.uniform(-0.45, 0.45) * length, -0.3, turn=pi)
        if not (
            stage.chance(0.7) and stage.model(rng.choice(["floor", "storage", "plant", "seat"]), place, 1.5)
        ):
            _simple(stage, paints, place)
    for _ in range(rng.randint(0, 3)):
        place = frame(
            rng.uniform(-0.3, 0.3) * width, rng.uniform(-0.4, 0.45) * shell.depth, turn=rng.uniform(0, 6)
        )
        objects.figure(stage, paints, place)
    for _ in range(rng.randint(0, 5)):
        place = frame(rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.4, 0.45) * shell.depth)
        objects.clutter(stage, paints, place, rng.uniform(1, 2.5))
    _ceiling_lamps(stage, shell)
    stage.skies.surround(outdoor=True, strength=rng.uniform(0.5, 3))
    return Plan(lambda: _view(stage, shell), CLEARANCE)


def _simple(stage: Stage, paints: objects.Palette, place: Matrix) -> None:
    draw = stage.rng.random()
    if draw < 0.35:
        objects.cabinet(stage, paints, place, (stage.rng.uniform(0.5, 1.2), 0.4, stage.rng.uniform(0.6, 1.9)))
    elif draw < 0.6:
        objects.boxes_pile(stage, objects.carton_paints(stage), place)
    elif draw < 0.8:
        objects.plant(stage, paints, place)
    else:
        objects.chair(stage, paints, place)


def _racks(stage: Stage, paints: objects.Palette, shell: Shell) -> None:
    """Racks of cartons on both sides."""
    rng = stage.rng
    cartons = [*objects.carton_paints(stage), *paints]
    deep, levels, step = rng.uniform(0.5, 1.1), rng.randint(2, 4), rng.uniform(0.7, 1.2)
    for side in (-1, 1):
        base = frame(side * (shell.width / 2 - deep / 2 - 0.05), -0.5)
        rack(stage, cartons, paints[-1], base, (deep, shell.depth - 2, step), levels)


def _ceiling_lamps(stage: Stage, shell: Shell) -> None:
    rng = stage.rng
    count = rng.randint(2, 6)
    watts, size = rng.uniform(4, 25) * max(1.0, shell.width / 2), rng.uniform(0.3, 0.9)
    glow = stage.paints.glow((1, 0.95, 0.85, 1), rng.uniform(2, 8))
    for lamp in range(count):
        y = shell.depth * ((lamp + 0.5) / count - 0.5)
        if stage.chance(0.85):
            stage.lamp("AREA", (0, y, shell.height - 0.06), watts, size)
            stage.shape("box", glow, (0, y, shell.height - 0.01), (size, size, 0.02))


def _view(stage: Stage, shell: Shell) -> View:
    rng = stage.rng
    x = rng.uniform(-0.5, 0.5) * (shell.width - 0.7)
    y = rng.uniform(-0.5, 0.35) * (shell.depth - 0.6)
    z = rng.choice([rng.uniform(0.12, 0.6), rng.uniform(0.4, 1.9)])
    back = 180 if stage.chance(0.15) else 0
    heading = back + (rng.gauss(0, 12) if stage.chance(0.75) else rng.uniform(-80, 80))
    return View((x, y, z), heading, rng.gauss(-6, 8), draw_roll(rng), draw_fov(rng))
