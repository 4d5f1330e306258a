# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Kitchen counters and workbenches along a wall."""

from __future__ import annotations

from math import pi

import bpy
import objects
from objects import Palette
from stage import Stage, frame

WORKTOP_M = 0.04


def build_counter(stage: Stage, paints: Palette) -> tuple[float, float, float]:
    """Build a counter whose middle is at the origin, its back towards +y.

    Returns:
        Width, depth and height, metres.
    """
    rng = stage.rng
    width, depth, height = rng.uniform(1.4, 3.4), rng.uniform(0.55, 0.8), rng.uniform(0.82, 1.0)
    doors: Palette = [stage.paints.make("furniture"), paints[-1]]
    basin_m = rng.uniform(0.12, 0.2) if stage.chance(0.5) else 0.0
    under = height - WORKTOP_M - basin_m
    x = -width / 2
    while x < width / 2 - 0.1:
        module = min(rng.uniform(0.35, 0.9), width / 2 - x)
        objects.cabinet(stage, doors, frame(x + module / 2, 0.02, turn=pi), (module, depth - 0.04, under))
        x += module
    top = stage.paints.make(rng.choice(["furniture", "worktop", "worktop", "worktop"]))
    if basin_m:
        _worktop_with_basin(stage, top, (doors[0], paints[-1]), (width, depth, height), basin_m)
    else:
        stage.box(top, (-width / 2, -depth / 2, under), (width / 2, depth / 2, height))
    if stage.chance(0.35):
        x, half = rng.uniform(0.35, 0.4) * width * rng.choice([-1, 1]), 0.28
        glass = stage.paints.pane()
        stage.box(glass, (x - half, -0.24, height), (x + half, 0.24, height + 0.008))
    if stage.chance(0.45):
        _wall_cabinets(stage, doors, (width, depth, height))
    return width, depth, height


def _worktop_with_basin(
    stage: Stage,
    top: bpy.types.Material,
    paints: tuple[bpy.types.Material, bpy.types.Material],
    size: tuple[float, float, float],
    basin_m: float,
) -> None:
    """A worktop with a basin let into it, and a tap behind; it stands on cabinets lower by the basin."""
    rng = stage.rng
    front, metal = paints
    width, depth, height = size
    half_x, half_y, x = rng.uniform(0.18, 0.38), rng.uniform(0.15, 0.21), rng.uniform(-0.2, 0.2) * width
    under, floor = height - WORKTOP_M, height - WORKTOP_M - basin_m
    for low, high in (
        ((-width / 2, -depth / 2), (x - half_x, depth / 2)),
        ((x + half_x, -depth / 2), (width / 2, depth / 2)),
        ((x - half_x, -depth / 2), (x + half_x, -half_y)),
        ((x - half_x, half_y), (x + half_x, depth / 2)),
    ):
        stage.box(top, (*low, under), (*high, height))
    # What closes the space between the cabinets and the worktop.
    stage.box(front, (-width / 2, 0.02 - depth / 2, floor), (width / 2, 0.04 - depth / 2, under))
    for side in (-1, 1):
        end = side * width / 2
        stage.box(front, (end - side * 0.02, 0.03 - depth / 2, floor), (end, depth / 2, under))
    stage.box(metal, (x - half_x, -half_y, floor), (x + half_x, half_y, floor + 0.004))
    for side in (-1, 1):
        edge = x + side * half_x
        stage.box(metal, (edge - 0.006, -half_y, floor), (edge + 0.006, half_y, height + 0.003))
        edge = side * half_y
        stage.box(metal, (x - half_x, edge - 0.006, floor), (x + half_x, edge + 0.006, height + 0.003))
    tall, y = rng.uniform(0.15, 0.35), half_y + 0.05
    stage.shape("pole", metal, (x, y, height + tall / 2), (0.03, 0.03, tall))
    stage.box(metal, (x - 0.012, y - 0.17, height + tall - 0.025), (x + 0.012, y + 0.01, height + tall))


def _wall_cabinets(stage: Stage, doors: Palette, size: tuple[float, float, float]) -> None:
    """Cabinets that hang above the back of the counter."""
    rng = stage.rng
    width, depth, height = size
    low, tall, deep = height + rng.uniform(0.45, 0.65), rng.uniform(0.5, 0.8), rng.uniform(0.25, 0.36)
    x = -width / 2
    while x < width / 2 - 0.2:
        module = min(rng.uniform(0.35, 0.6), width / 2 - x)
        if stage.chance(0.8):
            base = frame(x + module / 2, depth / 2 - deep / 2, low, turn=pi)
            objects.cabinet(stage, doors, base, (module, deep, tall))
        x += module
