"""Things of streets and gardens: each a handful of solids of the sizes that such things have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import Material, any_material, material
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.shapes import prism, turned
from e2e_depth_scenes.ray_caster.solids import Solid

Rng = np.random.Generator

_DETAIL_M = 50.0
"""Small parts are left out at this distance from the world's origin, near which the camera stands."""


def person(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """Someone who stands or walks."""
    thing = Placer(at, yaw)
    tall = rng.normal(1.7, 0.1)
    top, trousers, skin = material(rng, "fabric"), material(rng, "fabric"), material(rng, "skin")
    stride = rng.uniform(0, 0.3)
    for side in (-1, 1):
        thing.frustum(
            (side * stride * tall * 0.4, side * 0.09, 0),
            tall * 0.5,
            (0.07, 0.1),
            trousers,
            (0, -side * stride * 0.8, 0),
        )
        thing.frustum(
            (side * stride * 0.4, side * 0.29, tall * 0.42),
            tall * 0.4,
            (0.045, 0.06),
            top,
            (0, -side * stride * 0.7, side * 0.12),
        )
    thing.prism(
        (0, 0, tall * 0.46),
        [(-0.11, 0), (0.11, 0), (0.14, tall * 0.28), (0.07, tall * 0.37), (-0.1, tall * 0.37)],
        0.4,
        top,
    )
    thing.ellipsoid((0, 0, tall * 0.93), (0.1, 0.085, 0.12), skin)
    thing.ellipsoid((-0.02, 0, tall * 0.955), (0.105, 0.09, 0.105), material(rng, "bark"))
    return thing.solids


def tree(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A broad-leaved tree, a conifer, or a cypress."""
    thing = Placer(at, yaw)
    bark, leaves = material(rng, "bark"), material(rng, "leaves")
    height = np.exp(rng.uniform(np.log(3), np.log(13)))
    trunk = height * rng.uniform(0.25, 0.5)
    radius = height * rng.uniform(0.012, 0.03) + 0.03
    thing.frustum((0, 0, 0), trunk * 1.3, (radius, radius * 0.6), bark)
    style = rng.random()
    if style < 0.2:
        for level in range(3):
            low = trunk * 0.5 + (height - trunk * 0.5) * level * 0.28
            thing.frustum((0, 0, low), height * 0.4, (height * (0.22 - 0.05 * level), 0.02), leaves)
    elif style < 0.35:
        thing.ellipsoid((0, 0, height * 0.55), (height * 0.1, height * 0.1, height * 0.48), leaves, 0.5)
    else:
        spread = (height - trunk) * rng.uniform(0.3, 0.6)
        for _ in range(int(rng.integers(2, 5))):
            x, y = rng.normal(0, spread * 0.45, 2)
            z = trunk + (height - trunk) * rng.uniform(0.25, 0.75)
            size = spread * rng.uniform(0.5, 0.95)
            thing.ellipsoid(
                (x, y, z), (size, size, size * rng.uniform(0.6, 1.0)), leaves, rng.uniform(0.3, 0.75)
            )
    return thing.solids


def bush(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """One to three low ragged balls."""
    thing = Placer(at, yaw)
    leaves, size = material(rng, "leaves"), np.exp(rng.uniform(np.log(0.2), np.log(1.2)))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.normal(0, size * 0.6, 2)
        thing.ellipsoid(
            (x, y, size * 0.5), (size, size, size * rng.uniform(0.6, 1)), leaves, rng.uniform(0.15, 0.5)
        )
    return thing.solids


def lamp_post(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A street lamp, a sign, or traffic lights: something on a thin pole."""
    thing = Placer(at, yaw)
    metal, style = material(rng, "metal"), rng.random()
    if style < 0.5:
        height, reach = rng.uniform(4, 9), rng.uniform(0.3, 2)
        thing.frustum((0, 0, 0), height, (0.1, 0.06), metal)
        thing.box((reach / 2, 0, height - 0.06), (reach, 0.07, 0.07), metal)
        thing.box((reach, 0, height - 0.1), (0.6, 0.25, 0.12), metal)
    else:
        height = rng.uniform(2.0, 3.5)
        thing.frustum((0, 0, 0), height, (0.04, 0.04), metal)
        sign = material(rng, "package")
        if style < 0.75:
            radius = rng.uniform(0.25, 0.4)
            thing.frustum((0.05, 0, height - radius), 0.03, (radius, radius), sign, (0, np.pi / 2, 0))
        else:
            thing.box((0.06, 0, height - 0.9), (0.25, 0.3, 0.9), material(rng, "rubber"))
    return thing.solids


def street_item(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A bin, bollard, bench, cone, planter, cabinet, or a pile of boxes."""
    thing = Placer(at, yaw)
    style = rng.integers(0, 7)
    if style == 0:
        thing.box((0, 0, 0), (0.6, 0.55, 0.95), material(rng, "plastic"))
        thing.box((0.03, 0, 0.95), (0.68, 0.6, 0.07), material(rng, "plastic"))
    elif style == 1:
        thing.frustum((0, 0, 0), rng.uniform(0.7, 1.1), (0.08, 0.07), material(rng, "metal"))
    elif style == 2:
        wood, leg = material(rng, "wood"), material(rng, "metal")
        thing.box((0, 0, 0.42), (0.45, 1.6, 0.05), wood)
        thing.box((-0.24, 0, 0.5), (0.05, 1.6, 0.4), wood, (0, -0.2, 0))
        for side in (-1, 1):
            thing.box((0, side * 0.65, 0), (0.4, 0.08, 0.42), leg)
    elif style == 3:
        orange = Material(0, (0.8, 0.15, 0.02), (0.75, 0.16, 0.03), 1.0)
        thing.box((0, 0, 0), (0.36, 0.36, 0.04), orange)
        thing.frustum((0, 0, 0.04), 0.65, (0.14, 0.03), orange)
    elif style == 4:
        thing.frustum((0, 0, 0), 0.5, (0.3, 0.42), material(rng, "concrete"))
        thing.ellipsoid((0, 0, 0.7), (0.45, 0.45, 0.4), material(rng, "leaves"), 0.4)
    elif style == 5:
        thing.box((0, 0, 0), (0.45, rng.uniform(0.6, 1.4), rng.uniform(0.9, 1.6)), material(rng, "paint"))
    else:
        z = 0.0
        for _ in range(int(rng.integers(1, 4))):
            size = rng.uniform(0.3, 0.7, 3)
            thing.box(
                (0, 0, z),
                (size[0], size[1], size[2]),
                material(rng, "cardboard"),
                (rng.uniform(-0.4, 0.4), 0, 0),
            )
            z += size[2]
    return thing.solids


def house(rng: Rng, at: ArrayLike, yaw: float, size: tuple[float, float, float]) -> list[Solid]:
    """A building that faces -y of its own: flat or gabled, with a ground floor of doors or shops.

    Args:
        rng: The source of randomness.
        at: (3,), the middle of its bottom, metres.
        yaw: Radians about z.
        size: Length along the street, depth, and height of its walls, metres.
    """
    thing = Placer(at, yaw)
    length, depth, height = size
    front = material(rng, "facade") if rng.random() < 0.75 else any_material(rng, "wall", "brick", "stone")
    side = front if rng.random() < 0.5 else any_material(rng, "wall", "brick", "concrete")
    roof = material(rng, "roof")
    thing.box((0, 0, 0), (length, depth, height), [side, side, side, front, roof, roof])
    if rng.random() < 0.45 and height < 11:
        rise = rng.uniform(0.25, 0.5) * depth
        eaves = 0.4
        if rng.random() < 0.6:  # the ridge runs along the street
            outline = [(-depth / 2 - eaves, 0), (depth / 2 + eaves, 0), (0, rise)]
            faces, rotation = [roof, roof, roof, side, side], thing.rotation @ turned(np.pi / 2)
            thing.solids.append(prism(thing.point(0, 0, height), outline, length + eaves, faces, rotation))
        else:
            outline = [(-length / 2, 0), (length / 2, 0), (0, rise)]
            thing.prism((0, 0, height), outline, depth + eaves, [side, roof, roof, front, front])
    elif rng.random() < 0.5:
        thing.box((0, 0, height - 0.2), (length + 0.3, depth + 0.3, 0.5), roof)
    if rng.random() < 0.7:
        _ground_floor(rng, thing, size)
    if rng.random() < 0.35:  # an awning or balcony
        reach, wide = rng.uniform(0.6, 1.6), length * rng.uniform(0.2, 0.8)
        base = (rng.uniform(-0.2, 0.2) * length, -depth / 2 - reach / 2, rng.uniform(2.6, 3.4))
        thing.box(base, (wide, reach, 0.18), material(rng, "fabric"))
    return thing.solids


def _ground_floor(rng: Rng, thing: Placer, size: tuple[float, float, float]) -> None:
    length, depth, _ = size
    base = any_material(rng, "stone", "concrete", "paint", "wood")
    thing.box((0, -0.1, 0), (length + 0.02, depth, rng.uniform(0.4, 3.2)), base)
    if np.hypot(*thing.at[:2]) > _DETAIL_M:
        return
    glass, wood = material(rng, "glass"), material(rng, "wood")
    for x in np.arange(-length / 2 + 1.2, length / 2 - 0.8, rng.uniform(1.8, 4)):
        door = (rng.uniform(0.9, 1.7), 0.06, rng.uniform(2, 2.6))
        thing.box((float(x), -depth / 2 - 0.12, 0.05), door, glass if rng.random() < 0.7 else wood)
