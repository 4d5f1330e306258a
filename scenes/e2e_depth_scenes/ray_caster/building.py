"""The inside of buildings: walls, floor, ceiling, doors and windows. The floor's middle is the origin."""

from __future__ import annotations

import numpy as np

from e2e_depth_scenes.ray_caster.materials import Material, any_material, material
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.scenes import point
from e2e_depth_scenes.ray_caster.shapes import box
from e2e_depth_scenes.ray_caster.solids import Array, Solid

Rng = np.random.Generator
Size = tuple[float, float, float]
"""Length along x, width along y, and height, metres."""


def shell(rng: Rng, size: Size) -> list[Solid]:
    """Walls, floor and ceiling with skirtings and openings."""
    length, width, height = size
    wall, other = (
        material(rng, "wall"),
        any_material(rng, "wall", "wall", "brick", "wood", "tiles"),
    )
    floor = any_material(rng, "parquet", "parquet", "tiles", "carpet", "carpet", "concrete")
    ceiling = material(rng, "ceiling" if rng.random() < 0.75 else "wall")
    front = other if rng.random() < 0.4 else wall
    faces = [front, wall, wall, other if rng.random() < 0.3 else wall, ceiling, floor]
    solids: list[Solid] = [box([0, 0, 0], [length, width, height], faces, is_hollow=True)]
    if rng.random() < 0.7:
        skirting = any_material(rng, "wood", "paint_mark", "rubber")
        for side in (-1, 1):
            solids.append(box([0, side * width / 2, 0], [length, 0.03, 0.09], skirting))
            solids.append(box([side * length / 2, 0, 0], [0.03, width, 0.09], skirting))
    for _ in range(int(rng.integers(0, 4))):
        spot, inward = wall_spot(rng, size)
        if rng.random() < 0.4:
            door(rng, solids, spot, inward, any_material(rng, "wood", "paint"))
        else:
            window(rng, solids, spot, inward, height)
    return solids


def wall_spot(rng: Rng, size: Size, *, sides_only: bool = False) -> tuple[Array, float]:
    """Return a point at the foot of a wall and the yaw of its inward normal."""
    length, width, _ = size
    if sides_only or rng.random() < 0.5:
        side = rng.choice([-1, 1])
        return point(rng.uniform(-0.42, 0.42) * length, side * width / 2, 0), -side * np.pi / 2
    side = 1 if rng.random() < 0.75 else -1  # the far wall is seen more often
    return point(side * length / 2, rng.uniform(-0.4, 0.4) * width, 0), np.pi if side > 0 else 0.0


def door(rng: Rng, solids: list[Solid], spot: Array, inward: float, stuff: Material) -> None:
    """Put a door with its frame on a wall."""
    thing, frame, wide = Placer(spot, inward), material(rng, "paint_mark"), rng.uniform(0.75, 1.1)
    thing.box((0.01, 0, 0), (0.05, wide, 2.05), stuff)
    for side in (-1, 1):
        thing.box((0.02, side * (wide / 2 + 0.04), 0), (0.09, 0.08, 2.12), frame)
    thing.box((0.02, 0, 2.05), (0.09, wide + 0.16, 0.08), frame)
    thing.box((0.07, wide * 0.4, 1.0), (0.05, 0.12, 0.03), material(rng, "metal"))
    solids += thing.solids


def window(rng: Rng, solids: list[Solid], spot: Array, inward: float, height: float) -> None:
    """Put a window on a wall, sometimes with curtains; its view has no depth."""
    thing, frame = Placer(spot, inward), material(rng, "paint_mark")
    wide, low = rng.uniform(0.7, 2.4), rng.choice([0.05, 0.8, 0.9])
    tall = min(height - 0.3, 2.2) - low
    thing.box((0.0, 0, low), (0.02, wide, tall), material(rng, "view"))
    for y in np.linspace(-wide / 2, wide / 2, int(rng.integers(2, 5))):
        thing.box((0.02, float(y), low), (0.06, 0.06, tall), frame)
    for z in (low - 0.04, low + tall - 0.02):
        thing.box((0.03, 0, z), (0.1 if z > low else 0.2, wide + 0.1, 0.05), frame)
    if rng.random() < 0.5:  # curtains, in folds
        cloth = material(rng, "fabric")
        for side in (-1, 1):
            for fold in range(int(rng.integers(3, 7))):
                thing.frustum(
                    (0.14, side * (wide / 2 - 0.1 * fold + 0.15), 0.05), height - 0.25, (0.06, 0.05), cloth
                )
    solids += thing.solids
