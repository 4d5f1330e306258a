# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.
"""Cars, vans, pick-ups and buses from a few curved boxes; the catalogues hold too few of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import bpy
import meshes
from mathutils import Matrix
from stage import Stage, frame


@dataclass(frozen=True)
class Style:
    """The side view of a kind of vehicle; lengths along it are shares, from its tail (0) to its nose (1).

    Attributes:
        length_m: Range of its length.
        height_m: Range of its height.
        waist: Height of the lower edge of the windows, a share of the height.
        windows: Where the windows begin and end at the waist.
        roof: Where the roof begins and ends.
    """

    length_m: tuple[float, float]
    height_m: tuple[float, float]
    waist: float
    windows: tuple[float, float]
    roof: tuple[float, float]


STYLES = {
    "saloon": Style((4.2, 5.0), (1.36, 1.5), 0.63, (0.1, 0.72), (0.26, 0.54)),
    "hatchback": Style((3.5, 4.3), (1.42, 1.6), 0.62, (0.01, 0.76), (0.1, 0.56)),
    "estate": Style((4.4, 5.0), (1.42, 1.7), 0.6, (0.01, 0.73), (0.06, 0.55)),
    "suv": Style((4.3, 5.1), (1.65, 1.95), 0.6, (0.01, 0.74), (0.06, 0.58)),
    "pickup": Style((5.0, 5.9), (1.75, 2.0), 0.55, (0.36, 0.74), (0.4, 0.6)),
    "van": Style((4.6, 6.2), (1.9, 2.7), 0.55, (0.55, 0.95), (0.02, 0.82)),
    "bus": Style((8.0, 12.5), (2.8, 3.4), 0.4, (0.01, 0.995), (0.01, 0.985)),
}
USUAL = ["saloon", "saloon", "hatchback", "hatchback", "estate", "suv", "suv", "pickup", "van"]


class Garage:
    """Builds vehicles for one scene; they share glass, tyres and lamps."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._glass = stage.paints.pane()
        self._tyre, self._rim = stage.paints.make("rubber"), stage.paints.make("metal")
        lit = stage.chance(0.4)
        self._front = stage.paints.glow((1, 0.97, 0.9, 1), stage.rng.uniform(2, 12) if lit else 0.4)
        self._rear = stage.paints.glow((1, 0.03, 0.02, 1), stage.rng.uniform(0.5, 3) if lit else 0.15)

    def add(self, base: Matrix, style_name: str = "") -> float:
        """Place a vehicle lengthwise along y, either way round; returns its length, metres."""
        stage = self._stage
        if not style_name and stage.chance(0.45) and (picked := stage.furniture.pick("car")):
            width, depth, _ = picked[0].size_m
            turn = (0 if depth >= width else pi / 2) + stage.rng.choice([0, pi])
            stage.place_model(*picked, base @ frame(0, 0, turn=turn))
            return max(width, depth)
        return self._assemble(base, STYLES[style_name or stage.rng.choice(USUAL)])

    def _assemble(self, base: Matrix, style: Style) -> float:
        stage, rng = self._stage, self._stage.rng
        length, height = rng.uniform(*style.length_m), rng.uniform(*style.height_m)
        half = rng.uniform(0.83, 0.95) if height < 2.8 else rng.uniform(1.15, 1.27)
        waist, clear = style.waist * height, rng.uniform(0.16, 0.28)
        paint = stage.paints.make("car")
        narrow = half * rng.uniform(0.74, 0.84) if height < 1.9 else 0.93 * half

        def along(share: float) -> float:
            return (share - 0.5) * length

        def part(
            material: bpy.types.Material,
            low: tuple[float, float, float, float],
            high: tuple[float, float, float, float],
            round_m: float,
        ) -> None:
            """A slanted box: half width, tail, nose and height, below and above."""
            stage.put_once(meshes.slanted_box(low, high, round_m), material, base=base)

        nose = rng.uniform(0.86, 1.0)  # how steep the front is
        part(
            paint,
            (half, along(0.0), along(1.0), clear),
            (0.95 * half, along(0.015), along(nose), waist),
            0.09,
        )
        sill = tuple(along(share) for share in style.windows)
        roof = tuple(along(share) for share in style.roof)
        part(self._glass, (0.93 * half, *sill, waist - 0.02), (narrow, *roof, height - 0.05), 0.04)
        # Pillars and roof: the cabin again, cut off by the windows below.
        part(
            paint,
            (narrow + 0.02, roof[0] - 0.05, roof[1] + 0.05, height - 0.09),
            (narrow - 0.06, *roof, height),
            0.03,
        )
        if style is STYLES["van"] or (style is STYLES["bus"] and stage.chance(0.1)):
            part(
                paint,
                (0.95 * half, along(0.0), along(0.56), waist - 0.02),
                (narrow + 0.01, *(along(0.01), along(0.55)), height),
                0.05,
            )
        elif stage.chance(0.8) and height < 2.8:
            for share in (0.45, 0.62) if style is not STYLES["pickup"] else (0.5,):
                y = sill[0] + share * (sill[1] - sill[0])
                part(
                    paint,
                    (0.94 * half, y - 0.05, y + 0.05, waist - 0.02),
                    (narrow + 0.01, y - 0.04, y + 0.04, height - 0.05),
                    0.0,
                )
        if style is STYLES["pickup"]:
            bed = [((-0.8 * half, along(0.02), waist - 0.01), (0.8 * half, along(0.34), waist + 0.005))]
            stage.put_once(meshes.boxes(bed), self._tyre, base=base)
        radius = min(0.5, max(0.29, 0.19 * height))
        axles = (along(0.18), along(rng.uniform(0.79, 0.83)))
        stage.put_once(meshes.wheels(radius, half - 0.1, 0.115, axles), self._tyre, base=base)
        stage.put_once(meshes.wheels(0.6 * radius, half - 0.1, 0.125, axles, radius), self._rim, base=base)
        for material, y, z in (
            (self._front, along(1.0) - 0.06, 0.72 * waist),
            (self._rear, along(0.0) - 0.02, 0.78 * waist),
        ):
            lamps = [
                ((s * (half - 0.4), y, z - 0.07), (s * (half - 0.08), y + 0.08, z + 0.07)) for s in (-1, 1)
            ]
            stage.put_once(meshes.boxes(lamps), material, base=base)
        trim = [((-0.9 * half, along(0.0) - 0.03, clear), (0.9 * half, along(1.0) + 0.03, clear + 0.16))]
        trim += [
            ((s * half, along(0.66), waist), (s * (half + 0.18), along(0.66) + 0.1, waist + 0.13))
            for s in (-1, 1)
        ]
        stage.put_once(meshes.boxes(trim), self._tyre, base=base)
        plate = [
            ((-0.26, y - 0.01, 0.5 * waist), (0.26, y + 0.01, 0.5 * waist + 0.11))
            for y in (along(0) - 0.035, along(1) + 0.035)
        ]
        stage.put_once(meshes.boxes(plate), self._rim, base=base)
        return length
