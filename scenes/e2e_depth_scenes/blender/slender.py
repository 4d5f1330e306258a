# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Thin things: posts, stands, railings, stools, ladders."""

from __future__ import annotations

from math import atan2, cos, hypot, pi, sin

import bpy
from mathutils import Euler, Matrix, Vector
from objects import Palette, floor_lamp
from stage import Stage, frame


def slender_thing(stage: Stage, paints: Palette, base: Matrix) -> None:
    """One thin thing that stands in the frame `base`."""
    build = stage.rng.choice([_post, _post, _stool, _railing, _stand, _tripod, _ladder, _cone, floor_lamp])
    build(stage, paints, base)


def _rod(
    stage: Stage, paint: bpy.types.Material, ends: tuple[Vector, Vector], thick: float, base: Matrix
) -> None:
    """A round rod from one point to another."""
    low, high = ends
    x, y, z = high - low
    turned = Euler((0, atan2(hypot(x, y), z), atan2(y, x)))
    size = (thick, thick, (high - low).length)
    stage.put(stage.shapes.pick("pole"), paint, tuple((low + high) / 2), size, base=base, rotation=turned)


def _post(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A bollard, a post, or a pole with a sign or without."""
    rng = stage.rng
    tall = rng.choice([rng.uniform(0.5, 1.1), rng.uniform(1.0, 2.4), rng.uniform(2.2, 2.9)])
    thick = rng.uniform(0.03, 0.09) if tall > 1.1 else rng.uniform(0.05, 0.2)
    paint = rng.choice(paints)
    shape = rng.choice(["round", "pole", "box"])
    stage.shape(shape, paint, (0, 0, tall / 2), (thick, thick, tall), base=base)
    if stage.chance(0.4):
        band = (thick + 0.012, thick + 0.012, rng.uniform(0.06, 0.15))
        stage.shape(shape, stage.paints.make("marking"), (0, 0, 0.8 * tall), band, base=base)
    if tall > 1.1 and stage.chance(0.4):
        wide, high = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6)
        stage.shape("box", rng.choice(paints), (0, 0.04, tall - high / 2), (wide, 0.02, high), base=base)
    if stage.chance(0.4):
        foot = rng.uniform(0.15, 0.4)
        stage.shape("round", paint, (0, 0, 0.015), (foot, foot, 0.03), base=base)


def _stool(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A stool or a small table on thin legs that spread."""
    rng = stage.rng
    half, tall = rng.uniform(0.14, 0.28), rng.uniform(0.4, 1.0)
    thick, spread, count = rng.uniform(0.015, 0.035), rng.uniform(1, 1.35), rng.choice([3, 4, 4])
    leg = rng.choice([paints[-1], rng.choice(paints)])
    top = (2.1 * half, 2.1 * half, 0.035)
    stage.shape(rng.choice(["round", "block"]), rng.choice(paints), (0, 0, tall), top, base=base)
    for index in range(count):
        angle = 2 * pi * (index + 0.5) / count
        out = half * Vector((cos(angle), sin(angle), 0))
        _rod(stage, leg, (spread * out, 0.9 * out + Vector((0, 0, tall))), thick, base)


def _railing(stage: Stage, paints: Palette, base: Matrix) -> None:
    """Posts joined by bars, ropes or bands, about across the direction +y."""
    rng = stage.rng
    paint = rng.choice([paints[-1], rng.choice(paints)])
    tall, gap, count = rng.uniform(0.75, 1.1), rng.uniform(0.35, 0.65), rng.randint(2, 3)
    thick = rng.uniform(0.025, 0.06)
    left = -gap * (count - 1) / 2
    for index in range(count):
        stage.shape("pole", paint, (left + index * gap, 0, tall / 2), (thick, thick, tall), base=base)
    bars = rng.randint(1, 4)
    for bar in range(bars):
        z = tall * (1 - 0.9 * bar / bars) - 0.02
        stage.box(paint, (left, -0.01, z - 0.015), (-left, 0.01, z + 0.015), base=base)


def _stand(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A coat or bottle stand: a foot, a pole and arms."""
    rng = stage.rng
    paint, tall, thick = rng.choice(paints), rng.uniform(1.3, 1.9), rng.uniform(0.02, 0.05)
    stage.shape("pole", paint, (0, 0, tall / 2), (thick, thick, tall), base=base)
    count, reach = rng.randint(3, 6), rng.uniform(0.12, 0.3)
    for index in range(count):
        angle = 2 * pi * index / count
        out = reach * Vector((cos(angle), sin(angle), 0))
        _rod(stage, paint, (Vector((0, 0, 0.08)), out + Vector((0, 0, 0.015))), thick, base)
        _rod(stage, paint, (Vector((0, 0, 0.9 * tall)), 0.7 * out + Vector((0, 0, tall))), 0.6 * thick, base)


def _tripod(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A tripod with a small head."""
    rng = stage.rng
    paint, tall, reach = rng.choice(paints), rng.uniform(0.8, 1.6), rng.uniform(0.3, 0.55)
    for index in range(3):
        angle = 2 * pi * index / 3
        foot = reach * Vector((cos(angle), sin(angle), 0))
        _rod(stage, paint, (foot, Vector((0, 0, 0.85 * tall))), 0.025, base)
    stage.shape("pole", paint, (0, 0, 0.9 * tall), (0.025, 0.025, 0.25 * tall), base=base)
    size = rng.uniform(0.08, 0.2)
    stage.shape("block", rng.choice(paints), (0, 0, tall + size / 2), (size, 1.3 * size, size), base=base)


def _ladder(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A step ladder."""
    rng = stage.rng
    paint, tall, half = rng.choice(paints), rng.uniform(0.9, 2.0), rng.uniform(0.2, 0.3)
    depth = 0.3 * tall
    for x in (-half, half):
        top = Vector((0.75 * x, 0, tall))
        for y in (-depth, depth):
            _rod(stage, paint, (Vector((x, y, 0)), top), 0.04, base)
    steps = max(2, round(tall / 0.27))
    for step in range(1, steps):
        up = step / steps
        y, reach = -depth * (1 - up), half * (1 - 0.25 * up)
        stage.box(paint, (-reach, y - 0.04, up * tall), (reach, y + 0.04, up * tall + 0.02), base=base)


def _cone(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A row of traffic cones."""
    rng = stage.rng
    tall, paint = rng.uniform(0.3, 0.9), rng.choice(paints)
    for index in range(rng.randint(1, 3)):
        row = base @ frame(rng.uniform(0.35, 0.6) * index, rng.gauss(0, 0.1))
        stage.shape("cone", paint, (0, 0, tall / 2), (0.45 * tall, 0.45 * tall, tall), base=row)
        stage.box(paint, (-0.25 * tall, -0.25 * tall, 0), (0.25 * tall, 0.25 * tall, 0.03), base=row)
