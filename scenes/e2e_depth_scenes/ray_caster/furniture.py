"""Things of rooms and tables: each a handful of solids of the sizes that such things have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import any_material, material
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.solids import Solid

Rng = np.random.Generator


def table(rng: Rng, at: ArrayLike, yaw: float) -> tuple[list[Solid], tuple[float, float, float]]:
    """A table or desk; also returns its length, width and height, metres."""
    thing = Placer(at, yaw)
    length, width, height = rng.uniform(0.7, 2.0), rng.uniform(0.5, 1.0), rng.choice([0.45, 0.73, 0.75, 1.0])
    top = any_material(rng, "wood", "wood", "paint", "plastic")
    leg = top if rng.random() < 0.5 else material(rng, "metal")
    thing.box((0, 0, height - 0.04), (length, width, 0.04), top)
    thick = rng.uniform(0.03, 0.08)
    for x in (-1, 1):
        for y in (-1, 1):
            foot = (x * (length / 2 - thick), y * (width / 2 - thick), 0.0)
            thing.box(foot, (thick, thick, height - 0.04), leg)
    if rng.random() < 0.4:  # drawers
        thing.box(
            (length * 0.3, 0, height * 0.2),
            (length * 0.3, width * 0.85, height * 0.75),
            material(rng, "wood"),
        )
    return thing.solids, (length, width, float(height))


def chair(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A chair with four legs or an office chair."""
    thing = Placer(at, yaw)
    seat = any_material(rng, "wood", "fabric", "plastic", "fabric")
    leg = seat if rng.random() < 0.4 else material(rng, "metal")
    size, height = rng.uniform(0.38, 0.5), rng.uniform(0.42, 0.5)
    thing.box((0, 0, height), (size, size, rng.uniform(0.03, 0.09)), seat)
    lean = rng.uniform(-0.25, 0)
    back_low = height + rng.uniform(0.03, 0.2)
    thing.box((-size / 2, 0, back_low), (0.04, size, rng.uniform(0.25, 0.5)), seat, (0, lean, 0))
    if rng.random() < 0.5:
        for x in (-1, 1):
            for y in (-1, 1):
                thing.frustum((x * size * 0.45, y * size * 0.45, 0), height, (0.018, 0.02), leg)
    else:
        thing.frustum((0, 0, 0.1), height - 0.1, (0.03, 0.03), leg)
        for turn in range(3):
            thing.box((0, 0, 0.05), (size * 1.25, 0.05, 0.05), leg, (turn * np.pi / 3, 0, 0))
        thing.box((-size / 2 - 0.02, 0, height - 0.02), (0.03, 0.06, 0.4), leg, (0, lean, 0))
    if rng.random() < 0.3:
        for side in (-1, 1):
            thing.box((0, side * size * 0.53, height + 0.2), (size * 0.8, 0.05, 0.03), leg)
            thing.box((size * 0.3, side * size * 0.53, height), (0.04, 0.04, 0.2), leg)
    return thing.solids


def sofa(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A sofa or armchair with cushions; its back is at -x."""
    thing = Placer(at, yaw)
    cloth, cushion = material(rng, "fabric"), material(rng, "fabric")
    width = rng.choice([0.9, 1.6, 2.1])
    thing.box((0, 0, 0.08), (0.85, width, 0.32), cloth)
    thing.box((-0.36, 0, 0.3), (0.2, width, 0.5), cloth, (0, -0.15, 0))
    for side in (-1, 1):
        thing.box((0, side * (width / 2 + 0.08), 0.05), (0.85, 0.18, 0.52), cloth)
        thing.frustum((-0.42, side * (width / 2 + 0.08), 0.57), 0.84, (0.09, 0.09), cloth, (0, np.pi / 2, 0))
    for y in np.arange(-width / 2 + 0.4, width / 2 - 0.2, 0.7):
        thing.box((-0.17, float(y), 0.42), (0.12, 0.42, 0.36), cushion, (rng.normal(0, 0.1), -0.35, 0))
    return thing.solids


def bed(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A bed with a head at -x, a cover and pillows."""
    thing = Placer(at, yaw)
    wood, cover, sheet = material(rng, "wood"), material(rng, "fabric"), material(rng, "fabric")
    width = rng.choice([0.9, 1.4, 1.8])
    thing.box((0, 0, 0.1), (2.0, width, 0.22), wood)
    thing.box((0, 0, 0.32), (1.96, width - 0.04, 0.2), sheet)
    thing.box((0.25, 0, 0.34), (1.5, width + 0.06, 0.22), cover)
    thing.box((-1.03, 0, 0), (0.06, width, rng.uniform(0.7, 1.2)), wood)
    for y in np.linspace(-width / 4, width / 4, 1 if width < 1 else 2):
        thing.ellipsoid((-0.72, float(y), 0.56), (0.22, 0.34, 0.1), sheet)
    return thing.solids


def shelf(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """An open shelf with books and boxes; it opens towards +x."""
    thing = Placer(at, yaw)
    wood = any_material(rng, "wood", "paint", "metal")
    width, height, depth = rng.uniform(0.6, 1.6), rng.uniform(0.8, 2.2), rng.uniform(0.25, 0.5)
    for side in (-1, 1):
        thing.box((0, side * width / 2, 0), (depth, 0.03, height), wood)
    thing.box((-depth / 2 + 0.01, 0, 0), (0.02, width, height), wood)
    boards = int(rng.integers(3, 6))
    for level in range(boards):
        z = level * (height - 0.03) / (boards - 1)
        thing.box((0, 0, z), (depth, width, 0.03), wood)
        if level == boards - 1 or rng.random() < 0.2:
            continue
        gap = height / (boards - 1)
        if rng.random() < 0.6:
            filled = rng.uniform(0.4, 0.95) * width
            thing.box(
                (-0.04, (filled - width) / 2 + 0.02, z + 0.03),
                (depth * 0.7, filled, gap * rng.uniform(0.5, 0.85)),
                material(rng, "books"),
            )
        else:
            for y in np.arange(-width / 2 + 0.2, width / 2 - 0.1, 0.35):
                side_m = rng.uniform(0.1, 0.28)
                thing.box(
                    (0, float(y), z + 0.03),
                    (depth * 0.7, side_m, gap * rng.uniform(0.3, 0.8)),
                    material(rng, "package"),
                )
    return thing.solids


def cabinet(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A cupboard, chest of drawers, fridge or kitchen unit; its doors are at +x."""
    thing = Placer(at, yaw)
    body = any_material(rng, "wood", "paint", "metal")
    depth, width, height = (
        rng.uniform(0.35, 0.65),
        rng.uniform(0.5, 2.2),
        rng.choice([0.5, 0.85, 0.9, 1.3, 2.0]),
    )
    thing.box((0, 0, 0.05), (depth, width, height - 0.05), body)
    thing.box((0, 0, height), (depth + 0.04, width + 0.04, 0.03), material(rng, "wood"))
    handle, count = material(rng, "metal"), max(1, round(width / 0.5))
    front = body if rng.random() < 0.5 else material(rng, "paint")
    for door in range(count):
        y = (door + 0.5) * width / count - width / 2
        rows = 1 if height > 1 or rng.random() < 0.4 else 3
        for row in range(rows):
            low, high = 0.1 + row * (height - 0.12) / rows, 0.06 + (row + 1) * (height - 0.12) / rows
            thing.box((depth / 2, y, low), (0.03, width / count - 0.03, high - low), front)
            thing.box(
                (depth / 2 + 0.03, y + width / count * 0.3, (low + high) / 2), (0.03, 0.1, 0.02), handle
            )
    return thing.solids


def floor_lamp(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A lamp with a shade on a pole."""
    thing = Placer(at, yaw)
    metal, height = material(rng, "metal"), rng.uniform(1.3, 1.9)
    thing.frustum((0, 0, 0), 0.03, (0.15, 0.14), metal)
    thing.frustum((0, 0, 0), height, (0.015, 0.015), metal)
    thing.frustum((0, 0, height - 0.1), 0.3, (0.25, 0.14), material(rng, "lamp"))
    return thing.solids


def plant(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A plant in a pot."""
    thing = Placer(at, yaw)
    leaves, pot = material(rng, "leaves"), rng.uniform(0.1, 0.25)
    thing.frustum((0, 0, 0), pot * 1.8, (pot * 0.7, pot), material(rng, "ceramic"))
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.normal(0, pot, 2)
        thing.ellipsoid(
            (x, y, pot * rng.uniform(2, 5)), (pot * 0.9, pot * 0.6, pot * rng.uniform(0.6, 1.8)), leaves, 0.8
        )
    return thing.solids
