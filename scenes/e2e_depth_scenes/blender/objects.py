# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Things built from simple shapes: they add variety where the catalogues end."""

from __future__ import annotations

from math import pi

import bpy
from mathutils import Euler, Matrix
from stage import Stage, frame

Palette = list[bpy.types.Material]


def palette(stage: Stage, count: int = 8) -> Palette:
    """The few materials that the simple things of one scene share."""
    things = stage.paints.many("thing", count)
    return [*things, *stage.paints.many("furniture", 3), stage.paints.make("metal")]


def clutter(stage: Stage, paints: Palette, base: Matrix, scale: float = 1.0) -> None:
    """One small thing that stands at the origin of `base`."""
    rng = stage.rng
    base = base @ frame(0, 0, turn=rng.uniform(0, 2 * pi))
    if stage.chance(0.6) and stage.model("small", base, 0.45 * scale):
        return
    paint = rng.choice(paints)
    draw = rng.random()
    if draw < 0.3:
        height = rng.uniform(0.07, 0.3) * scale
        width = height * rng.uniform(0.6, 1.3)
        stage.shape("vessel", paint, (0, 0, 0), (width, width, height), base=base)
    elif draw < 0.55:
        x, y, z = (rng.uniform(0.03, side) * scale for side in (0.25, 0.2, 0.25))
        stage.shape("block", paint, (0, 0, z / 2), (x, y, z), base=base)
    elif draw < 0.7:
        books(stage, paints, base, scale)
    elif draw < 0.8:
        size = rng.uniform(0.05, 0.2) * scale
        stage.shape("ball", paint, (0, 0, size / 2), (size, size, size), base=base)
    elif draw < 0.9:
        size = rng.uniform(0.08, 0.25) * scale
        stage.shape(rng.choice(["blob", "rock"]), paint, (0, 0, 0.4 * size), (size, size, size), base=base)
    elif draw < 0.97:
        size, height = rng.uniform(0.06, 0.25) * scale, rng.uniform(0.05, 0.3) * scale
        shape = rng.choice(["cylinder", "cone"])
        stage.shape(shape, paint, (0, 0, height / 2), (size, size, height), base=base)
    else:
        size = rng.uniform(0.15, 0.3) * scale
        stage.shape("head", paint, (0, 0, 0.38 * size), (size, size, size), base=base)


def books(stage: Stage, paints: Palette, base: Matrix, scale: float) -> None:
    """A pile of books."""
    rng = stage.rng
    z = 0.0
    for _ in range(rng.randint(2, 6)):
        height = rng.uniform(0.015, 0.05) * scale
        size = (rng.uniform(0.15, 0.26) * scale, rng.uniform(0.11, 0.2) * scale, height)
        stage.shape(
            "box", rng.choice(paints), (0, 0, z + height / 2), size, base=base, turn=rng.uniform(-0.3, 0.3)
        )
        z += height


def litter(stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float], count: int) -> None:
    """Small things strewn over a rectangle that is centred in `base`."""
    for _ in range(count):
        x, y = (stage.rng.uniform(-0.45, 0.45) * side for side in size)
        clutter(stage, paints, base @ frame(x, y))
    if stage.paints.pale:
        papers(stage, base, size)


def papers(stage: Stage, base: Matrix, size: tuple[float, float]) -> None:
    """Sheets of paper and a few piles of them, strewn over a rectangle that is centred in `base`."""
    rng = stage.rng
    white = stage.paints.make("paper")
    for index in range(rng.randint(0, 6)):
        x, y = (rng.uniform(-0.4, 0.4) * side for side in size)
        thick = rng.uniform(0.01, 0.05) if stage.chance(0.2) else 0.0005
        # Sheets that lie on each other must not share a plane.
        z = thick / 2 + 0.0007 * index
        stage.shape("box", white, (x, y, z), (0.21, 0.297, thick), base=base, turn=rng.uniform(0, pi))


def table(stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float, float]) -> None:
    """A table: width, depth and height; legs at the corners, or panels at the sides."""
    rng = stage.rng
    width, depth, height = size
    top, leg = rng.choice(paints), rng.choice(paints)
    thickness, side = rng.uniform(0.02, 0.06), rng.uniform(0.03, 0.08)
    under = height - thickness
    stage.box(top, (-width / 2, -depth / 2, under), (width / 2, depth / 2, height), base=base, shape="block")
    if stage.chance(0.2):
        for x in (-width / 2 + 0.05, width / 2 - 0.05):
            stage.box(leg, (x - 0.02, 0.05 - depth / 2, 0), (x + 0.02, depth / 2 - 0.05, under), base=base)
        return
    shape = rng.choice(["box", "pole"])
    for x in (side - width / 2, width / 2 - side):
        for y in (side - depth / 2, depth / 2 - side):
            stage.shape(shape, leg, (x, y, under / 2), (side, side, under), base=base)


def chair(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A chair that faces +y."""
    rng = stage.rng
    seat, leg = rng.choice(paints), rng.choice(paints)
    half, height = rng.uniform(0.19, 0.25), rng.uniform(0.4, 0.5)
    stage.box(seat, (-half, -half, height - 0.05), (half, half, height), base=base, shape="block")
    for x in (0.03 - half, half - 0.03):
        for y in (0.03 - half, half - 0.03):
            stage.shape("pole", leg, (x, y, height / 2 - 0.02), (0.04, 0.04, height - 0.04), base=base)
        stage.box(leg, (x - 0.02, -half, height), (x + 0.02, 0.04 - half, height + 0.4), base=base)
    low = height + rng.uniform(0.05, 0.25)
    stage.box(seat, (-half, -half, low), (half, 0.04 - half, height + rng.uniform(0.35, 0.5)), base=base)


def shelf(stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float, float]) -> None:
    """Open shelves with books and boxes, their back at -y."""
    rng = stage.rng
    width, depth, height = size
    wood = rng.choice(paints)
    boards = max(2, round(height / 0.38))
    for x in (-width / 2, width / 2):
        stage.box(wood, (x - 0.02, -depth / 2, 0), (x + 0.02, depth / 2, height), base=base)
    if stage.chance(0.7):
        stage.box(wood, (-width / 2, -depth / 2, 0), (width / 2, 0.01 - depth / 2, height), base=base)
    for board in range(boards + 1):
        z = board * (height - 0.025) / boards
        stage.box(wood, (-width / 2, -depth / 2, z), (width / 2, depth / 2, z + 0.025), base=base)
        if board < boards:
            _fill_board(stage, paints, base @ frame(0, 0, z + 0.025), (width, depth, height / boards - 0.03))


def _fill_board(stage: Stage, paints: Palette, base: Matrix, room: tuple[float, float, float]) -> None:
    rng = stage.rng
    width, depth, height = room
    x = 0.03 - width / 2
    fullness = rng.uniform(0.2, 1)
    while x < width / 2 - 0.1:
        if rng.random() > fullness:
            x += rng.uniform(0.05, 0.25)
        elif stage.chance(0.12):
            clutter(stage, paints, base @ frame(x + 0.1, 0), 0.7)
            x += 0.25
        else:
            run = min(rng.uniform(0.02, 0.3), width / 2 - x - 0.03)
            high, deep = height * rng.uniform(0.5, 0.95), depth * rng.uniform(0.5, 0.9)
            corner = (x + run, 0.02 - depth / 2 + deep, high)
            stage.box(rng.choice(paints), (x, 0.02 - depth / 2, 0), corner, base=base)
            x += run + 0.004


def cabinet(stage: Stage, paints: Palette, base: Matrix, size: tuple[float, float, float]) -> None:
    """A cabinet with doors or drawers and handles, its front at +y."""
    rng = stage.rng
    width, depth, height = size
    body = rng.choice(paints)
    front = body if stage.chance(0.6) else rng.choice(paints)
    stage.box(body, (-width / 2, -depth / 2, 0), (width / 2, depth / 2, height), base=base)
    columns, rows = rng.randint(1, 3), rng.randint(1, 4)
    for column in range(columns):
        for row in range(rows):
            x0, x1 = (width * (i / columns - 0.5) for i in (column, column + 1))
            z0, z1 = (height * i / rows for i in (row, row + 1))
            y = depth / 2
            stage.box(front, (x0 + 0.01, y, z0 + 0.01), (x1 - 0.01, y + 0.02, z1 - 0.01), base=base)
            middle = ((x0 + x1) / 2, y + 0.035, z1 - min(0.12, (z1 - z0) / 2))
            stage.shape("box", paints[-1], middle, (0.1, 0.03, 0.02), base=base)


def plant(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A plant in a pot."""
    rng = stage.rng
    if stage.chance(0.6) and stage.model("plant", base):
        return
    pot, crown = rng.uniform(0.2, 0.45), rng.uniform(0.4, 1.1)
    stage.shape("vase", rng.choice(paints), (0, 0, 0), (pot, pot, pot), base=base)
    leaf = stage.paints.make("leaf")
    stage.shape("crown", leaf, (0, 0, pot + 0.45 * crown), (crown, crown, crown), base=base)


def floor_lamp(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A standing lamp, sometimes lit."""
    rng = stage.rng
    height = rng.uniform(1.2, 1.8)
    metal = paints[-1]
    stage.shape("round", metal, (0, 0, 0.015), (0.3, 0.3, 0.03), base=base)
    stage.shape("pole", metal, (0, 0, height / 2), (0.03, 0.03, height), base=base)
    lit = stage.chance(0.5)
    shade = stage.paints.glow((1, 0.8, 0.55, 1), rng.uniform(1, 5)) if lit else rng.choice(paints)
    stage.shape("shade", shade, (0, 0, height), (0.4, 0.4, 0.3), base=base)


def boxes_pile(stage: Stage, paints: Palette, base: Matrix) -> None:
    """Cartons on top of each other, not quite straight."""
    rng = stage.rng
    z = 0.0
    for _ in range(rng.randint(1, 4)):
        x, y, height = rng.uniform(0.25, 0.7), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.5)
        turn = rng.gauss(0, 0.15)
        stage.shape("box", rng.choice(paints), (0, 0, z + height / 2), (x, y, height), base=base, turn=turn)
        z += height


def figure(stage: Stage, paints: Palette, base: Matrix) -> None:
    """A person: a catalogue figure, or a plain one of legs, trunk, arms and head."""
    rng = stage.rng
    if stage.chance(0.85) and stage.model("person", base):
        return
    height, step = rng.uniform(1.5, 1.9), rng.uniform(0, 0.35)
    trousers, coat, skin = rng.choice(paints), rng.choice(paints), stage.paints.make("wood")
    for side in (-1, 1):
        lean = Euler((side * step, 0, 0))
        leg = stage.shapes.pick("pole")
        stage.put(
            leg,
            trousers,
            (0.09 * side, 0, 0.25 * height),
            (0.15, 0.17, 0.5 * height),
            base=base,
            rotation=lean,
        )
        arm = (0.24 * side, 0, 0.66 * height)
        stage.put(leg, coat, arm, (0.1, 0.1, 0.36 * height), base=base, rotation=Euler((-side * step, 0, 0)))
    stage.shape("cushion", coat, (0, 0, 0.65 * height), (0.42, 0.26, 0.38 * height), base=base)
    stage.shape("ball", skin, (0, 0, 0.92 * height), (0.2, 0.22, 0.25), base=base)


def tree(stage: Stage, base: Matrix) -> None:
    """A tree of leaves on a trunk: broad, slender, a conifer, or nearly bare."""
    rng = stage.rng
    if stage.chance(0.25) and stage.model("tree", base @ frame(0, 0, turn=rng.uniform(0, 2 * pi))):
        return
    kind = rng.choice(["broad", "broad", "slender", "conifer", "bare"])
    height = rng.uniform(4, 8) if kind in ("broad", "bare") else rng.uniform(5, 12)
    trunk, width = rng.uniform(0.2, 0.4) * height, rng.uniform(0.15, 0.45)
    bark, leaf = stage.paints.make("bark"), stage.paints.make("leaf")
    stage.shape("taper", bark, (0, 0, 0.4 * height), (width, width, 0.8 * height), base=base)
    if kind == "bare":
        for _ in range(rng.randint(5, 12)):
            lean = Euler((rng.uniform(-1, 1), rng.uniform(-1, 1), 0))
            place, long = (0, 0, rng.uniform(0.35, 0.7) * height), rng.uniform(0.3, 0.5) * height
            middle = base @ Matrix.Translation(place) @ lean.to_matrix().to_4x4()
            stage.shape("taper", bark, (0, 0, long / 2), (0.3 * width, 0.3 * width, long), base=middle)
    clumps = rng.randint(4, 8) if kind != "bare" else rng.randint(0, 3)
    for index in range(clumps):
        up = (index + rng.random()) / clumps  # from the lowest leaves to the top
        size = height * rng.uniform(0.28, 0.45)
        wide = {"broad": 1.0, "slender": 0.55, "conifer": 1.1 - 0.9 * up, "bare": 0.7}[kind]
        spread = 0.16 * height * wide * (1 - up) ** 0.5
        place = (rng.gauss(0, spread), rng.gauss(0, spread), trunk + up * (height - trunk))
        across = max(0.4, size * wide)
        stage.shape("crown", leaf, place, (across, across, size), base=base, turn=rng.uniform(0, 6))


def bush(stage: Stage, base: Matrix) -> None:
    """A bush."""
    rng = stage.rng
    if stage.chance(0.3) and stage.model("bush", base @ frame(0, 0, turn=rng.uniform(0, 2 * pi))):
        return
    leaf = stage.paints.make("leaf")
    for _ in range(rng.randint(1, 3)):
        size = rng.uniform(0.5, 1.6)
        place = (rng.gauss(0, 0.3), rng.gauss(0, 0.3), 0.35 * size)
        stage.shape("bush", leaf, place, (size, size, size * rng.uniform(0.6, 1)), base=base)


def carton_paints(stage: Stage) -> Palette:
    """Materials for cartons and crates."""
    return [*stage.paints.many("wood", 2), *stage.paints.many("thing", 2), stage.paints.make("metal")]
