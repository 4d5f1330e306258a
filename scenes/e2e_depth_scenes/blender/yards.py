# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Yards, parks, fields and car parks: open ground without a street's order."""

from __future__ import annotations

from math import pi

import buildings
import meshes
import objects
from cameras import Clearance, View, draw_fov, draw_roll
from mathutils import Matrix, noise
from objects import Palette
from stage import Plan, Stage, frame

CLEARANCE = Clearance(nearest_m=0.25, median_m=1.0, share_of_sky=0.6, overhead_m=1.5)


def build(stage: Stage) -> Plan:
    """Build open ground with things on it."""
    rng = stage.rng
    kind = rng.choice(["yard", "park", "field", "car park"])
    paints = objects.palette(stage, 6)
    role = {
        "yard": rng.choice(["pavement", "concrete", "grass"]),
        "park": "grass",
        "field": rng.choice(["grass", "soil"]),
    }
    bumpy = kind in ("park", "field")
    _land(stage, role.get(kind, "asphalt"), rng.uniform(0.2, 1.2) if bumpy else 0.0)
    if kind == "park" or stage.chance(0.3):
        _path(stage)
    if kind in ("yard", "car park"):
        _enclosure(stage, paints, rng.uniform(7, 40))
    if kind == "car park":
        _cars(stage)
    _plants(stage, {"yard": 4, "park": 22, "field": 16, "car park": 6}[kind])
    for _ in range(rng.randint(2, 12)):
        _something(stage, paints, _spot(stage, 1.5, 14))
    if bumpy:
        _tufts(stage)
    stage.daylight()
    return Plan(lambda: _view(stage), CLEARANCE)


def _plants(stage: Stage, most: int) -> None:
    """Trees and bushes around the camera."""
    for _ in range(stage.rng.randint(most // 3, most)):
        grow = objects.tree if stage.chance(0.5) else objects.bush
        grow(stage, _spot(stage, 4, 45))


def _something(stage: Stage, paints: Palette, place: Matrix) -> None:
    """A person, an animal, a thing or a stone."""
    rng = stage.rng
    draw = rng.random()
    if draw < 0.2:
        objects.figure(stage, paints, place)
    elif draw < 0.75:
        stage.model(rng.choice(["garden", "street", "cycle", "animal", "garden"]), place, 4)
    elif draw < 0.85:
        objects.boxes_pile(stage, paints, place)
    else:
        size = rng.uniform(0.2, 1.2)
        stage.shape("rock", stage.paints.make("concrete"), (0, 0, 0.2 * size), (size, size, size), base=place)


def _spot(stage: Stage, near: float, far: float) -> Matrix:
    """A place around the middle, denser near it."""
    rng = stage.rng
    distance = rng.uniform(near**0.5, far**0.5) ** 2
    return frame(0, 0, turn=rng.uniform(0, 2 * pi)) @ frame(0, distance, turn=rng.uniform(0, 2 * pi))


def _land(stage: Stage, role: str, relief: float) -> None:
    """Flat or rolling ground out to 450 m; it stays near z = 0 in the middle."""
    material = stage.paints.make(role)
    if relief == 0:
        stage.box(material, (-450, -450, -0.3), (450, 450, 0))
        return
    # Steps grow outwards, so that the middle is fine and the horizon is cheap.
    half = [450 * (i / 40) ** 2.2 for i in range(41)]
    axis = [-x for x in reversed(half[1:])] + half
    shift = stage.rng.uniform(0, 99)

    def height(x: float, y: float) -> float:
        far = min(1.0, (x * x + y * y) ** 0.5 / 60)
        hills = 8 * relief * far**2 * noise.noise((x / 90 + shift, y / 90, 0))
        return hills + 0.12 * relief * noise.noise((x / 3 + shift, y / 3, 5)) - 0.05 * relief

    stage.put_once(meshes.sheet([[(x, y, height(x, y)) for x in axis] for y in axis]), material)


def _path(stage: Stage) -> None:
    """A straight or bent path."""
    rng = stage.rng
    half, bend, x0 = rng.uniform(0.5, 1.8), rng.uniform(-0.01, 0.01), rng.uniform(-2, 2)
    rows = [
        [(x0 + bend * y * y + s * half, y, 0.06) for s in (-1, -0.5, 0, 0.5, 1)] for y in range(-40, 60, 2)
    ]
    stage.put_once(
        meshes.sheet(rows), stage.paints.make(rng.choice(["soil", "pavement", "asphalt", "concrete"]))
    )


def _enclosure(stage: Stage, paints: Palette, reach: float) -> None:
    """Buildings, walls and fences around the ground."""
    rng = stage.rng
    for side in range(4):
        base = frame(0, 0, turn=side * pi / 2) @ frame(0, reach * rng.uniform(0.7, 1.3))
        draw = rng.random()
        if draw < 0.45:
            size = (reach * rng.uniform(1, 2.4), 10, rng.uniform(3.2, 14))
            buildings.block(stage, paints, base, size, near=reach < 25)
        elif draw < 0.6:
            buildings.house(
                stage, paints, base, (rng.uniform(7, 12), rng.uniform(6, 10), rng.uniform(2.8, 6))
            )
        elif draw < 0.85:
            wall = stage.paints.make(rng.choice(["wood", "facade", "concrete", "leaf"]))
            stage.box(wall, (-1.5 * reach, 0, 0), (1.5 * reach, 0.2, rng.uniform(0.9, 2.4)), base=base)


def _cars(stage: Stage) -> None:
    """Rows of parked cars with painted bays."""
    rng = stage.rng
    bays: list[tuple[meshes.Point, meshes.Point]] = []
    for row in range(rng.randint(1, 3)):
        y = rng.uniform(4, 8) + 16 * row
        for column in range(-8, 9):
            x = 2.6 * column
            bays.append(((x - 1.35, y - 2.5, 0), (x - 1.25, y + 2.5, 0.004)))
            if stage.chance(0.6):
                turn = rng.choice([0, pi]) + rng.gauss(0, 0.04)
                picked = stage.furniture.pick("car")
                if picked:
                    stage.place_model(*picked, frame(x, y, turn=turn))
    stage.put_once(meshes.boxes(bays), stage.paints.make("marking"))


def _tufts(stage: Stage) -> None:
    """Grass and stones near the camera."""
    rng = stage.rng
    blade, stone = stage.paints.make("leaf"), stage.paints.make("concrete")
    for _ in range(rng.randint(20, 80)):
        size, place = rng.uniform(0.1, 0.45), _spot(stage, 0.5, 12)
        stage.shape("tuft", blade, (0, 0, -0.03), (size, size, size), base=place)
    for _ in range(rng.randint(0, 15)):
        size, place = rng.uniform(0.05, 0.3), _spot(stage, 0.5, 10)
        stage.shape("rock", stone, (0, 0, 0.1 * size), (size, size, size), base=place)


def _view(stage: Stage) -> View:
    rng = stage.rng
    z = rng.uniform(0.2, 1.0) if stage.chance(0.5) else rng.uniform(0.8, 2.0)
    pitch = rng.gauss(-5, 6) if stage.chance(0.75) else rng.uniform(-40, 8)
    position = (rng.uniform(-2, 2), rng.uniform(-2, 2), z + 0.1)
    return View(position, rng.uniform(-180, 180), pitch, draw_roll(rng), draw_fov(rng))
