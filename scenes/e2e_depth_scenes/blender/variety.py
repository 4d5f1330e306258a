# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""What scenes may have besides their usual contents, each by its name and its probability."""

from __future__ import annotations

import random
from collections.abc import Mapping

CHOICES = {
    "pale": "an indoor scene is white and has no window: walls, tables, paper, light from lamps alone",
    "counter": "a tabletop is a kitchen counter or a workbench along a wall",
    "from_above": "a view of a tabletop looks nearly straight down on it",
    "seating": "sofas, chairs and tables stand 1 to 3 m before a camera indoors",
    "people": "people stand or walk before a camera",
    "thin": "posts, stands, railings and stools stand before a camera",
    "parked": "cars stand 3 to 15 m before a camera outdoors",
    "near": "a camera stands close to a thing of the scene",
    "tilted": "a camera looks 0 to 45 degrees down",
    "overexposed": "a tenth to nearly half of a picture is burnt out",
}


class Variety:
    """Draws whether a choice happens.

    A choice that is off draws nothing: scenes of a seed stay what they were before the choice existed.

    Args:
        rng: The scene's random source.
        probabilities: Of each choice, 0 where it is not named.

    Raises:
        ValueError: There is no such choice, or a probability is not in 0..1.
    """

    def __init__(self, rng: random.Random, probabilities: Mapping[str, float]) -> None:
        unknown = set(probabilities) - set(CHOICES)
        if unknown:
            raise ValueError(f"expected choices of {', '.join(CHOICES)}, got {', '.join(sorted(unknown))}")
        for name, probability in probabilities.items():
            if not 0 <= probability <= 1:
                raise ValueError(f"{name}: expected a probability in 0..1, got {probability}")
        self._rng = rng
        self._probabilities = dict(probabilities)

    def happens(self, name: str) -> bool:
        """True with the probability of this choice.

        Raises:
            KeyError: There is no such choice.
        """
        CHOICES[name]
        probability = self._probabilities.get(name, 0.0)
        return probability > 0 and self._rng.random() < probability
