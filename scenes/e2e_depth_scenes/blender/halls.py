# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.
"""Halls: warehouses, laboratories and workshops, garages, lobbies."""

from __future__ import annotations

from math import pi

import meshes
import objects
from cameras import Clearance, View, draw_fov, draw_roll
from interiors import Shell, build_shell
from meshes import Point
from objects import Palette
from racks import rack
from rooms import Ground, desk_rows
from stage import Plan, Stage, frame
from vehicles import Garage

CLEARANCE = Clearance(nearest_m=0.25, median_m=1.0, share_of_sky=0.4)


def build(stage: Stage) -> Plan:
    """Build a hall."""
    rng = stage.rng
    kind = rng.choice(["warehouse", "warehouse", "laboratory", "garage", "lobby"])
    tall = {"warehouse": (3.5, 9), "laboratory": (2.6, 4), "garage": (2.3, 3.2), "lobby": (2.8, 7)}[kind]
    shell = Shell(rng.uniform(8, 26), rng.uniform(10, 45), rng.uniform(*tall))
    paints = objects.palette(stage)
    floor = "floor" if kind in ("laboratory", "lobby") else rng.choice(["concrete", "asphalt", "concrete"])
    build_shell(stage, shell, paints, windows=0.35, doors=2, floor=floor)
    ground = Ground(shell.width, shell.depth)
    _columns(stage, shell, ground)
    if kind == "warehouse":
        _aisles(stage, paints, shell, ground)
    elif kind == "laboratory":
        desk_rows(stage, paints, shell, ground)
    elif kind == "garage":
        _parked(stage, shell, ground)
    _scatter(stage, paints, ground, "street" if kind in ("warehouse", "garage") else "floor")
    _lamps(stage, shell)
    stage.skies.surround(outdoor=True, strength=rng.uniform(0.5, 4))
    return Plan(lambda: _view(stage, shell, ground), CLEARANCE)


def _columns(stage: Stage, shell: Shell, ground: Ground) -> None:
    """Columns on a grid, and beams across the ceiling."""
    rng = stage.rng
    if stage.chance(0.3):
        return
    paint, thick = stage.paints.make(rng.choice(["concrete", "wall", "metal"])), rng.uniform(0.2, 0.6)
    step_x, step_y = rng.uniform(4, 9), rng.uniform(4, 9)
    boxes: list[tuple[Point, Point]] = []
    y = step_y / 2 - shell.depth / 2
    while y < shell.depth / 2:
        x = step_x - shell.width / 2
        while x < shell.width / 2 - 1:
            if ground.take(x, y, thick, thick):
                half = thick / 2
                boxes.append(((x - half, y - half, 0), (x + half, y + half, shell.height)))
            x += step_x
        boxes.append(
            ((-shell.width / 2, y - 0.12, shell.height - 0.35), (shell.width / 2, y + 0.12, shell.height))
        )
        y += step_y
    stage.put_once(meshes.boxes(boxes), paint)


def _aisles(stage: Stage, paints: Palette, shell: Shell, ground: Ground) -> None:
    """Racks in rows along the hall."""
    rng = stage.rng
    cartons = [*objects.carton_paints(stage), *paints]
    metal = stage.paints.make(rng.choice(["metal", "car"]))
    deep, aisle = rng.uniform(0.6, 1.2), rng.uniform(1.6, 4)
    step = rng.uniform(0.7, 1.6)
    levels = max(2, min(5, int(shell.height / step) - 1))
    length = shell.depth * rng.uniform(0.4, 0.8)
    x = deep / 2 + 0.1 - shell.width / 2
    while x < shell.width / 2 - deep / 2:
        y = rng.uniform(-0.5, 0.5) * (shell.depth - length - 2)
        if ground.take(x, y, deep, length):
            rack(stage, cartons, metal, frame(x, y), (deep, length, step), levels)
        x += deep + (aisle if stage.chance(0.7) else 0.15)
    for _ in range(rng.randint(0, 14)):  # pallets
        x, y = ground.draw(rng, 1.0)
        if ground.take(x, y, 1.2, 0.9):
            stage.box(stage.paints.make("wood"), (x - 0.6, y - 0.4, 0.02), (x + 0.6, y + 0.4, 0.14))
            for _ in range(rng.randint(0, 3)):
                place = frame(x + rng.uniform(-0.25, 0.25), y, 0.14, turn=rng.gauss(0, 0.1))
                objects.boxes_pile(stage, cartons, place)


def _parked(stage: Stage, shell: Shell, ground: Ground) -> None:
    """Cars in bays along both walls."""
    garage, bays = Garage(stage), []
    for side in (-1, 1):
        x = side * (shell.width / 2 - 2.7)
        y = 1.5 - shell.depth / 2
        while y < shell.depth / 2 - 1.5:
            bays.append(((x - 2.4, y - 1.35, 0.001), (x + 2.4, y - 1.25, 0.004)))
            if stage.chance(0.55) and ground.take(x, y, 5, 2.1):
                garage.add(
                    frame(x, y, turn=stage.rng.choice([-1, 1]) * pi / 2),
                    stage.rng.choice(["", "hatchback", "saloon"]),
                )
            y += 2.6
    stage.put_once(meshes.boxes(bays), stage.paints.make("marking"))


def _scatter(stage: Stage, paints: Palette, ground: Ground, role: str) -> None:
    """People and things that stand about."""
    rng = stage.rng
    for _ in range(rng.randint(4, 22)):
        x, y = ground.draw(rng, 0.5)
        if not ground.take(x, y, 0.8, 0.8):
            continue
        place, draw = frame(x, y, turn=rng.uniform(0, 2 * pi)), rng.random()
        if draw < 0.25:
            objects.figure(stage, paints, place)
        elif draw < 0.6:
            stage.model(rng.choice([role, role, "seat", "plant", "table"]), place, 2.0)
        elif draw < 0.8:
            objects.boxes_pile(stage, objects.carton_paints(stage), place)
        else:
            height, width = rng.uniform(0.4, 1.2), rng.uniform(0.25, 0.6)
            shape = rng.choice(["cylinder", "cone", "block"])
            stage.shape(shape, rng.choice(paints), (0, 0, height / 2), (width, width, height), base=place)


def _lamps(stage: Stage, shell: Shell) -> None:
    """Rows of lamps under the ceiling, some of them off."""
    rng = stage.rng
    rows, columns = (
        max(1, round(shell.depth / rng.uniform(5, 12))),
        max(1, round(shell.width / rng.uniform(5, 12))),
    )
    watts = rng.uniform(2, 14) * shell.width * shell.depth * (shell.height / 3) / (rows * columns)
    glow = stage.paints.glow((1, 0.97, 0.92, 1), rng.uniform(2, 8))
    for row in range(rows):
        for column in range(columns):
            if stage.chance(0.85):
                x = shell.width * ((column + 0.5) / columns - 0.5)
                y = shell.depth * ((row + 0.5) / rows - 0.5)
                stage.lamp("AREA", (x, y, shell.height - 0.5), watts, 0.8)
                stage.box(
                    glow, (x - 0.6, y - 0.1, shell.height - 0.45), (x + 0.6, y + 0.1, shell.height - 0.4)
                )


def _view(stage: Stage, shell: Shell, ground: Ground) -> View:
    rng = stage.rng
    x, y = ground.draw_free(rng, 0.4)
    z = rng.choice([rng.uniform(0.15, 0.7), rng.uniform(0.5, 2.0)])
    # Along the hall, mostly the long way.
    ahead = 180.0 if y > shell.depth * rng.uniform(-0.5, 0.5) else 0.0
    heading = ahead + rng.gauss(0, 20) if stage.chance(0.7) else rng.uniform(0, 360)
    return View((x, y, z), heading, rng.gauss(-4, 7), draw_roll(rng), draw_fov(rng))
