# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Furnished rooms: homes, offices and stores."""

from __future__ import annotations

import random
from math import cos, pi, sin

import objects
from cameras import Clearance, View, draw_fov, draw_roll, towards
from interiors import Shell, build_shell, light_room
from mathutils import Matrix
from objects import Palette
from stage import Plan, Stage, frame

CLEARANCE = Clearance(nearest_m=0.15, median_m=0.7, share_of_sky=0.5)
WALL_ROLES = {
    "home": ["sofa", "storage", "storage", "bed", "table", "seat", "lamp", "floor", "plant"],
    "kitchen": ["kitchen", "kitchen", "kitchen", "storage", "table", "floor"],
    "office": ["table", "storage", "storage", "seat", "floor", "plant"],
    "bath": ["bathroom", "bathroom", "storage", "floor"],
}
SIMPLE = ["shelf", "cabinet", "table", "chair", "plant", "lamp", "cartons"]


class Ground:
    """Which parts of a floor are taken, as axis-aligned rectangles."""

    def __init__(self, width: float, depth: float) -> None:
        self._half = (width / 2, depth / 2)
        self.taken: list[tuple[float, float, float, float]] = []

    def take(self, x: float, y: float, width: float, depth: float) -> bool:
        """Take a rectangle around (x, y) if it is free and inside."""
        x0, x1, y0, y1 = x - width / 2, x + width / 2, y - depth / 2, y + depth / 2
        if max(-x0, x1) > self._half[0] or max(-y0, y1) > self._half[1]:
            return False
        if any(x0 < b1 and b0 < x1 and y0 < d1 and d0 < y1 for b0, b1, d0, d1 in self.taken):
            return False
        self.taken.append((x0, x1, y0, y1))
        return True

    def draw(self, rng: random.Random, margin: float) -> tuple[float, float]:
        """Draw a point that keeps a distance from the walls."""
        x, y = self._half[0] - margin, self._half[1] - margin
        return rng.uniform(-x, x), rng.uniform(-y, y)

    def draw_free(self, rng: random.Random, margin: float) -> tuple[float, float]:
        """Draw a point that is free as well, if one is found soon."""
        x, y = self.draw(rng, margin)
        for _ in range(20):
            if self.free(x, y):
                break
            x, y = self.draw(rng, margin)
        return x, y

    def free(self, x: float, y: float) -> bool:
        """Whether a point is free."""
        return not any(x0 < x < x1 and y0 < y < y1 for x0, x1, y0, y1 in self.taken)


def build(stage: Stage) -> Plan:
    """Build a room and return how to look at it."""
    rng = stage.rng
    large = stage.chance(0.2)
    low, high = (6, 14) if large else (2.4, 6.5)
    shell = Shell(rng.uniform(low, high), rng.uniform(low, high), rng.uniform(2.3, 4.5 if large else 3.1))
    paints = objects.palette(stage)
    bright = stage.chance(0.3)
    glazed = build_shell(
        stage, shell, paints, windows=0.7 if bright else 0.35, doors=1, wall="ceiling" if bright else "wall"
    )
    fullness = rng.choice([0.0, 0.4, 1.0, 1.0, 1.0, 1.3])
    style = rng.choice([*WALL_ROLES, "home", "home"])
    ground = Ground(shell.width, shell.depth)
    area = shell.width * shell.depth
    if style == "office" and large:
        desk_rows(stage, paints, shell, ground)
    for _ in range(int(fullness * (rng.randint(5, 12) + area / 8))):
        _stand_at_wall(stage, paints, shell, ground, style)
    for _ in range(int(fullness * (rng.randint(1, 3) + area / 12))):
        _stand_freely(stage, paints, ground)
    if stage.chance(0.5):
        rug = stage.paints.make("fabric")
        size = (shell.width * rng.uniform(0.3, 0.6), shell.depth * rng.uniform(0.3, 0.6), 0.012)
        stage.shape("box", rug, (rng.gauss(0, 0.3), rng.gauss(0, 0.3), 0.006), size)
    for _ in range(rng.randint(0, 8)):
        x, y = ground.draw(rng, 0.2)
        if ground.free(x, y):
            objects.clutter(stage, paints, frame(x, y), rng.uniform(1, 1.8))
    light_room(stage, shell, glazed, bright=bright)
    return Plan(lambda: _view(stage, shell, ground), CLEARANCE)


def _stand_at_wall(stage: Stage, paints: Palette, shell: Shell, ground: Ground, style: str) -> None:
    """Try to put one thing with its back to a wall."""
    rng = stage.rng
    side = rng.randrange(4)
    base, length = shell.wall(side)
    picked = stage.furniture.pick(rng.choice(WALL_ROLES[style]), 3.5) if stage.chance(0.75) else None
    if picked:
        width, depth, _ = picked[0].size_m
    else:
        width, depth = rng.uniform(0.5, 1.6), rng.uniform(0.3, 0.6)
    if width > length:
        return
    place = base @ frame(rng.uniform(-0.5, 0.5) * (length - width), -depth / 2 - 0.05, turn=pi)
    x, y = place.translation.x, place.translation.y
    sizes = (width, depth) if side % 2 == 0 else (depth, width)
    if not ground.take(x, y, *sizes):
        return
    if picked:
        model = stage.place_model(*picked, place)
        if model.top_m < 1.3 and model.size_m[0] > 0.5 and stage.chance(0.6):
            top = place @ frame(0, 0, model.top_m + model.elevation_m)
            objects.litter(stage, paints, top, (0.7 * width, 0.5 * depth), rng.randint(0, 5))
    else:
        _simple(stage, paints, place, (width, depth))


def _simple(stage: Stage, paints: Palette, place: Matrix, size: tuple[float, float]) -> None:
    """Put a simple thing of about this width and depth."""
    rng = stage.rng
    kind = rng.choice(SIMPLE)
    if kind == "shelf":
        objects.shelf(stage, paints, place, (*size, rng.uniform(0.8, 2.2)))
    elif kind == "cabinet":
        objects.cabinet(stage, paints, place, (*size, rng.uniform(0.5, 2.1)))
    elif kind == "table":
        height = rng.choice([0.45, 0.72, 0.75])
        objects.table(stage, paints, place, (*size, height))
        objects.litter(stage, paints, place @ frame(0, 0, height), size, rng.randint(0, 6))
    elif kind == "chair":
        objects.chair(stage, paints, place)
    elif kind == "plant":
        objects.plant(stage, paints, place)
    elif kind == "lamp":
        objects.floor_lamp(stage, paints, place)
    else:
        objects.boxes_pile(stage, objects.carton_paints(stage), place)


def _stand_freely(stage: Stage, paints: Palette, ground: Ground) -> None:
    """Try to put a table with seats, a person, or a single thing into the middle."""
    rng = stage.rng
    x, y = ground.draw(rng, 0.6)
    draw = rng.random()
    place = frame(x, y, turn=rng.choice([0, pi / 2]) + rng.gauss(0, 0.1))
    if draw < 0.45:
        picked = stage.furniture.pick("table", 2.4)
        size = picked[0].size_m if picked else (rng.uniform(0.7, 1.8), rng.uniform(0.6, 0.9), 0.75)
        if not ground.take(x, y, max(size[:2]) + 0.2, max(size[:2]) + 0.2):
            return
        if picked and stage.chance(0.7):
            stage.place_model(*picked, place)
            height = picked[0].top_m
        else:
            objects.table(stage, paints, place, size)
            height = size[2]
        top = place @ frame(0, 0, height)
        objects.litter(stage, paints, top, (size[0], size[1]), rng.randint(0, 7))
        for _ in range(rng.randint(0, 4)):
            angle = rng.choice([0, pi / 2, pi, -pi / 2])
            reach = (size[0] if angle in (pi / 2, -pi / 2) else size[1]) / 2 + rng.uniform(0.05, 0.3)
            seat = place @ frame(0, 0, turn=angle) @ frame(rng.gauss(0, 0.15), -reach, turn=rng.gauss(0, 0.3))
            if not (stage.chance(0.7) and stage.model("seat", seat)):
                objects.chair(stage, paints, seat)
    elif ground.take(x, y, 0.7, 0.7):
        if draw < 0.65:
            objects.figure(stage, paints, place @ frame(0, 0, turn=rng.uniform(0, 2 * pi)))
        elif draw < 0.75:
            objects.boxes_pile(stage, objects.carton_paints(stage), place)
        else:
            stage.model(rng.choice(["floor", "seat", "plant", "animal"]), place, 1.2)


def desk_rows(stage: Stage, paints: Palette, shell: Shell, ground: Ground) -> None:
    """Rows of like desks, as in an office, a class or a laboratory."""
    rng = stage.rng
    width, depth, height = rng.uniform(1.2, 1.8), rng.uniform(0.6, 0.9), rng.choice([0.72, 0.9])
    seat = stage.furniture.pick("seat", 1.3)
    y = 1.5 - shell.depth / 2
    while y < shell.depth / 2 - 1:
        x = 1.2 - shell.width / 2
        while x < shell.width / 2 - 1.2:
            if stage.chance(0.8) and ground.take(x, y, width, depth + 0.6):
                objects.table(stage, paints, frame(x, y), (width, depth, height))
                objects.litter(stage, paints, frame(x, y, height), (width, depth), rng.randint(0, 4))
                if seat:
                    stage.place_model(*seat, frame(x, y - 0.6, turn=rng.gauss(0, 0.4)))
            x += width + rng.uniform(0, 0.5)
        y += depth + rng.uniform(1.2, 2)


def _view(stage: Stage, shell: Shell, ground: Ground) -> View:
    """Draw a camera that stands on free floor; robots see a room from low and from eye height."""
    rng = stage.rng
    x, y = ground.draw_free(rng, 0.25)
    z = min(
        rng.choice([rng.uniform(0.12, 0.6), rng.uniform(0.5, 1.3), rng.uniform(1.0, 1.9)]), shell.height - 0.3
    )
    if ground.taken and stage.chance(0.45):
        x0, x1, y0, y1 = rng.choice(ground.taken)
        return towards(rng, (x, y, z), ((x0 + x1) / 2, (y0 + y1) / 2, rng.uniform(0.2, 1)))
    # Along the longest way out of the place, more or less.
    heading = rng.uniform(0, 2 * pi)
    for _ in range(3):
        other = rng.uniform(0, 2 * pi)
        if _run(shell, x, y, other) > _run(shell, x, y, heading):
            heading = other
    pitch = rng.uniform(-35, 5) if z > 0.6 else rng.uniform(-10, 15)
    return View((x, y, z), heading * 180 / pi, pitch, draw_roll(rng), draw_fov(rng))


def _run(shell: Shell, x: float, y: float, heading: float) -> float:
    dx, dy = -sin(heading), cos(heading)
    along_x = ((shell.width / 2) * (1 if dx > 0 else -1) - x) / dx if abs(dx) > 1e-6 else 1e9
    along_y = ((shell.depth / 2) * (1 if dy > 0 else -1) - y) / dy if abs(dy) > 1e-6 else 1e9
    return min(along_x, along_y)
