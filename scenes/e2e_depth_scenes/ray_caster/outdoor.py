"""Streets and parks. The street runs along x; the camera stands near x = 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster import objects, vehicles
from e2e_depth_scenes.ray_caster.materials import any_material, material
from e2e_depth_scenes.ray_caster.scenes import Maker, Scene, log_uniform, pick, point
from e2e_depth_scenes.ray_caster.shapes import box, half_space, turned
from e2e_depth_scenes.ray_caster.solids import Array, Solid

Rng = np.random.Generator

_BEHIND_M = -6.0


def street(rng: Rng) -> Scene:
    """A road with pavements, cars, facades or gardens along it, and something at its end."""
    road = rng.uniform(2.8, 8.0)  # half of its width
    curb = rng.uniform(0.05, 0.16)
    pavement = rng.uniform(1.2, 4.5)
    length = rng.uniform(50, 180)
    solids: list[Solid] = [
        half_space(0.0, any_material(rng, "asphalt", "asphalt", "asphalt", "paving", "concrete"))
    ]
    solids += _markings(rng, road, length)
    for side in (-1, 1):
        edge = road * rng.uniform(0.9, 1.1)
        middle = (length + _BEHIND_M) / 2
        strip = any_material(rng, "paving", "concrete", "paving", "asphalt")
        solids.append(
            box([middle, side * (edge + pavement / 2), 0], [length - _BEHIND_M, pavement, curb], strip)
        )
        stone = material(rng, "concrete")
        solids.append(box([middle, side * (edge + 0.08), 0], [length - _BEHIND_M, 0.16, curb + 0.01], stone))
        beyond = any_material(rng, "grass", "grass", "soil", "paving")
        solids.append(
            box([middle, side * (edge + pavement + 30), 0], [length - _BEHIND_M, 60, curb * 0.9], beyond)
        )
        solids += _frontage(rng, side, edge + pavement, length)
        solids += _parked(rng, side, edge, length)
        solids += _pavement_things(rng, side, edge, pavement, curb, length)
    for _ in range(int(rng.integers(0, 5))):  # cars that drive, often right ahead
        lane = int(rng.choice([-1, 1]))
        x, y = log_uniform(rng, 5, 60), lane * road * rng.uniform(0.2, 0.55)
        make = vehicles.truck if rng.random() < 0.1 else vehicles.car
        solids += make(rng, [x, y, 0], (0 if lane < 0 else np.pi) + rng.normal(0, 0.04))
    solids += backdrop(rng, length)
    on_road = rng.random() < 0.65
    y = (
        rng.uniform(-0.7, 0.7) * road
        if on_road
        else rng.choice([-1, 1]) * (road * 1.1 + rng.uniform(0.2, 0.9) * pavement)
    )
    height = rng.uniform(0.3, 2.0) if rng.random() < 0.85 else rng.uniform(2, 5)
    return _look(rng, "street", solids, point(0, y, height + (0 if on_road else curb)))


def park(rng: Rng) -> Scene:
    """Open ground with a path, trees, bushes, people, walls and sheds at any distance."""
    solids: list[Solid] = [
        half_space(0.0, any_material(rng, "grass", "grass", "soil", "paving", "concrete", "asphalt"))
    ]
    if rng.random() < 0.6:
        path = any_material(rng, "soil", "paving", "asphalt", "concrete")
        turn = turned(rng.normal(0, 0.4))
        solids.append(box([40, rng.uniform(-3, 3), 0], [160, rng.uniform(1, 4), 0.02], path, turn))
    for _ in range(int(rng.integers(6, 26))):
        x = log_uniform(rng, 1.5, 80)
        at = [x, x * rng.uniform(-0.9, 0.9), 0.0]
        make = pick(rng, _IN_PARKS if x > 12 else _SMALL_IN_PARKS)
        solids += make(rng, at, rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.5:
        solids += _wall(rng, point(rng.uniform(4, 40), 0, 0), rng.uniform(-0.9, 0.9) + np.pi / 2, 80)
    if rng.random() < 0.4:
        solids += _wall(rng, point(20, rng.choice([-1, 1]) * rng.uniform(1.5, 8), 0), rng.normal(0, 0.1), 60)
    solids += backdrop(rng, rng.uniform(50, 160))
    return _look(rng, "park", solids, point(0, 0, rng.uniform(0.3, 2.0)))


def backdrop(rng: Rng, distance_m: float) -> list[Solid]:
    """What closes the view at a distance: hills, a row of trees, or houses."""
    style, solids = rng.random(), list[Solid]()
    x = distance_m + 4
    if style < 0.35:
        hill, low = any_material(rng, "leaves", "grass", "stone"), rng.uniform(2, 25)
        for _ in range(int(rng.integers(1, 4))):
            yaw = turned(rng.normal(0, 0.15))
            solids.append(
                box(
                    [x + rng.uniform(0, 60), rng.normal(0, 60), 0],
                    [20, rng.uniform(80, 300), low * rng.uniform(0.4, 1)],
                    hill,
                    yaw,
                )
            )
    elif style < 0.75:
        y = -70.0
        while y < 70:
            wide = rng.uniform(8, 22)
            solids += objects.house(
                rng,
                [x + rng.uniform(0, 20), y, 0],
                -np.pi / 2 + rng.normal(0, 0.1),
                (wide, 10, log_uniform(rng, 3, 18)),
            )
            y += wide * rng.uniform(1, 1.5)
    if style < 0.2 or style > 0.6:
        for y in np.arange(-60, 60, rng.uniform(5, 12)):
            solids += objects.tree(
                rng, [x - rng.uniform(0, 12), float(y) + rng.normal(0, 2), 0], rng.uniform(0, 2 * np.pi)
            )
    return solids


def _markings(rng: Rng, road: float, length: float) -> list[Solid]:
    paint, solids = material(rng, "paint_mark"), list[Solid]()
    wide = rng.uniform(0.1, 0.2)
    if rng.random() < 0.6:
        step = rng.uniform(4, 9)
        for x in np.arange(rng.uniform(-2, 3), min(length, 50), step):
            solids.append(box([float(x), 0, 0], [step * 0.45, wide, 0.004], paint))
    if rng.random() < 0.5:
        for side in (-1, 1):
            solids.append(box([length / 2, side * road * 0.86, 0], [length + 10, wide, 0.004], paint))
    if rng.random() < 0.25:  # a crossing
        x = rng.uniform(3, 20)
        for y in np.arange(-road * 0.8, road * 0.8, 1.0):
            solids.append(box([x, float(y), 0], [rng.uniform(2.8, 3.2), 0.5, 0.004], paint))
    return solids


def _frontage(rng: Rng, side: int, begin: float, length: float) -> list[Solid]:
    solids: list[Solid] = []
    x, tall = rng.uniform(_BEHIND_M, 4), log_uniform(rng, 3, 16)
    is_open = rng.random() < 0.3  # gardens and parking lots rather than a closed row
    setback = rng.uniform(0, 2) if not is_open else rng.uniform(2, 10)
    faces_road = np.pi if side < 0 else 0.0
    while x < length:
        wide = rng.uniform(5, 18)
        middle = x + wide / 2
        if rng.random() < (0.45 if is_open else 0.88):
            depth = rng.uniform(6, 12)
            y = side * (begin + setback + rng.uniform(0, 0.6) + depth / 2)
            high = tall * rng.uniform(0.7, 1.35)
            solids += objects.house(
                rng, [middle, y, 0], faces_road + rng.normal(0, 0.02), (wide, depth, high)
            )
        elif rng.random() < 0.7:
            for _ in range(int(rng.integers(1, 4))):
                at = [middle + rng.uniform(-0.5, 0.5) * wide, side * (begin + rng.uniform(1, 9)), 0]
                make = objects.tree if rng.random() < 0.75 else objects.bush
                solids += make(rng, at, rng.uniform(0, 2 * np.pi))
        if is_open and rng.random() < 0.5:
            solids += _wall(rng, point(middle, side * (begin + 0.2), 0), 0, wide)
        gap = rng.uniform(0, 0.5) * wide if is_open else rng.uniform(0, 5) * (rng.random() < 0.2)
        x += wide + gap
    return solids


def _parked(rng: Rng, side: int, edge: float, length: float) -> list[Solid]:
    if rng.random() < 0.25:
        return []
    solids: list[Solid] = []
    density, is_crosswise = rng.uniform(0.2, 0.9), rng.random() < 0.12
    x = rng.uniform(-3, 6)
    while x < min(length, 75):
        if rng.random() < density:
            turn = np.pi / 2 if is_crosswise else 0.0
            yaw = turn + np.pi * rng.integers(2) + rng.normal(0, 0.03)
            y = side * (edge + 1.2 if is_crosswise else edge - 1.05)
            solids += vehicles.car(rng, [x, y, 0], yaw)
        x += (2.8 if is_crosswise else 5.4) + rng.uniform(0, 1)
        if x > 30:  # far away a few say the same
            x += 4
    return solids


def _pavement_things(
    rng: Rng, side: int, edge: float, pavement: float, curb: float, length: float
) -> list[Solid]:
    solids: list[Solid] = []
    far = min(length, 70)
    if rng.random() < 0.6:  # a row of trees
        for x in np.arange(rng.uniform(1, 12), far, rng.uniform(6, 14)):
            solids += objects.tree(rng, [float(x), side * (edge + 0.6), curb], rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.6:
        for x in np.arange(rng.uniform(2, 15), far, rng.uniform(14, 30)):
            solids += objects.lamp_post(rng, [float(x), side * (edge + 0.4), curb], -side * np.pi / 2)
    for _ in range(int(rng.integers(0, 7))):
        at = [log_uniform(rng, 2.5, 45), side * (edge + rng.uniform(0.4, 0.95) * pavement), curb]
        yaw = rng.choice([0, np.pi]) + rng.normal(0, 0.3)
        solids += pick(rng, _ON_PAVEMENTS)(rng, at, yaw)
    return solids


def _wall(rng: Rng, middle: Array, yaw: float, length: float) -> list[Solid]:
    """A garden wall, hedge or fence."""
    style = str(rng.choice(["brick", "stone", "concrete", "leaves", "slats", "wall"]))
    height = rng.uniform(0.5, 2.3)
    turn, stuff = turned(yaw), material(rng, style)
    solids: list[Solid] = [box(middle, [length, 0.6 if style == "leaves" else 0.2, height], stuff, turn)]
    if style in ("brick", "stone", "concrete"):
        solids.append(box(middle + point(0, 0, height), [length, 0.3, 0.07], material(rng, "concrete"), turn))
    return solids


def _look(rng: Rng, kind: str, solids: list[Solid], eye: Array) -> Scene:
    """Mostly along the street and level; sometimes to the side, up, or down to the ground."""
    heading = rng.normal(0, 0.2) if rng.random() < 0.7 else rng.uniform(-1.4, 1.4)
    pitch = rng.normal(-0.04, 0.08) if rng.random() < 0.75 else rng.uniform(-0.7, 0.25)
    toward = point(np.cos(heading) * np.cos(pitch), np.sin(heading) * np.cos(pitch), np.sin(pitch))
    return Scene(kind, solids, eye, eye + toward)


def _cottage(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    return objects.house(rng, at, yaw, (rng.uniform(4, 14), rng.uniform(4, 9), rng.uniform(2.4, 7)))


_SMALL_IN_PARKS: list[tuple[float, Maker]] = [
    (0.36, objects.tree),
    (0.16, objects.bush),
    (0.16, objects.street_item),
    (0.11, objects.person),
    (0.06, objects.lamp_post),
    (0.05, vehicles.cyclist),
]
_IN_PARKS = [*_SMALL_IN_PARKS, (0.06, vehicles.car), (0.10, _cottage)]
_ON_PAVEMENTS: list[tuple[float, Maker]] = [
    (0.45, objects.person),
    (0.40, objects.street_item),
    (0.15, vehicles.cyclist),
]
