# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Streets: buildings along a road, parked and moving cars, people, trees and poles."""

from __future__ import annotations

from math import pi

import buildings
import objects
import roads
from bending import bend_stage, bend_view, draw_bend
from cameras import Clearance, View, draw_fov, draw_roll
from mathutils import Euler, Matrix
from objects import Palette
from roads import BEHIND_M, Layout
from stage import Plan, Stage, frame
from vehicles import Garage

CLEARANCE = Clearance(nearest_m=0.3, median_m=2.0, share_of_sky=0.6, overhead_m=2.0)
AHEAD_M = 150.0
NEAR_M = 40.0  # nearer buildings have real windows


def build(stage: Stage) -> Plan:
    """Build a street."""
    layout = _draw_layout(stage)
    paints = objects.palette(stage, 6)
    garage = Garage(stage)
    roads.build(stage, layout)
    for side in (-1, 1):
        _line_of_buildings(stage, paints, layout, side)
        _pavement_things(stage, paints, layout, side)
        _vehicles(stage, garage, layout, side)
    _people(stage, paints, layout)
    _overhead(stage, paints, layout)
    _closing(stage, layout)
    stage.daylight()
    bend = draw_bend(stage)
    if bend is None:
        return Plan(lambda: _view(stage, layout), CLEARANCE)
    bend_stage(stage, bend)
    return Plan(lambda: bend_view(_view(stage, layout), bend), CLEARANCE)


def _draw_layout(stage: Stage) -> Layout:
    rng = stage.rng
    style = rng.choice(["urban", "urban", "avenue", "avenue", "avenue", "suburban", "suburban", "open"])
    low, high = {"urban": (2.8, 9), "avenue": (7, 15), "suburban": (3.2, 7), "open": (3.5, 11)}[style]
    half = rng.uniform(low, high)
    corner = rng.uniform(6, 70)
    return Layout(
        half=half,
        pavement=rng.uniform(0.3, 1.5) if style == "open" else rng.uniform(1.2, 4.5),
        setback={
            "urban": 0.0,
            "avenue": rng.uniform(0, 14),
            "suburban": rng.uniform(2, 8),
            "open": rng.uniform(10, 40),
        }[style],
        style=style,
        parking=stage.chance(0.35 if style == "avenue" else 0.7) and style != "open",
        median=rng.uniform(0.4, 2.5) if half > 7 and stage.chance(0.35) else 0.0,
        crossing=(corner, corner + rng.uniform(6, 24)) if stage.chance(0.45) else None,
    )


def _line_of_buildings(stage: Stage, paints: Palette, layout: Layout, side: int) -> None:
    rng = stage.rng
    y, far = BEHIND_M, rng.uniform(60, AHEAD_M)
    even = rng.uniform(3.5, 20 if layout.style == "urban" else 12)  # neighbours are of similar height
    while y < far:
        suburban = layout.style in ("suburban", "open")
        length = rng.uniform(7, 13) if suburban else rng.uniform(6, 20)
        middle = y + length / 2
        base = frame(side * (layout.line + rng.uniform(0, 0.3)), middle, turn=-side * pi / 2)
        near = -15 < middle < NEAR_M
        if layout.crosses(middle, length / 2 + 1.5):
            y += 3
            continue
        if suburban:
            base = base @ frame(0, rng.uniform(0, 3))
            if stage.chance(0.75 if layout.style == "suburban" else 0.35):
                buildings.house(stage, paints, base, (length * 0.75, rng.uniform(6, 10), rng.uniform(2.8, 6)))
        elif stage.chance(0.9 if layout.style == "urban" else 0.65):
            height = max(3.2, even * rng.uniform(0.75, 1.3))
            buildings.block(stage, paints, base, (length - rng.choice([0, 0, 0.8]), 12, height), near=near)
        y += length + (rng.uniform(1, 8) if suburban else rng.choice([0, 0, 0, rng.uniform(4, 10)]))
    if layout.style in ("suburban", "open") and stage.chance(0.6):
        _fence(stage, layout, side, far)


def _fence(stage: Stage, layout: Layout, side: int, far: float) -> None:
    """A hedge, wall or fence along the pavement, with openings."""
    rng = stage.rng
    x = side * (layout.half + layout.pavement + 0.2)
    height, width = rng.uniform(0.7, 1.9), rng.uniform(0.08, 0.5)
    material = stage.paints.make(rng.choice(["leaf", "leaf", "wood", "facade", "concrete"]))
    y = BEHIND_M
    while y < far:
        length = rng.uniform(4, 14)
        if layout.crosses(y + length / 2, length / 2 + 1):
            y += 2
            continue
        stage.box(material, (x - width / 2, y, 0), (x + width / 2, y + length, height))
        y += length + rng.uniform(1.2, 4)


def _pavement_things(stage: Stage, paints: Palette, layout: Layout, side: int) -> None:
    """Trees, lamps, signs, bollards, bins and benches along the kerb and the walls."""
    rng = stage.rng
    kerb, wall = side * (layout.half + 0.6), side * (layout.half + layout.pavement - 0.4)
    spacing = rng.uniform(6, 20)
    if stage.chance(0.6):
        offset = rng.uniform(0, spacing)
        for index in range(int(90 / spacing)):
            y = BEHIND_M / 2 + offset + index * spacing
            if stage.chance(0.85) and not layout.crosses(y, 1):
                objects.tree(stage, frame(kerb + side * 0.2, y))
    if stage.chance(0.7):
        lamp, reach = rng.uniform(3.5, 8), rng.uniform(0, 2)
        for index in range(6):
            _street_lamp(stage, paints, frame(kerb, index * 22 + rng.uniform(-12, -8)), lamp, -side * reach)
    for _ in range(rng.randint(2, 12)):
        x = kerb if stage.chance(0.6) else wall
        place = frame(x, rng.uniform(-12, 45), turn=side * pi / 2 + rng.gauss(0, 0.15))
        draw = rng.random()
        if draw < 0.45:
            stage.model(rng.choice(["street", "street", "cycle", "garden"]), place, 3)
        elif draw < 0.65:
            _sign(stage, paints, place)
        elif draw < 0.85:
            tall, thick = rng.uniform(0.6, 1.1), rng.uniform(0.08, 0.3)
            stage.shape(
                rng.choice(["round", "pole", "box"]),
                rng.choice(paints),
                (0, 0, tall / 2),
                (thick, thick, tall),
                base=place,
            )
        else:
            objects.bush(stage, place)


def _street_lamp(stage: Stage, paints: Palette, base: Matrix, height: float, reach: float) -> None:
    metal = paints[-1]
    stage.shape("pole", metal, (0, 0, height / 2), (0.14, 0.14, height), base=base)
    stage.box(metal, (0, -0.05, height - 0.05), (reach, 0.05, height + 0.05), base=base)
    stage.box(metal, (reach - 0.3, -0.12, height - 0.08), (reach + 0.3, 0.12, height + 0.08), base=base)


def _sign(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A traffic sign on a pole that faces along the street."""
    rng = stage.rng
    height, size = rng.uniform(2.1, 2.8), rng.uniform(0.45, 0.8)
    stage.shape("pole", paints[-1], (0, 0, height / 2), (0.07, 0.07, height), base=base)
    plate = rng.choice(paints)
    if stage.chance(0.5):
        facing = Euler((0, pi / 2, 0))
        stage.put(
            stage.shapes.pick("round"), plate, (0, 0, height), (size, size, 0.03), base=base, rotation=facing
        )
    else:
        stage.shape("box", plate, (0, 0, height), (0.03, size, size * rng.uniform(0.6, 1.3)), base=base)


def _vehicles(stage: Stage, garage: Garage, layout: Layout, side: int) -> None:
    """Parked cars close behind each other, and traffic on the lanes: a jam, a flow, or an empty road."""
    rng = stage.rng
    if layout.parking:
        y, density = rng.uniform(-30, -20), rng.uniform(0.3, 1)
        while y < 70:
            length = 5.2
            if stage.chance(density) and not layout.crosses(y, 6):
                place = frame(side * (layout.half - 1.1 + rng.gauss(0, 0.1)), y, turn=rng.gauss(0, 0.03))
                length = garage.add(place @ _either_way(stage)) + rng.uniform(0.5, 1.5)
            y += length
    most = rng.choice([2, 8, 25, 60])
    for lane in layout.lanes:
        y = rng.uniform(-35, -35 + most)
        while y < 110:
            drift = rng.gauss(0, 0.25)
            place = frame(side * lane + drift, y, turn=(0 if side > 0 else pi) + rng.gauss(0, 0.02))
            draw = rng.random()
            length = 4.5
            if draw < 0.08 and (picked := stage.furniture.pick(rng.choice(["truck", "cycle"]))):
                turn = 0 if picked[0].size_m[1] >= picked[0].size_m[0] else pi / 2
                stage.place_model(*picked, place @ frame(0, 0, turn=turn))
                length = picked[0].length_m
            else:
                length = garage.add(place, "bus" if draw > 0.95 else "")
            y += length + rng.uniform(2, 3 + most)


def _either_way(stage: Stage) -> Matrix:
    return frame(0, 0, turn=stage.rng.choice([0, pi]))


def _overhead(stage: Stage, paints: Palette, layout: Layout) -> None:
    """Traffic lights over a crossing, and cables across the street."""
    rng = stage.rng
    metal = paints[-1]
    if layout.crossing and stage.chance(0.7):
        reach = rng.uniform(0.2, 0.9) * layout.half
        for side, y in ((1, layout.crossing[1] + 1), (-1, layout.crossing[0] - 1)):
            base = frame(side * (layout.half + 0.5), y)
            height = rng.uniform(5, 6.5)
            stage.shape("pole", metal, (0, 0, height / 2), (0.2, 0.2, height), base=base)
            stage.box(metal, (0, -0.06, height - 0.3), (-side * reach, 0.06, height - 0.18), base=base)
            for x in (0, -side * reach):
                lamp = frame(x, -0.1 * side, height - 0.8 if x else 2.6)
                case = stage.paints.make("rubber")
                stage.box(case, (-0.17, -0.15, -0.5), (0.17, 0.15, 0.5), base=base @ lamp)
                glow, z = rng.choice([((1, 0.05, 0.03, 1), 0.3), ((0.1, 1, 0.4, 1), -0.3)])
                light = stage.paints.glow(glow, 4)
                stage.box(light, (-0.1, -0.17, z - 0.1), (0.1, 0.17, z + 0.1), base=base @ lamp)
    if stage.chance(0.25):
        cable, height = stage.paints.make("rubber"), rng.uniform(6, 9)
        for index in range(rng.randint(1, 4)):
            x = rng.choice([-1, 1]) * layout.half + 0.3 * index
            stage.box(cable, (x - 0.02, BEHIND_M, height), (x + 0.02, 160, height + 0.04))


def _people(stage: Stage, paints: Palette, layout: Layout) -> None:
    rng = stage.rng
    for _ in range(rng.randint(0, 8)):
        side = rng.choice([-1, 1])
        x = side * (layout.half + rng.uniform(0.3, max(0.4, layout.pavement)))
        if stage.chance(0.2):
            x = rng.uniform(-0.8, 0.8) * layout.half
        place = frame(
            x, rng.uniform(1, 40) if stage.chance(0.8) else rng.uniform(-12, 0), turn=rng.uniform(0, 6.3)
        )
        objects.figure(stage, paints, place)


def _closing(stage: Stage, layout: Layout) -> None:
    """What stands at the end of the street, and hills or blocks in the distance."""
    rng = stage.rng
    if layout.style == "urban" and stage.chance(0.6):
        for x in (-24, 0, 24):
            wall = stage.paints.windowed()
            stage.box(
                wall, (x - 12, AHEAD_M + rng.uniform(0, 20), 0), (x + 12, AHEAD_M + 40, rng.uniform(8, 30))
            )
    for _ in range(rng.randint(0, 10)):
        x, y = rng.uniform(-150, 150), rng.choice([rng.uniform(160, 350), rng.uniform(-250, -80)])
        if abs(x) > layout.line + 5:
            size = rng.uniform(10, 25)
            stage.box(stage.paints.windowed(), (x, y, 0), (x + size, y + size, rng.uniform(6, 40)))
    if layout.style != "urban" or stage.chance(0.3):
        leaf = stage.paints.make("leaf")
        for _ in range(rng.randint(4, 14)):
            x, y = rng.choice([-1, 1]) * rng.uniform(layout.line + 8, 120), rng.uniform(-60, 220)
            size = rng.uniform(4, 11)
            stage.shape("crown", leaf, (x, y, 0.45 * size), (size, size, size))


def _view(stage: Stage, layout: Layout) -> View:
    """Draw a camera: a car's, in a lane, or a delivery robot's, mostly on the pavement."""
    return _car_view(stage, layout) if stage.chance(0.55) else _robot_view(stage, layout)


def _car_view(stage: Stage, layout: Layout) -> View:
    rng = stage.rng
    side = rng.choice([-1, 1])
    place = (
        side * rng.choice(layout.lanes) + rng.gauss(0, 0.3),
        side * rng.uniform(-16, 10),
        rng.uniform(0.8, 2.1),
    )
    ahead = 0 if side > 0 else 180
    draw = rng.random()
    if draw < 0.65:
        turn = rng.gauss(0, 5)
    elif draw < 0.9:
        turn = rng.choice([-1, 1]) * rng.uniform(20, 105)
    else:
        turn = 180 + rng.gauss(0, 10)
    return View(place, ahead + turn, rng.gauss(-1.5, 3), rng.gauss(0, 1), draw_fov(rng))


def _robot_view(stage: Stage, layout: Layout) -> View:
    rng = stage.rng
    y = rng.uniform(-12, 14)
    walk = layout.half + layout.pavement * rng.uniform(0.2, 0.9)
    x = rng.choice([-walk, walk]) if stage.chance(0.7) else rng.uniform(-0.8, 0.8) * layout.half
    z = rng.uniform(1.2, 2.0) if stage.chance(0.4) else rng.uniform(0.25, 1.3)
    draw = rng.random()
    if draw < 0.55:
        heading = rng.gauss(0, 12)
    elif draw < 0.85:
        heading = rng.choice([-1, 1]) * rng.uniform(15, 75)
    else:
        heading = rng.uniform(-180, 180)
    pitch = rng.gauss(-4, 5) if stage.chance(0.8) else rng.uniform(-30, 10)
    return View((x, y, z + 0.15), heading, pitch, draw_roll(rng), draw_fov(rng))
