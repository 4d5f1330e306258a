"""Rooms, corridors, tabletops and totes. A room's floor is z = 0, its middle x = y = 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster import furniture
from e2e_depth_scenes.ray_caster.building import Size, door, shell, wall_spot
from e2e_depth_scenes.ray_caster.materials import any_material, material
from e2e_depth_scenes.ray_caster.objects import person
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.scenes import Maker, Scene, log_uniform, pick, point
from e2e_depth_scenes.ray_caster.shapes import box, turned
from e2e_depth_scenes.ray_caster.small_things import small_thing
from e2e_depth_scenes.ray_caster.solids import Array, Solid

Rng = np.random.Generator


def room(rng: Rng) -> Scene:
    """A furnished room; one in six is a large hall with racks and pillars."""
    is_hall = rng.random() < 0.16
    if is_hall:
        size = (rng.uniform(10, 35), rng.uniform(8, 20), rng.uniform(3.2, 7))
    else:
        size = (rng.uniform(2.6, 8), rng.uniform(2.4, 6.5), rng.uniform(2.3, 3.2))
    solids = shell(rng, size)
    for _ in range(int(rng.integers(2, 7))):  # along the walls
        solids += _against_wall(rng, size)
    for _ in range(int(rng.integers(1, 6)) * (3 if is_hall else 1)):
        at = [rng.uniform(-0.42, 0.42) * size[0], rng.uniform(-0.42, 0.42) * size[1], 0.0]
        solids += _standing(rng, at, is_hall)
    for _ in range(int(rng.integers(0, 5))):
        at = [rng.uniform(-0.45, 0.45) * size[0], rng.uniform(-0.45, 0.45) * size[1], 0.0]
        solids += small_thing(rng, at, rng.uniform(0.8, 1.8))
    if rng.random() < 0.4:
        rug = material(rng, "fabric")
        solids.append(
            box(
                [0, 0, 0],
                [size[0] * rng.uniform(0.2, 0.6), size[1] * rng.uniform(0.2, 0.6), 0.012],
                rug,
                turned(rng.normal(0, 0.2)),
            )
        )
    style = rng.random()
    eye = point(rng.uniform(-0.46, 0.3) * size[0], rng.uniform(-0.42, 0.42) * size[1], rng.uniform(0.25, 1.9))
    if style < 0.7:
        target = point(rng.uniform(0, 0.5) * size[0], rng.uniform(-0.4, 0.4) * size[1], rng.uniform(0.2, 1.5))
    else:  # down at something on the floor
        ahead, turn = rng.uniform(0.5, 2.2), rng.uniform(-0.8, 0.8)
        target = point(eye[0] + ahead * np.cos(turn), eye[1] + ahead * np.sin(turn), 0)
        solids += small_thing(rng, target + point(rng.normal(0, 0.2), rng.normal(0, 0.2), 0), 1.3)
    return Scene("room", solids, eye, target, _lamps(rng, size))


def corridor(rng: Rng) -> Scene:
    """A long passage with doors, things along its walls, and lights on the ceiling."""
    size = (rng.uniform(7, 40), rng.uniform(1.3, 3.2), rng.uniform(2.2, 3.2))
    solids = shell(rng, size)
    step = rng.uniform(1.5, 4.5)
    leaf = any_material(rng, "wood", "paint")
    for x in np.arange(-size[0] / 2 + 1, size[0] / 2 - 0.6, step):
        for side in (-1, 1):
            if rng.random() < 0.6:
                door(rng, solids, point(float(x), side * size[1] / 2, 0), -side * np.pi / 2, leaf)
    lamp = material(rng, "lamp")
    for x in np.arange(-size[0] / 2 + 1, size[0] / 2, rng.uniform(2, 5)):
        solids.append(box([float(x), 0, size[2] - 0.05], [rng.uniform(0.4, 1.2), 0.3, 0.06], lamp))
    for _ in range(int(rng.integers(0, 6))):
        solids += _against_wall(rng, size, sides_only=True)
    if rng.random() < 0.3:
        solids += person(
            rng, [rng.uniform(-0.2, 0.4) * size[0], rng.uniform(-0.3, 0.3) * size[1], 0], rng.uniform(0, 6)
        )
    for _ in range(int(rng.integers(0, 4))):
        at = [rng.uniform(-0.4, 0.4) * size[0], rng.uniform(-0.4, 0.4) * size[1], 0.0]
        solids += small_thing(rng, at, 1.8)
    eye = point(-size[0] * rng.uniform(0.1, 0.47), rng.uniform(-0.3, 0.3) * size[1], rng.uniform(0.25, 1.8))
    turn = rng.normal(0, 0.15) if rng.random() < 0.75 else rng.uniform(-1.2, 1.2)
    target = eye + point(np.cos(turn), np.sin(turn), rng.normal(-0.05, 0.12))
    count = max(2, int(size[0] / 6))
    lamps = np.array([[x, 0, size[2] - 0.25] for x in np.linspace(-0.45, 0.45, count) * size[0]], np.float32)
    return Scene("corridor", solids, eye, target, lamps)


def tabletop(rng: Rng) -> Scene:
    """Things on a table or shelf in a room, seen from an arm's length."""
    size = (rng.uniform(3, 6), rng.uniform(3, 6), rng.uniform(2.3, 3))
    solids = shell(rng, size)
    for _ in range(3):
        solids += _against_wall(rng, size)
    at = [size[0] * rng.uniform(-0.1, 0.3), size[1] * rng.uniform(-0.2, 0.2), 0.0]
    yaw = rng.normal(0, 0.3) + rng.choice([0, np.pi / 2])
    parts, (length, width, height) = furniture.table(rng, at, yaw)
    solids += parts
    placer = Placer(at, yaw)
    for _ in range(int(rng.integers(3, 13))):
        spot = placer.point(rng.uniform(-0.45, 0.45) * length, rng.uniform(-0.42, 0.42) * width, height)
        solids += small_thing(rng, spot, rng.uniform(0.7, 1.4))
    if rng.random() < 0.5:
        solids += furniture.chair(rng, placer.point(0, -width * 0.7, 0), yaw + np.pi / 2)
    focus = placer.point(
        rng.uniform(-0.3, 0.3) * length, rng.uniform(-0.3, 0.3) * width, height + rng.uniform(0, 0.15)
    )
    distance, down = log_uniform(rng, 0.45, 1.8), rng.uniform(0.12, 1.3)
    turn = rng.normal(0, 0.5)
    eye = focus + distance * point(-np.cos(down) * np.cos(turn), -np.cos(down) * np.sin(turn), np.sin(down))
    eye = np.clip(
        eye,
        point(-size[0] / 2 + 0.2, -size[1] / 2 + 0.2, 0.2),
        point(size[0] / 2, size[1] / 2, size[2] - 0.2),
    )
    return Scene("tabletop", solids, eye, focus, _lamps(rng, size))


def tote(rng: Rng) -> Scene:
    """A bin, tray or drawer full of things, seen from above."""
    length, width, high = rng.uniform(0.3, 0.8), rng.uniform(0.25, 0.6), rng.uniform(0.03, 0.35)
    stuff = any_material(rng, "plastic", "plastic", "paint", "cardboard", "wood")
    floor = rng.uniform(0, 0.9)
    solids = shell(rng, (4, 4, 2.8))
    below = any_material(rng, "wood", "metal", "concrete", "rubber")
    if floor > 0.15:
        solids.append(box([0, 0, 0], [rng.uniform(0.8, 1.6), rng.uniform(0.6, 1.4), floor], below))
    thing = Placer([0, 0, floor if floor > 0.15 else 0.0], rng.uniform(0, np.pi))
    thing.box((0, 0, 0), (length, width, 0.015), stuff)
    for side in (-1, 1):
        thing.box((side * length / 2, 0, 0), (0.02, width + 0.02, high), stuff, (0, side * 0.08, 0))
        thing.box((0, side * width / 2, 0), (length + 0.02, 0.02, high), stuff, (0, 0, -side * 0.08))
    solids += thing.solids
    for _ in range(int(rng.integers(3, 20))):
        x, y, z = rng.uniform(-0.38, 0.38) * length, rng.uniform(-0.38, 0.38) * width, rng.uniform(0.01, 0.12)
        one = Placer(thing.point(x, y, z * high / 0.35 + 0.015), rng.uniform(0, 6.3))
        if rng.random() < 0.6:
            flat = (rng.uniform(0.06, 0.25), rng.uniform(0.04, 0.16), rng.uniform(0.01, 0.06))
            one.box((0, 0, 0), flat, material(rng, "package"), (0, rng.normal(0, 0.15), rng.normal(0, 0.15)))
            solids += one.solids
        else:
            solids += small_thing(rng, one.at, 0.7)
    for _ in range(int(rng.integers(0, 4))):
        spot = point(rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6), thing.at[2])
        solids += small_thing(rng, spot, 1.0)
    distance, down, turn = rng.uniform(0.4, 1.0), rng.uniform(0.6, 1.5), rng.uniform(-0.5, 0.5)
    focus = thing.point(rng.normal(0, 0.06), rng.normal(0, 0.06), high * 0.3)
    eye = focus + distance * point(-np.cos(down) * np.cos(turn), -np.cos(down) * np.sin(turn), np.sin(down))
    return Scene("tote", solids, eye, focus, _lamps(rng, (4, 4, 2.8)))


def _against_wall(rng: Rng, size: Size, *, sides_only: bool = False) -> list[Solid]:
    spot, inward = wall_spot(rng, size, sides_only=sides_only)
    away_m, make = pick(rng, _FLAT_ALONG_WALLS if sides_only else _ALONG_WALLS)
    return make(rng, spot + np.float32(away_m) * point(np.cos(inward), np.sin(inward), 0), inward)


def _standing(rng: Rng, at: list[float], is_hall: bool) -> list[Solid]:
    yaw = float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.25))
    return pick(rng, _IN_HALLS if is_hall else _IN_ROOMS)(rng, at, yaw)


def _radiator(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    thing = Placer(at, yaw)
    thing.box((0.06, 0, 0.12), (0.1, rng.uniform(0.5, 1.4), 0.6), material(rng, "shutter"))
    return thing.solids


def _picture(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    thing = Placer(at, yaw)
    wide, tall, low = rng.uniform(0.3, 1.2), rng.uniform(0.3, 0.9), rng.uniform(1, 1.6)
    thing.box((0, 0, low - 0.03), (0.05, wide + 0.06, tall + 0.06), material(rng, "wood"))
    thing.box((0.01, 0, low), (0.05, wide, tall), material(rng, "picture"))
    return thing.solids


def _pillar(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    thing = Placer(at, yaw)
    thing.box((0, 0, 0), (0.5, 0.5, 8), material(rng, "concrete"))
    return thing.solids


def _carton_pile(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:  # noqa: ARG001 - it turns itself
    return small_thing(rng, at, 4)


def _desk(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A table with its long side along a wall, and things on it."""
    return _laid_table(rng, at, yaw + np.pi / 2)


def _dining_table(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    solids = _laid_table(rng, at, yaw)
    for side in (-1, 1):
        if rng.random() < 0.6:
            seat = Placer(at, yaw).point(0, side * rng.uniform(0.45, 0.8), 0)
            solids += furniture.chair(rng, seat, yaw - side * np.pi / 2)
    return solids


def _laid_table(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    solids, (length, width, height) = furniture.table(rng, at, yaw)
    placer = Placer(at, yaw)
    for _ in range(int(rng.integers(0, 7))):
        spot = placer.point(rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.4, 0.4) * width, height)
        solids += small_thing(rng, spot)
    return solids


def _lamps(rng: Rng, size: Size) -> Array:
    length, width, height = size
    count = int(rng.integers(1, 3))
    spread = rng.uniform(-0.4, 0.4, (count, 2)) * [length, width]
    return np.column_stack([spread, rng.uniform(0.75, 0.95, count) * height]).astype(np.float32)


_FLAT_ALONG_WALLS: list[tuple[float, tuple[float, Maker]]] = [
    (0.20, (0.32, furniture.shelf)),
    (0.25, (0.32, furniture.cabinet)),
    (0.08, (0.32, furniture.plant)),
    (0.07, (0.0, _radiator)),
    (0.13, (0.0, _picture)),
    (0.10, (0.45, _desk)),
]
"""Weight, distance of the middle from the wall in metres, and what stands there."""

_ALONG_WALLS = [*_FLAT_ALONG_WALLS, (0.10, (0.48, furniture.sofa)), (0.07, (1.1, furniture.bed))]

_IN_ROOMS: list[tuple[float, Maker]] = [
    (0.30, furniture.chair),
    (0.30, _dining_table),
    (0.12, furniture.sofa),
    (0.08, furniture.floor_lamp),
    (0.08, furniture.plant),
    (0.05, person),
    (0.07, furniture.cabinet),
]

_IN_HALLS: list[tuple[float, Maker]] = [
    (0.25, _pillar),
    (0.20, furniture.shelf),
    (0.25, _carton_pile),
    *((0.4 * weight, make) for weight, make in _IN_ROOMS),
]
