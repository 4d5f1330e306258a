"""Things of 5 to 40 cm that lie or stand on tables and floors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.materials import material
from e2e_depth_scenes.ray_caster.placer import Placer
from e2e_depth_scenes.ray_caster.solids import Solid

Rng = np.random.Generator


def small_thing(rng: Rng, at: ArrayLike, scale: float = 1.0) -> list[Solid]:
    """Return something small, turned at random.

    Args:
        rng: The source of randomness.
        at: (3,), where it stands, metres.
        scale: Its size relative to the usual one.
    """
    thing = Placer(at, rng.uniform(0, 2 * np.pi))
    _MAKERS[int(rng.integers(len(_MAKERS)))](rng, thing, scale)
    return thing.solids


def _package(rng: Rng, thing: Placer, scale: float) -> None:
    length, width, height = rng.uniform(0.05, 0.25, 3) * scale
    thing.box((0, 0, 0), (length, width, height), material(rng, "package"))


def _carton(rng: Rng, thing: Placer, scale: float) -> None:
    length, width, height = rng.uniform(0.15, 0.4, 3) * scale
    thing.box((0, 0, 0), (length, width, height), material(rng, "cardboard"))


def _bottle(rng: Rng, thing: Placer, scale: float) -> None:
    stuff, lid = material(rng, "plastic"), material(rng, "plastic")
    radius, tall = rng.uniform(0.03, 0.05) * scale, rng.uniform(0.13, 0.24) * scale
    neck = radius * 0.35
    thing.frustum((0, 0, 0), tall * 0.65, (radius, radius), stuff)
    thing.frustum((0, 0, tall * 0.65), tall * 0.2, (radius, neck), stuff)
    thing.frustum((0, 0, tall * 0.85), tall * 0.15, (neck, neck), lid)


def _cup(rng: Rng, thing: Placer, scale: float) -> None:
    radius, tall = rng.uniform(0.03, 0.05) * scale, rng.uniform(0.08, 0.14) * scale
    stuff = material(rng, "ceramic")
    thing.frustum((0, 0, 0), tall, (radius * 0.75, radius), stuff)
    thing.frustum((0, 0, tall), 0.002, (radius * 0.88, radius * 0.88), material(rng, "bark"))  # coffee
    thing.box((radius, 0, tall * 0.25), (radius * 0.8, radius * 0.3, tall * 0.5), stuff)


def _can(rng: Rng, thing: Placer, scale: float) -> None:
    radius, tall = rng.uniform(0.03, 0.05) * scale, rng.uniform(0.08, 0.14) * scale
    thing.frustum((0, 0, 0), tall, (radius, radius), material(rng, "package"))


def _books(rng: Rng, thing: Placer, scale: float) -> None:
    z = 0.0
    for _ in range(int(rng.integers(1, 6))):
        size = (0.16 * scale, 0.23 * scale, rng.uniform(0.01, 0.05) * scale)
        thing.box((0, 0, z), size, material(rng, "package"), (rng.normal(0, 0.25), 0, 0))
        z += size[2]


def _ball(rng: Rng, thing: Placer, scale: float) -> None:
    radius = float(np.exp(rng.uniform(np.log(0.03), np.log(0.14)))) * scale
    half_axes = (radius, radius * rng.uniform(0.8, 1), radius)
    thing.ellipsoid((0, 0, radius), half_axes, material(rng, "fruit"))


def _bowl(rng: Rng, thing: Placer, scale: float) -> None:
    radius = rng.uniform(0.07, 0.16) * scale
    thing.frustum((0, 0, 0), radius * 0.6, (radius * 0.5, radius), material(rng, "ceramic"))
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.normal(0, radius * 0.35, 2)
        thing.ellipsoid((x, y, radius * 0.65), (radius * 0.3,) * 3, material(rng, "fruit"))


def _laptop(rng: Rng, thing: Placer, scale: float) -> None:
    stuff, angle = material(rng, "metal"), rng.uniform(0.0, 0.6)
    width, thick = 0.33 * scale, 0.015 * scale
    faces = [material(rng, "picture"), *[stuff] * 5]
    thing.box((0, 0, 0), (0.23 * scale, width, thick), stuff)
    thing.box((-0.115 * scale, 0, thick), (0.01 * scale, width, 0.22 * scale), faces, (0, -angle, 0))


def _screen(rng: Rng, thing: Placer, scale: float) -> None:
    dark, width = material(rng, "rubber"), rng.uniform(0.35, 0.65) * scale
    thing.box((0, 0, 0), (0.18 * scale, 0.25 * scale, 0.015 * scale), dark)
    thing.box((-0.02 * scale, 0, 0), (0.03 * scale, 0.05 * scale, 0.25 * scale), dark)
    faces = [material(rng, "picture"), *[dark] * 5]
    thing.box((0.01 * scale, 0, 0.1 * scale), (0.03 * scale, width, width * 0.6), faces, (0, -0.1, 0))


def _rod(rng: Rng, thing: Placer, scale: float) -> None:
    """A bottle, pen or tool that lies."""
    radius, length = rng.uniform(0.005, 0.04) * scale, rng.uniform(0.1, 0.3) * scale
    radii = (radius, radius * rng.uniform(0.5, 1))
    thing.frustum((-length / 2, 0, radius), length, radii, material(rng, "plastic"), (0, np.pi / 2, 0))


_MAKERS: list[Callable[[Rng, Placer, float], None]] = [
    _package,
    _package,  # twice: the most usual of all
    _bottle,
    _cup,
    _books,
    _ball,
    _bowl,
    _can,
    _laptop,
    _screen,
    _rod,
    _carton,
]
