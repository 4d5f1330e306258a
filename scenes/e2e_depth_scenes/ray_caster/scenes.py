"""What a scene is, and the choice among its kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from e2e_depth_scenes.ray_caster.solids import Array, Solid

Maker = Callable[[np.random.Generator, ArrayLike, float], list[Solid]]
"""Makes a thing that stands at a point (3,), metres, and faces a yaw, radians."""

_Choice = TypeVar("_Choice")


@dataclass(frozen=True, eq=False)
class Scene:
    """Solids, and where to look at them from. World frame: z up, metres.

    Attributes:
        kind: "street", "park", "room", "corridor", "tabletop" or "tote".
        solids: Everything there is.
        eye: (3,), the camera.
        target: (3,), what it looks at.
        lamps: (L, 3), lamps of a scene indoors; none outdoors, where the sun shines.
    """

    kind: str
    solids: list[Solid]
    eye: Array
    target: Array
    lamps: Array | None = None


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def point(x: float, y: float, z: float) -> Array:
    """Return a world point (3,)."""
    return np.array([x, y, z], np.float32)


def pick(rng: np.random.Generator, choices: Sequence[tuple[float, _Choice]]) -> _Choice:
    """Draw one of (weight, choice)."""
    rest = rng.random() * sum(weight for weight, _ in choices)
    for weight, choice in choices:
        rest -= weight
        if rest < 0:
            return choice
    return choices[-1][1]
