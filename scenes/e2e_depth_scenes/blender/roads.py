# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""The ground of a street: carriageway, markings, kerbs and pavements."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import meshes
from meshes import Point
from stage import Stage

BEHIND_M = -45.0
BACK_M, FRONT_M = -200.0, 400.0
Marks = list[tuple[Point, Point]]


@dataclass(frozen=True)
class Layout:
    """A street along y, its middle at x = 0; metres.

    Attributes:
        half: Half the width of the carriageway.
        pavement: Width of the pavement on each side.
        setback: Distance from the pavement to the buildings.
        style: "urban", "avenue", "suburban" or "open".
        parking: Whether cars park along the kerb.
        median: Half the width of a planted strip in the middle; 0 without one.
        crossing: Where another street crosses, from y to y; None without one.
    """

    half: float
    pavement: float
    setback: float
    style: str
    parking: bool
    median: float
    crossing: tuple[float, float] | None

    @property
    def line(self) -> float:
        """Distance of the buildings from the middle."""
        return self.half + self.pavement + self.setback

    @property
    def lanes(self) -> list[float]:
        """The middles of the lanes of one direction, as distances from the middle of the street."""
        width = self.half - self.median - (2.2 if self.parking else 0.3)
        count = max(1, int(width / 3.1))
        return [self.median + (lane + 0.5) * width / count for lane in range(count)]

    @property
    def stretches(self) -> list[tuple[float, float]]:
        """The parts of the street beside the crossing, from y to y."""
        if self.crossing is None:
            return [(BACK_M, FRONT_M)]
        return [(BACK_M, self.crossing[0]), (self.crossing[1], FRONT_M)]

    def crosses(self, y: float, margin: float = 0.0) -> bool:
        """Whether the other street passes within `margin` of y."""
        return self.crossing is not None and self.crossing[0] - margin < y < self.crossing[1] + margin


def build(stage: Stage, layout: Layout) -> None:
    """Build land, carriageway with markings and patches, kerbs and pavements; the road's surface is z = 0."""
    rng = stage.rng
    land = stage.paints.make(rng.choice(["grass", "grass", "soil", "pavement"]))
    stage.box(land, (-450, -450, -0.3), (450, 450, -0.02))
    asphalt = stage.paints.make("asphalt")
    stage.box(asphalt, (-layout.half, BACK_M, -0.3), (layout.half, FRONT_M, 0))
    if layout.crossing:
        near, far = layout.crossing
        stage.box(asphalt, (-300, near, -0.3), (300, far, -0.001))
    height = rng.uniform(0.06, 0.17)
    kerb, pavement = stage.paints.make("concrete"), stage.paints.make("pavement")
    garden = stage.paints.make(rng.choice(["grass", "grass", "pavement"]))
    for side in (-1, 1):
        inner, outer = side * (layout.half + 0.15), side * (layout.half + layout.pavement)
        for y0, y1 in layout.stretches:
            stage.box(kerb, (side * layout.half, y0, -0.2), (inner, y1, height))
            stage.box(pavement, (inner, y0, -0.2), (outer, y1, height - 0.005))
            if layout.setback and layout.style != "open":
                stage.box(garden, (outer, y0, -0.2), (side * (layout.line + 30), y1, height - 0.01))
    marks = [*_lines(stage, layout), *_crossing(stage, layout)]
    if marks:
        stage.put_once(meshes.boxes(marks), stage.paints.make("marking"))
    if layout.median:
        strip = stage.paints.make(rng.choice(["grass", "concrete", "pavement"]))
        for y0, y1 in layout.stretches:
            stage.box(kerb, (-layout.median, y0, -0.2), (layout.median, y1, height))
            stage.box(strip, (0.15 - layout.median, y0, -0.2), (layout.median - 0.15, y1, height + 0.005))
    patch = stage.paints.make("asphalt")
    for _ in range(rng.randint(0, 5)):
        x, y = rng.uniform(-0.8, 0.8) * layout.half, rng.uniform(-5, 35)
        stage.box(patch, (x, y, -0.01), (x + rng.uniform(0.5, 2), y + rng.uniform(0.5, 5), 0.002))


def _lines(stage: Stage, layout: Layout) -> Marks:
    """Lines between the lanes, in the middle and along the edges."""
    marks: Marks = []

    def line(x: float, dash: float, gap: float) -> None:
        y = BEHIND_M
        while y < 200:
            marks.append(((x - 0.07, y, 0), (x + 0.07, min(y + dash, 300), 0.004)))
            y += dash + gap

    dash = stage.rng.choice([(3.0, 3.0), (3.0, 6.0), (6.0, 3.0), (3.0, 9.0)])
    solid = (400.0, 1.0)
    lanes = layout.lanes
    for side in (-1, 1):
        for left, right in pairwise(lanes):
            line(side * (left + right) / 2, *dash)
    if layout.median == 0 and stage.chance(0.8):
        double = len(lanes) > 1 and stage.chance(0.6)
        for x in (-0.15, 0.15) if double else (0.0,):
            line(x, *(solid if double or stage.chance(0.3) else dash))
    edge = lanes[-1] + 1.6 if layout.parking else layout.half - 0.35
    for side in (-1, 1) if stage.chance(0.6) else ():
        line(side * min(edge, layout.half - 0.2), *solid)
        if layout.median:
            line(side * (layout.median + 0.25), *solid)
    if layout.crossing and stage.chance(0.7):  # where to stop
        x0, x1 = layout.median + 0.2, layout.half - 0.2
        marks.append(((x0, layout.crossing[0] - 1.4, 0), (x1, layout.crossing[0] - 1.0, 0.005)))
    return marks


def _crossing(stage: Stage, layout: Layout) -> Marks:
    """Now and then a zebra crossing."""
    marks: Marks = []
    if stage.chance(0.35):
        y, x = stage.rng.uniform(4, 30), 0.3 - layout.half
        while x < layout.half - 0.5:
            marks.append(((x, y, 0), (x + 0.5, y + 3, 0.004)))
            x += 1.0
    return marks
