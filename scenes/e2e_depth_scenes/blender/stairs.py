# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.
"""Flights of stairs, in houses and outdoors, seen from below and from above."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees

import meshes
import objects
from cameras import Clearance, View, draw_fov, draw_roll
from meshes import Point
from objects import Palette
from stage import Plan, Stage, frame

CLEARANCE = Clearance(nearest_m=0.2, median_m=0.6, share_of_sky=0.5)


@dataclass(frozen=True)
class Flight:
    """A straight flight that rises along y from y = 0; metres."""

    steps: int
    rise: float
    tread: float
    width: float

    @property
    def length(self) -> float:
        """Along y."""
        return self.steps * self.tread

    @property
    def height(self) -> float:
        """Of the landing above the floor."""
        return self.steps * self.rise


def build(stage: Stage) -> Plan:
    """Build a flight with a floor below and a landing above."""
    rng = stage.rng
    outdoor = stage.chance(0.35)
    flight = Flight(
        rng.randint(3 if outdoor else 8, 18),
        rng.uniform(0.14, 0.2),
        rng.uniform(0.24, 0.36),
        rng.uniform(0.9, 4 if outdoor else 2),
    )
    paints = objects.palette(stage, 6)
    _steps(stage, flight, outdoor=outdoor)
    _railings(stage, paints, flight)
    if outdoor:
        _outside(stage, flight)
    else:
        _inside(stage, paints, flight)
    for _ in range(rng.randint(0, 4)):
        x, below = rng.uniform(-1.5, 1.5), stage.chance(0.6)
        place = (
            frame(x, -rng.uniform(0.6, 3))
            if below
            else frame(x, flight.length + rng.uniform(0.5, 2.5), flight.height)
        )
        if stage.chance(0.3):
            objects.figure(stage, paints, place)
        elif not stage.model(rng.choice(["floor", "plant", "storage", "street"]), place, 1.2):
            objects.boxes_pile(stage, paints, place)
    return Plan(lambda: _view(stage, flight), CLEARANCE)


def _steps(stage: Stage, flight: Flight, *, outdoor: bool) -> None:
    """Solid or open steps, with nosings of another colour now and then."""
    rng = stage.rng
    solid = outdoor or stage.chance(0.75)
    half = flight.width / 2
    treads: list[tuple[Point, Point]] = []
    edges: list[tuple[Point, Point]] = []
    for step in range(flight.steps):
        y, z = step * flight.tread, (step + 1) * flight.rise
        treads.append(((-half, y, 0 if solid else z - 0.05), (half, y + flight.tread, z)))
        edges.append(((-half - 0.002, y - 0.015, z - 0.035), (half + 0.002, y + 0.04, z + 0.002)))
    role = rng.choice(["concrete", "pavement"] if outdoor else ["furniture", "concrete", "floor", "fabric"])
    stage.put_once(meshes.boxes(treads), stage.paints.make(role))
    if stage.chance(0.45):
        stage.put_once(
            meshes.boxes(edges), stage.paints.make(rng.choice(["marking", "metal", "rubber", "furniture"]))
        )


def _railings(stage: Stage, paints: Palette, flight: Flight) -> None:
    """A handrail with posts on none, one or both sides."""
    rng = stage.rng
    metal, height, gap = rng.choice(paints), rng.uniform(0.85, 1.05), rng.choice([1, 1, 2, 4])
    slope = atan2(flight.height, flight.length)
    run = (flight.height**2 + flight.length**2) ** 0.5
    for side in (-1, 1):
        if stage.chance(0.35):
            continue
        x = side * (flight.width / 2 - 0.05)
        posts = [
            (
                (x - 0.02, (step + 0.4) * flight.tread, (step + 1) * flight.rise),
                (x + 0.02, (step + 0.4) * flight.tread + 0.03, (step + 1) * flight.rise + height),
            )
            for step in range(0, flight.steps, gap)
        ]
        stage.put_once(meshes.boxes(posts), metal)
        rail = frame(x, 0, height + flight.rise) @ meshes.tilt(slope)
        stage.box(metal, (-0.03, 0, -0.03), (0.03, run, 0.03), base=rail)


def _inside(stage: Stage, paints: Palette, flight: Flight) -> None:
    """A stairwell: walls, a floor below, a landing with a door above."""
    rng = stage.rng
    wall, floor = stage.paints.make("wall"), stage.paints.make("floor")
    aside = flight.width / 2 + 0.02 + (0 if stage.chance(0.5) else rng.uniform(0.5, 3))
    other = flight.width / 2 + 0.02 + (0 if stage.chance(0.5) else rng.uniform(0.5, 3))
    front, back, top = (
        -rng.uniform(2, 6),
        flight.length + rng.uniform(1, 4),
        flight.height + rng.uniform(2.2, 3),
    )
    stage.box(floor, (-aside, front, -0.1), (other, back, 0))
    stage.box(floor, (-aside, flight.length, 0), (other, back, flight.height))
    stage.box(wall, (-aside - 0.1, front, 0), (-aside, back, top))
    stage.box(wall, (other, front, 0), (other + 0.1, back, top))
    stage.box(wall, (-aside, back, 0), (other, back + 0.1, top))
    stage.box(wall, (-aside, front - 0.1, 0), (other, front, top))
    stage.box(stage.paints.make("ceiling"), (-aside, front, top), (other, back, top + 0.1))
    door = rng.choice(paints)
    stage.box(door, (-0.45, back - 0.05, flight.height), (0.45, back, flight.height + 2.05))
    stage.box(rng.choice(paints), (-0.5, front, 0), (0.5, front + 0.04, 2.05))
    for y in (front / 2, back - 0.7):
        stage.lamp("AREA", (0, y, top - 0.1), rng.uniform(10, 90), rng.uniform(0.2, 0.8))
    stage.skies.surround(outdoor=True, strength=1.0)


def _outside(stage: Stage, flight: Flight) -> None:
    """Steps between two levels of ground, beside walls or slopes of grass."""
    rng = stage.rng
    low = stage.paints.make(rng.choice(["pavement", "asphalt", "grass", "concrete"]))
    high = stage.paints.make(rng.choice(["pavement", "grass", "concrete"]))
    stage.box(low, (-80, -150, -0.3), (80, 0, 0))
    side = stage.paints.make(rng.choice(["facade", "concrete", "grass"]))
    edge = rng.uniform(0, flight.length)
    for sign in (-1, 1):
        stage.box(
            side, (sign * flight.width / 2, edge, -0.2), (sign * 80, flight.length + 0.01, flight.height)
        )
    stage.box(high, (-80, flight.length, -0.2), (80, flight.length + 150, flight.height))
    for _ in range(rng.randint(2, 9)):
        x = rng.choice([-1, 1]) * (flight.width / 2 + rng.uniform(1.5, 14))
        place = (
            frame(x, -rng.uniform(1, 12))
            if stage.chance(0.4)
            else frame(x, flight.length + rng.uniform(1, 15), flight.height)
        )
        (objects.tree if stage.chance(0.5) else objects.bush)(stage, place)
    if stage.chance(0.6):
        y = flight.length + rng.uniform(3, 15)
        stage.box(stage.paints.windowed(), (-20, y, 0), (20, y + 10, flight.height + rng.uniform(3, 12)))
    stage.daylight()


def _view(stage: Stage, flight: Flight) -> View:
    """Draw a camera below that looks up, or above that looks down."""
    rng = stage.rng
    x, z = rng.uniform(-0.4, 0.4) * flight.width, rng.uniform(0.15, 1.7)
    slope = degrees(atan2(flight.height, flight.length))
    if stage.chance(0.6):
        position, ahead, pitch = (x, -rng.uniform(0.3, 3), z), 0.0, rng.gauss(0.25 * slope, 8)
    else:
        position = (x, flight.length + rng.uniform(0, 1.5), flight.height + z)
        ahead, pitch = 180.0, rng.gauss(-0.6 * slope, 10)
    return View(position, ahead + rng.gauss(0, 15), pitch, draw_roll(rng), draw_fov(rng))
