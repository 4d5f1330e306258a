# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Buildings along a street: blocks, terraced houses with shops, detached houses with roofs."""

from __future__ import annotations

import meshes
from mathutils import Euler, Matrix
from meshes import Point
from objects import Palette
from stage import Stage, frame

Box = tuple[Point, Point]


def block(
    stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float, float], *, near: bool
) -> None:
    """A building of length, depth and height.

    Args:
        stage: The scene.
        paints: Materials for doors and frames.
        base: Frame in the middle of the facade's foot: x along the facade, y into the building.
        size: Length along x, depth along y, height; metres.
        near: Near buildings get real windows, far ones painted windows.
    """
    length, depth, height = size
    wall = stage.paints.make("facade") if near else stage.paints.windowed()
    stage.box(wall, (-length / 2, 0, 0), (length / 2, depth, height), base=base)
    if near:
        shop = height > 5 and stage.chance(0.5)
        _windows(stage, paints, base, length, height, 3.4 if shop else 0.0)
        if shop:
            _shop(stage, paints, base, length)
        else:
            _door(stage, paints, base @ frame(stage.rng.uniform(-0.4, 0.4) * length, 0))
    if stage.chance(0.4):
        trim = stage.rng.choice(paints)
        stage.box(
            trim, (-length / 2 - 0.1, -0.25, height), (length / 2 + 0.1, depth, height + 0.35), base=base
        )


def house(stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float, float]) -> None:
    """A detached house with a pitched roof; frame and size as for `block`, the height to the eaves."""
    rng = stage.rng
    length, depth, height = size
    stage.box(stage.paints.make("facade"), (-length / 2, 0, 0), (length / 2, depth, height), base=base)
    roof, rise = stage.paints.make("roof"), rng.uniform(1.2, 3.5)
    if stage.chance(0.6):  # the eaves face the street
        spin, span = Euler((0, 0, 1.5707963)), (depth + 0.8, length + 0.5, rise)
    else:
        spin, span = Euler((0, 0, 0)), (length + 0.8, depth + 0.5, rise)
    stage.put(stage.shapes.pick("gable"), roof, (0, depth / 2, height), span, base=base, rotation=spin)
    _windows(stage, paints, base, length, height, 0.0)
    _door(stage, paints, base @ frame(rng.uniform(-0.3, 0.3) * length, 0))
    if stage.chance(0.4):
        low = (length / 2 + 0.1, rng.uniform(0, 2), 0)
        stage.box(stage.paints.make("facade"), low, (length / 2 + 3.3, depth, 2.6), base=base)
        stage.box(
            rng.choice(paints),
            (length / 2 + 0.5, low[1] - 0.05, 0),
            (length / 2 + 2.9, low[1], 2.1),
            base=base,
        )


def _windows(stage: Stage, paints: Palette, base: Matrix, length: float, height: float, start: float) -> None:
    """Rows of windows with frames and sills, all in two meshes."""
    rng = stage.rng
    columns, rows = max(1, round(length / rng.uniform(1.6, 3.2))), max(1, int((height - start) / 3))
    width, tall, sill = rng.uniform(0.7, 1.4), rng.uniform(1.1, 1.9), rng.uniform(0.6, 1.0)
    balconies = rng.random() < 0.2
    frames: list[Box] = []
    panes: list[Box] = []
    for row in range(rows):
        for column in range(columns):
            x = length * ((column + 0.5) / columns - 0.5)
            z = start + 3 * row + sill
            if z + tall > height - 0.2:
                continue
            half = width / 2
            frames.append(((x - half - 0.09, -0.06, z - 0.09), (x + half + 0.09, 0, z + tall + 0.09)))
            frames.append(((x - half - 0.15, -0.16, z - 0.14), (x + half + 0.15, 0, z - 0.06)))
            panes += [
                ((x - half, -0.075, z), (x - 0.03, -0.01, z + tall)),
                ((x + 0.03, -0.075, z), (x + half, -0.01, z + tall)),
            ]
            if balconies and row > 0:
                frames.append(((x - half - 0.4, -1.1, z - sill - 0.1), (x + half + 0.4, 0, z - sill)))
                frames.append(((x - half - 0.4, -1.12, z - sill), (x + half + 0.4, -1.08, z - sill + 0.95)))
    if frames:
        stage.put_once(
            meshes.boxes(frames), rng.choice([*paints[-4:], stage.paints.make("marking")]), base=base
        )
        stage.put_once(meshes.boxes(panes), stage.paints.pane(), base=base)


def _shop(stage: Stage, paints: Palette, base: Matrix, length: float) -> None:
    """Shop windows, a fascia and perhaps an awning on the ground floor."""
    rng = stage.rng
    panes: list[Box] = []
    x = 0.4 - length / 2
    while x < length / 2 - 1.5:
        width = min(rng.uniform(1.2, 3), length / 2 - x - 0.3)
        panes.append(((x, -0.04, rng.choice([0.05, 0.5])), (x + width, 0, 2.5)))
        x += width + rng.uniform(0.2, 0.8)
    if panes:
        stage.put_once(meshes.boxes(panes), stage.paints.pane(), base=base)
    sign = rng.choice(paints)
    stage.box(sign, (0.2 - length / 2, -0.12, 2.65), (length / 2 - 0.2, 0, 3.2), base=base)
    if stage.chance(0.4):
        reach, drop = rng.uniform(0.8, 1.6), rng.uniform(0.2, 0.6)
        low, high = 0.4 - length / 2, length / 2 - 0.4
        awning = meshes.sheet(
            [[(low, 0, 2.75), (high, 0, 2.75)], [(low, -reach, 2.75 - drop), (high, -reach, 2.75 - drop)]]
        )
        stage.put_once(awning, stage.paints.make("fabric"), base=base)


def _door(stage: Stage, paints: Palette, base: Matrix) -> None:
    edge, leaf = stage.rng.choice(paints), stage.rng.choice(paints)
    stage.box(edge, (-0.65, -0.1, 0), (0.65, 0, 2.35), base=base)
    stage.box(leaf, (-0.5, -0.13, 0.02), (0.5, -0.05, 2.2), base=base)
