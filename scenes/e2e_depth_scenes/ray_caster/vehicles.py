"""Cars, lorries and bicycles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import Material, material
from e2e_depth_scenes.ray_caster.objects import person
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.scenes import pick
from e2e_depth_scenes.ray_caster.solids import Solid

Rng = np.random.Generator

_DETAIL_M = 35.0
"""Small parts are left out at this distance from the world's origin, near which the camera stands."""
_TAIL_LAMP = Material(0, (0.5, 0.02, 0.02), (0.4, 0.02, 0.02), 1.0, 0.05)


class _Build(NamedTuple):
    """Proportions of a kind of car: half of its length, height of its roof, both in metres; its share."""

    half_m: float
    roof_m: float
    share: float


_BUILDS = {
    "sedan": _Build(2.25, 1.45, 0.30),
    "hatchback": _Build(1.95, 1.50, 0.25),
    "suv": _Build(2.30, 1.78, 0.25),
    "van": _Build(2.50, 2.10, 0.12),
    "pickup": _Build(2.60, 1.80, 0.08),
}


def car(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A car of one of several builds: body, cabin with glass all around, wheels, lights, plates."""
    thing = Placer(at, yaw)
    paint, glass, dark = material(rng, "car_paint"), material(rng, "glass"), material(rng, "rubber")
    build = pick(rng, [(build.share, name) for name, build in _BUILDS.items()])
    half, roof = (
        _BUILDS[build].half_m * rng.uniform(0.92, 1.06),
        _BUILDS[build].roof_m * rng.uniform(0.96, 1.05),
    )
    width = 1.8 * rng.uniform(0.95, 1.1)
    is_tall = build in ("suv", "van", "pickup")
    floor, belt = (0.3 if is_tall else 0.22), (1.02 if is_tall else 0.85) * rng.uniform(0.95, 1.08)
    hood = belt - (0.02 if build == "van" else 0.12)
    body = [
        (-half + 0.1, floor),
        (half - 0.1, floor),
        (half, floor + 0.2),
        (half - 0.04, hood - 0.1),
        (half - 0.2, hood),
        (-half + 0.05, belt),
        (-half, floor + 0.25),
    ]
    thing.prism((0, 0, 0), body, width, paint)
    front = half * (0.62 if build == "van" else 0.4)
    back = {"sedan": -half * 0.72, "pickup": -0.15 * half}.get(build, -half * 0.97)
    rake = 0.25 if build in ("hatchback", "suv", "van") else 0.5
    cabin = [(back, belt - 0.06), (front + 0.3, hood - 0.03), (front - 0.35, roof), (back + rake, roof)]
    thing.prism((0, 0, 0), cabin, width * 0.86, [paint, glass, paint, glass, glass, glass])
    wheel = 0.38 if is_tall else 0.32
    for x in (-half * 0.62, half * 0.64):
        for side in (-1, 1):
            y = side * (width / 2 - 0.19)
            thing.frustum((x, y, wheel), 0.22, (wheel, wheel), dark, (0, 0, -side * np.pi / 2))
    if np.hypot(*thing.at[:2]) > _DETAIL_M:
        return thing.solids
    middle, length = (front + back) / 2 - 0.1 + rake / 4, front - back - rake * 0.9 - 0.4
    thing.box((middle, 0, roof - 0.03), (length, width * 0.88, 0.07), paint)
    thing.box((0, 0, floor - 0.06), (2 * half - 0.3, width * 0.9, 0.2), dark)
    rim, plate, head_lamp = material(rng, "metal"), material(rng, "paint_mark"), material(rng, "paint_mark")
    for end, lamp in ((-1, _TAIL_LAMP), (1, head_lamp)):
        thing.box((end * half * 0.995, 0, floor + 0.2), (0.05, 0.5, 0.13), plate)
        for side in (-1, 1):
            x, y = end * half * 0.63, side * (width / 2 + 0.03)
            thing.frustum((x, y, wheel), 0.03, (wheel * 0.6, wheel * 0.55), rim, (0, 0, -side * np.pi / 2))
            at_corner = (end * half * 0.985, side * width * 0.38, belt - 0.34)
            thing.box(at_corner, (0.1, width * 0.16, 0.14), lamp)
    return thing.solids


def truck(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A lorry or bus."""
    thing = Placer(at, yaw)
    length, height = rng.uniform(6, 11), rng.uniform(2.7, 3.6)
    cargo, cab, glass, dark = (material(rng, name) for name in ("shutter", "car_paint", "glass", "rubber"))
    thing.box((-1.1, 0, 0.8), (length - 2.2, 2.4, height - 0.8), cargo)
    thing.prism(
        (length / 2 - 1.1, 0, 0.4),
        [(-1, 0), (1, 0), (1, 1.1), (0.8, 2.2), (-1, 2.3)], 2.3, [cab, cab, glass, cab, cab, cab, cab],
    )  # fmt: skip
    for x in (-length / 2 + 1.4, -length / 2 + 2.5, length / 2 - 1.3):
        for side in (-1, 1):
            thing.frustum((x, side * 0.9, 0.5), 0.3, (0.5, 0.5), dark, (0, 0, -side * np.pi / 2))
    return thing.solids


def cyclist(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A bicycle, sometimes ridden."""
    thing = Placer(at, yaw)
    frame, tyre = material(rng, "paint"), material(rng, "rubber")
    for x in (-0.52, 0.52):
        thing.frustum((x, -0.02, 0.34), 0.04, (0.34, 0.34), tyre, (0, 0, -np.pi / 2))
    thing.box((0, 0, 0.6), (0.75, 0.04, 0.05), frame, (0, -0.1, 0))
    thing.box((-0.1, 0, 0.42), (0.75, 0.04, 0.05), frame, (0, 0.5, 0))
    thing.box((-0.2, 0, 0.9), (0.25, 0.13, 0.06), tyre)
    thing.box((0.42, 0, 0.98), (0.05, 0.5, 0.05), frame)
    solids = thing.solids
    if rng.random() < 0.6:
        solids += person(rng, thing.point(-0.15, 0, 0.32), yaw)
    return solids
