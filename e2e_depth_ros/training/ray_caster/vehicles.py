"""Cars, lorries and bicycles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_ros.training.ray_caster.materials import Material, material
from e2e_depth_ros.training.ray_caster.objects import person
from e2e_depth_ros.training.ray_caster.placer import Placer
from e2e_depth_ros.training.ray_caster.solids import Solid

Rng = np.random.Generator


def car(rng: Rng, at: ArrayLike, yaw: float) -> list[Solid]:
    """A car, estate, pick-up or van: body, cabin with glass on all sides, wheels, lights, plates."""
    thing = Placer(at, yaw)
    paint, glass, dark = material(rng, "car_paint"), material(rng, "glass"), material(rng, "rubber")
    style = rng.choice(["sedan", "hatchback", "suv", "van", "pickup"], p=[0.3, 0.25, 0.25, 0.12, 0.08])
    half = {"sedan": 2.25, "hatchback": 1.95, "suv": 2.3, "van": 2.5, "pickup": 2.6}[style] * rng.uniform(
        0.92, 1.06
    )
    width = 1.8 * rng.uniform(0.95, 1.1)
    is_tall = style in ("suv", "van", "pickup")
    floor, belt = (0.3 if is_tall else 0.22), (1.02 if is_tall else 0.85) * rng.uniform(0.95, 1.08)
    roof = {"sedan": 1.45, "hatchback": 1.5, "suv": 1.78, "van": 2.1, "pickup": 1.8}[style] * rng.uniform(
        0.96, 1.05
    )
    hood = belt - (0.02 if style == "van" else 0.12)
    thing.prism(
        (0, 0, 0),
        [(-half + 0.1, floor), (half - 0.1, floor), (half, floor + 0.2), (half - 0.04, hood - 0.1),
         (half - 0.2, hood), (-half + 0.05, belt), (-half, floor + 0.25)],
        width, paint,
    )  # fmt: skip
    front = half * (0.62 if style == "van" else 0.4)
    back = {"sedan": -half * 0.72, "pickup": -0.15 * half}.get(style, -half * 0.97)
    rake = 0.25 if style in ("hatchback", "suv", "van") else 0.5
    profile = [(back, belt - 0.06), (front + 0.3, hood - 0.03), (front - 0.35, roof), (back + rake, roof)]
    panes = [paint, glass, paint, glass, glass, glass]
    thing.prism((0, 0, 0), profile, width * 0.86, panes)
    thing.box(
        ((front + back) / 2 - 0.1 + rake / 4, 0, roof - 0.03),
        (front - back - rake * 0.9 - 0.4, width * 0.88, 0.07),
        paint,
    )
    wheel = 0.38 if is_tall else 0.32
    rim = material(rng, "metal")
    for x in (-half * 0.62, half * 0.64):
        for side in (-1, 1):
            y = side * (width / 2 + 0.01)
            thing.frustum((x, y - side * 0.2, wheel), 0.22, (wheel, wheel), dark, (0, 0, -side * np.pi / 2))
            thing.frustum((x, y, wheel), 0.03, (wheel * 0.6, wheel * 0.55), rim, (0, 0, -side * np.pi / 2))
            lamp_x = half if x > 0 else -half
            lamp = (
                material(rng, "paint_mark")
                if x > 0
                else Material(0, (0.5, 0.02, 0.02), (0.4, 0.02, 0.02), 1.0, 0.05)
            )
            thing.box((lamp_x * 0.985, side * width * 0.38, belt - 0.34), (0.1, width * 0.16, 0.14), lamp)
    plate = material(rng, "paint_mark")
    for end in (-half, half):
        thing.box((end * 0.995, 0, floor + 0.2), (0.05, 0.5, 0.13), plate)
    thing.box((0, 0, floor - 0.06), (2 * half - 0.3, width * 0.9, 0.2), dark)
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
