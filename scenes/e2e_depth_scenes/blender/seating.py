# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Sofas and armchairs of cushions, and other furniture that stands close before a camera."""

from __future__ import annotations

import objects
from mathutils import Euler, Matrix
from objects import Palette
from stage import Stage, frame


def furniture_before(stage: Stage, paints: Palette, base: Matrix, room_m: float) -> None:
    """A sofa, a chair or a table that fits into a circle of this radius, metres, and faces +y."""
    rng = stage.rng
    if room_m > 0.8 and stage.chance(0.6):
        if not (stage.chance(0.4) and stage.model("sofa", base, 2 * room_m)):
            sofa(stage, base, rng.uniform(1.3, 2 * room_m))
        return
    draw = rng.random()
    if draw < 0.25:
        sofa(stage, base, rng.uniform(0.7, 1.0))
    elif draw < 0.6:
        if not (stage.chance(0.6) and stage.model("seat", base, 1.3)):
            objects.chair(stage, paints, base)
    else:
        size = (1.4 * room_m * rng.uniform(0.8, 1), room_m, rng.choice([0.4, 0.5, 0.72, 0.75]))
        objects.table(stage, paints, base, size)
        objects.litter(stage, paints, base @ frame(0, 0, size[2]), size[:2], rng.randint(0, 5))


def sofa(stage: Stage, base: Matrix, width: float) -> None:
    """A sofa or, where it is narrow, an armchair; it faces +y."""
    rng = stage.rng
    depth, seat, back = rng.uniform(0.75, 1.0), rng.uniform(0.36, 0.46), rng.uniform(0.68, 0.98)
    arm, rest = rng.choice([0.0, rng.uniform(0.1, 0.24)]), rng.uniform(0.5, 0.65)
    foot, thick = rng.uniform(0.02, 0.14), rng.uniform(0.12, 0.18)
    cloth = stage.paints.make(rng.choice(["fabric", "fabric", "furniture"]))
    seats = cloth if stage.chance(0.7) else stage.paints.make("fabric")
    shape = rng.choice(["block", "cushion"])
    x, y = width / 2, depth / 2
    stage.box(cloth, (arm - x, -y, foot), (x - arm, y - 0.02, seat - 0.6 * thick), base=base, shape="block")
    stage.box(cloth, (-x, -y, foot), (x, 0.2 - y, back - 0.05), base=base, shape=shape)
    if arm:
        for side in (-1, 1):
            inner = side * (x - arm)
            stage.box(cloth, (inner, -y, foot), (side * x, y, rest), base=base, shape=shape)
    places = max(1, round((width - 2 * arm) / 0.7))
    step = (width - 2 * arm) / places
    lean = Euler((rng.uniform(0.1, 0.3), 0, 0))
    for place in range(places):
        left = arm - x + place * step
        stage.box(
            seats,
            (left + 0.005, 0.15 - y, seat - thick),
            (left + step - 0.005, y + 0.01, seat),
            base=base,
            shape="cushion",
        )
        middle, high = (left + step / 2, 0.27 - y, (seat + back) / 2), back - seat + 0.08
        mesh = stage.shapes.pick("cushion")
        stage.put(mesh, seats, middle, (step - 0.02, 0.16, high), base=base, rotation=lean)
    for _ in range(rng.randint(0, 3)):
        size, spot = rng.uniform(0.3, 0.45), rng.uniform(arm - x + 0.2, x - arm - 0.2)
        tilted = Euler((0.35, rng.gauss(0, 0.2), rng.gauss(0, 0.3)))
        middle = (spot, rng.uniform(0.4, 0.5) - y, seat + 0.45 * size)
        mesh = stage.shapes.pick("cushion")
        stage.put(mesh, stage.paints.make("fabric"), middle, (size, 0.14, size), base=base, rotation=tilted)
    leg = stage.paints.make(rng.choice(["metal", "wood"]))
    for side in (-1, 1):
        for end in (-1, 1):
            corner = (side * (x - 0.07), end * (y - 0.07), foot / 2)
            stage.shape("pole", leg, corner, (0.04, 0.04, foot), base=base)
