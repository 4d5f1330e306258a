"""Materials: a pattern, two colours and a gloss, drawn at random within what a thing is usually made of."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from e2e_depth_scenes.ray_caster.patterns import pattern_bank

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        pattern: Its number in the pattern bank.
        color_a: Where the pattern is 0: linear RGB reflectance, 0 to 1.
        color_b: Where the pattern is 1.
        period_m: Length of one period of the pattern, metres.
        gloss: Share of mirrored light at normal incidence, 0 to 1.
        emission: Light that the surface sends out by itself, times its colour.
        is_opening: What is seen there is not a surface (a window's view): it has no depth.
    """

    pattern: int
    color_a: Color
    color_b: Color
    period_m: float
    gloss: float = 0.0
    emission: float = 0.0
    is_opening: bool = False


Interval = tuple[float, float]
_ANY_HUE: Interval = (0, 360)


@dataclass(frozen=True)
class _Recipe:
    patterns: tuple[str, ...]
    hue_deg: Interval
    saturation: Interval
    value: Interval  # sRGB
    contrast: float  # standard deviation of the log ratio of the two colours
    period_m: Interval
    gloss: Interval = (0.0, 0.0)


# Contrast stays low on large surfaces: a network that starts from nothing gets stuck on hard textures.
_RECIPES = {
    "asphalt": _Recipe(("ground",), (20, 60), (0, 0.08), (0.25, 0.55), 0.25, (0.6, 3)),
    "concrete": _Recipe(("ground", "plaster"), (20, 60), (0, 0.12), (0.45, 0.75), 0.2, (0.8, 4)),
    "paving": _Recipe(
        ("tiles", "stones", "ground", "bricks"), (15, 50), (0, 0.2), (0.4, 0.75), 0.2, (0.8, 3)
    ),
    "paint_mark": _Recipe(("plaster",), (40, 60), (0, 0.1), (0.75, 0.95), 0.1, (0.5, 1)),
    "grass": _Recipe(("ground", "leaves"), (55, 110), (0.3, 0.65), (0.25, 0.6), 0.3, (0.7, 4)),
    "soil": _Recipe(("ground", "stones"), (20, 45), (0.15, 0.45), (0.3, 0.7), 0.25, (0.8, 4)),
    "leaves": _Recipe(("leaves",), (55, 130), (0.25, 0.7), (0.18, 0.5), 0.5, (0.5, 2)),
    "bark": _Recipe(("grain", "ground"), (20, 40), (0.15, 0.4), (0.2, 0.45), 0.35, (0.4, 1)),
    "facade": _Recipe(("windows",), (10, 60), (0.02, 0.4), (0.5, 0.9), 0.9, (9, 16), (0, 0.02)),
    "wall": _Recipe(("plaster", "plaster", "cloth"), _ANY_HUE, (0, 0.3), (0.55, 0.95), 0.12, (0.6, 4)),
    "ceiling": _Recipe(("plaster", "plaster", "tiles"), (20, 60), (0, 0.08), (0.75, 0.97), 0.06, (1, 4)),
    "brick": _Recipe(("bricks",), (5, 40), (0.15, 0.6), (0.4, 0.75), 0.35, (1.2, 2.2)),
    "stone": _Recipe(("stones", "ground"), (20, 60), (0, 0.25), (0.4, 0.8), 0.3, (1, 3)),
    "roof": _Recipe(("shutter", "bricks", "ground"), (0, 40), (0.05, 0.5), (0.25, 0.55), 0.25, (1.5, 5)),
    "shutter": _Recipe(("shutter",), _ANY_HUE, (0, 0.3), (0.4, 0.85), 0.25, (0.8, 2), (0, 0.04)),
    "slats": _Recipe(("stripes",), (20, 60), (0.05, 0.5), (0.35, 0.9), 0.4, (0.4, 1.2)),
    "tiles": _Recipe(("tiles",), _ANY_HUE, (0, 0.3), (0.5, 0.9), 0.25, (0.4, 2), (0, 0.06)),
    "parquet": _Recipe(
        ("planks", "planks", "grain"), (18, 40), (0.25, 0.65), (0.4, 0.85), 0.25, (0.8, 2.5), (0, 0.06)
    ),
    "wood": _Recipe(("grain",), (15, 42), (0.2, 0.65), (0.3, 0.85), 0.3, (0.4, 1.5), (0, 0.04)),
    "carpet": _Recipe(("cloth", "ground"), _ANY_HUE, (0, 0.45), (0.15, 0.7), 0.25, (0.3, 1.5)),
    "fabric": _Recipe(
        ("cloth", "cloth", "stripes", "tiles"), _ANY_HUE, (0.05, 0.7), (0.2, 0.85), 0.25, (0.2, 0.8)
    ),
    "paint": _Recipe(("plaster",), _ANY_HUE, (0, 0.85), (0.08, 0.95), 0.06, (1, 3), (0.03, 0.08)),
    "car_paint": _Recipe(("plaster",), _ANY_HUE, (0, 0.5), (0.05, 0.95), 0.04, (2, 4), (0.04, 0.1)),
    "plastic": _Recipe(("plaster", "label"), _ANY_HUE, (0, 0.9), (0.15, 0.95), 0.4, (0.2, 0.6), (0.01, 0.06)),
    "package": _Recipe(("label",), _ANY_HUE, (0.05, 0.85), (0.3, 0.95), 0.7, (0.15, 0.35), (0, 0.04)),
    "cardboard": _Recipe(("plaster", "label"), (25, 38), (0.3, 0.5), (0.5, 0.8), 0.15, (0.3, 1)),
    "metal": _Recipe(("plaster",), (20, 230), (0, 0.08), (0.25, 0.8), 0.1, (0.5, 2), (0.05, 0.3)),
    "ceramic": _Recipe(
        ("plaster", "stripes"), _ANY_HUE, (0, 0.5), (0.5, 0.97), 0.15, (0.1, 0.4), (0.03, 0.06)
    ),
    "glass": _Recipe(("plaster",), (180, 240), (0.05, 0.4), (0.08, 0.3), 0.1, (1, 3), (0.06, 0.15)),
    "rubber": _Recipe(("cloth",), _ANY_HUE, (0, 0.1), (0.05, 0.2), 0.1, (0.5, 1)),
    "skin": _Recipe(("plaster",), (12, 28), (0.25, 0.6), (0.3, 0.9), 0.1, (0.5, 1)),
    "books": _Recipe(("books",), _ANY_HUE, (0.1, 0.6), (0.2, 0.9), 0.9, (0.5, 1)),
    "picture": _Recipe(("label", "plaster", "leaves"), _ANY_HUE, (0.05, 0.7), (0.2, 0.95), 0.8, (0.5, 1.2)),
    "fruit": _Recipe(("plaster",), (0, 120), (0.5, 0.95), (0.4, 0.9), 0.3, (0.1, 0.3), (0.01, 0.04)),
    "view": _Recipe(("leaves", "plaster", "windows"), (60, 230), (0.05, 0.4), (0.7, 0.97), 0.4, (1.5, 6)),
    "lamp": _Recipe(("plaster",), (30, 60), (0, 0.2), (0.9, 1), 0.02, (1, 2)),
}


def material(rng: np.random.Generator, name: str) -> Material:
    """Draw a material of the named stuff.

    Raises:
        KeyError: There is no recipe of that name.
    """
    recipe = _RECIPES[name]
    draws = rng.random(14).tolist()  # in one call: this runs hundreds of times a picture
    kinds = recipe.patterns
    pattern = pattern_bank().names[kinds[int(draws[0] * len(kinds))]]
    color_a = _color(recipe, draws[1:4])
    color_b = _color(recipe, draws[4:7]) if draws[7] < 0.15 else color_a
    # The two colours are as bright as each other but for the ratio, whatever was drawn.
    ratio = math.exp(recipe.contrast * rng.standard_normal()) * sum(color_a) / sum(color_b)
    color_b = (min(1.0, color_b[0] * ratio), min(1.0, color_b[1] * ratio), min(1.0, color_b[2] * ratio))
    if name == "facade":  # window panes mirror the sky or show a dark room
        color_b = _linear(180 + 50 * draws[8], 0.3 * draws[9], 0.15 + 0.45 * draws[10])
    shortest, longest = recipe.period_m
    return Material(
        pattern=pattern.start + int(draws[11] * len(pattern)),
        color_a=color_a,
        color_b=color_b,
        period_m=shortest * (longest / shortest) ** draws[12],
        gloss=_between(recipe.gloss, draws[13]),
        emission=_EMISSION.get(name, 0.0),
        is_opening=name == "view",
    )


def any_material(rng: np.random.Generator, *names: str) -> Material:
    """Draw a material of one of the named stuffs; a name may stand twice."""
    return material(rng, names[int(rng.integers(len(names)))])


_EMISSION = {"view": 1.6, "lamp": 2.5}


def _between(interval: Interval, share: float) -> float:
    return interval[0] + (interval[1] - interval[0]) * share


def _color(recipe: _Recipe, draws: list[float]) -> Color:
    hue, saturation, value = draws
    if recipe.hue_deg == _ANY_HUE and saturation < 0.5:
        hue = (15 + 80 * hue) / 360  # most things that may have any colour are beige, brown or gray
    return _linear(
        _between(recipe.hue_deg, hue), _between(recipe.saturation, saturation), _between(recipe.value, value)
    )


def _linear(hue_deg: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(hue_deg / 360, saturation, value)
    return red**2.2, green**2.2, blue**2.2
