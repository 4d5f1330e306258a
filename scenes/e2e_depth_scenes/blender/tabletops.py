# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Tabletops, as an arm or a desk robot sees them."""

from __future__ import annotations

from math import cos, pi, sin

import objects
from cameras import Clearance, View, towards
from counters import build_counter
from stage import Plan, Stage, frame

CLEARANCE = Clearance(nearest_m=0.1, median_m=0.25, share_of_sky=0.6)


def build(stage: Stage) -> Plan:
    """Build a laden table, bench, shelf or bin in a corner of a room."""
    rng = stage.rng
    paints = objects.palette(stage, 12)
    width, depth, height = rng.uniform(0.8, 2.0), rng.uniform(0.5, 1.1), rng.choice([0.45, 0.72, 0.75, 0.9])
    counter = stage.happens("counter")
    picked = stage.furniture.pick("table", 2.2) if not counter and stage.chance(0.4) else None
    if counter:
        width, depth, height = build_counter(stage, paints)
    elif picked and picked[0].top_m > 0.3:
        stage.place_model(*picked, frame(0, 0))
        width, depth, height = *picked[0].size_m[:2], picked[0].top_m
    else:
        objects.table(stage, paints, frame(0, 0), (width, depth, height))
    top = frame(0, 0, height)
    if stage.chance(0.2):
        cloth = stage.paints.make("fabric")
        stage.shape(
            "box", cloth, (0, 0, height + 0.003), (width * rng.uniform(0.5, 1.05), depth * 1.02, 0.006)
        )
    objects.litter(stage, paints, top, (width, depth), rng.randint(5, 22))
    if not counter and stage.chance(0.25):
        _bin(stage, paints)
    _surroundings(stage, paints, depth, width, gap=0.0 if counter else None)
    watts = rng.uniform(8, 90)
    place = (rng.uniform(-2, 2), rng.uniform(-2, 1), rng.uniform(1.8, 3))
    stage.lamp("AREA", place, watts, rng.uniform(0.1, 1.2), tilt=rng.uniform(-0.4, 0.4))
    stage.skies.surround(outdoor=False, strength=rng.uniform(0.2, 1.5))
    return Plan(lambda: _view(stage, width, depth, height), CLEARANCE)


def _bin(stage: Stage, paints: objects.Palette) -> None:
    """An open bin with things in it, on the floor before the table or instead of it."""
    rng = stage.rng
    wall = rng.choice(paints)
    x, y, z = rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.4)
    base = frame(rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.1), rng.choice([0.0, 0.75]), rng.uniform(0, pi))
    stage.box(wall, (-x / 2, -y / 2, 0), (x / 2, y / 2, 0.01), base=base)
    for side in (-1, 1):
        stage.box(wall, (side * x / 2 - 0.008, -y / 2, 0), (side * x / 2 + 0.008, y / 2, z), base=base)
        stage.box(wall, (-x / 2, side * y / 2 - 0.008, 0), (x / 2, side * y / 2 + 0.008, z), base=base)
    objects.litter(stage, paints, base @ frame(0, 0, 0.01), (0.8 * x, 0.8 * y), rng.randint(2, 8))


def _surroundings(
    stage: Stage, paints: objects.Palette, depth: float, width: float, gap: float | None
) -> None:
    """Floor, one or two walls, the first a gap behind the table (None draws it), and furniture between."""
    rng = stage.rng
    stage.box(stage.paints.make("floor"), (-6, -6, -0.1), (6, 6, 0))
    wall = stage.paints.make("wall")
    back = depth / 2 + (rng.uniform(0.05, 2.5) if gap is None else gap)
    stage.box(wall, (-6, back, 0), (6, back + 0.1, 3))
    if stage.chance(0.5):
        stage.box(wall, (width / 2 + rng.uniform(0.1, 2), -6, 0), (9, 9, 3))
    if stage.paints.pale:
        ceiling = stage.paints.make("ceiling")
        stage.box(ceiling, (-6, -6, 3), (6, back, 3.1))
        stage.box(wall, (-6, -6.1, 0), (6, -6, 3))
        for x in (-6, 6):
            stage.box(wall, (x - 0.05, -6, 0), (x + 0.05, back, 3))
    for _ in range(rng.randint(0, 5)):
        place = frame(rng.uniform(-2.5, 2.5), depth / 2 + rng.uniform(0.4, 2), turn=rng.uniform(0, 2 * pi))
        if place.translation.y > back - 0.4:
            continue
        role = rng.choice(["seat", "storage", "floor", "plant", "sofa"])
        if not stage.model(role, place):
            objects.chair(stage, paints, place)


def _view(stage: Stage, width: float, depth: float, height: float) -> View:
    rng = stage.rng
    if stage.happens("from_above"):
        return _view_from_above(stage, width, depth, height)
    angle = rng.uniform(-2.8, -0.35) if stage.chance(0.85) else rng.uniform(0, 2 * pi)
    reach = rng.uniform(0.25, 1.5)
    position = (reach * cos(angle), reach * sin(angle), height + rng.uniform(0.1, 1.0))
    target = (rng.uniform(-0.35, 0.35) * width, rng.uniform(-0.3, 0.3) * depth, height + rng.uniform(0, 0.12))
    return towards(rng, position, target)


def _view_from_above(stage: Stage, width: float, depth: float, height: float) -> View:
    """Draw a camera over the front of the table that looks 50 to 90 degrees down."""
    rng = stage.rng
    up, aslant = rng.uniform(0.35, 1.3), rng.uniform(0, 0.7)
    target = (rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.45, 0.3) * depth, height)
    position = (target[0] + rng.gauss(0, 0.05), target[1] - aslant * up - 0.01, height + up)
    return towards(rng, position, target)
