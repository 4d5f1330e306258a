# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""What is added to a scene once it is built, before its cameras; see `variety` for when."""

from __future__ import annotations

from math import pi

import objects
from cameras import View
from closeups import move_close, tilt_down
from mathutils import Matrix
from people import group
from seating import furniture_before
from slender import slender_thing
from spots import spot_before
from stage import Plan, Stage
from vehicles import Garage

INDOORS = {"room", "tabletop", "corridor", "hall", "stairs"}
SPACIOUS = {"room", "hall"}
OUTDOORS = {"street", "yard"}


def enrich(stage: Stage, kind: str, plan: Plan) -> Plan:
    """Add people and things before cameras of the kind that the plan draws.

    Args:
        stage: With a scene that is built.
        kind: Of scene.
        plan: Of the scene.

    Returns:
        The plan, its cameras varied.
    """
    scene = _Scene(stage, plan)
    if kind in SPACIOUS and stage.happens("seating"):
        _seating(scene)
    if kind in OUTDOORS and stage.happens("parked"):
        _parked(scene)
    if stage.happens("people"):
        _people(scene, far_m=12 if kind in OUTDOORS else 6)
    if kind != "tabletop" and stage.happens("thin"):
        _thin(scene, far_m=12 if kind in OUTDOORS else 5)
    return Plan(scene.draw_view, plan.clearance)


class _Scene:
    """A scene that is built, and the cameras that something was put before."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.stage = stage
        self._plan = plan
        self._served: list[View] = []

    def spot(
        self, reach_m: tuple[float, float], room_m: tuple[float, float], turn: float | None = None
    ) -> Matrix | None:
        """Draw a camera and find free ground before it, as `spot_before` does."""
        view = self._plan.draw_view()
        place = spot_before(self.stage, view, reach_m, room_m, turn=turn)
        if place is not None:
            self._served.append(view)
        return place

    def draw_view(self) -> View:
        """Draw a camera: often one that something was put before, and sometimes moved close or tilted."""
        stage = self.stage
        if self._served and stage.chance(0.6):
            view = self._served.pop(stage.rng.randrange(len(self._served)))
        else:
            view = self._plan.draw_view()
        if stage.happens("near"):
            view = move_close(stage, view)
        return tilt_down(stage, view) if stage.happens("tilted") else view


def _seating(scene: _Scene) -> None:
    stage = scene.stage
    paints = objects.palette(stage, 4)
    for _ in range(stage.rng.randint(1, 4)):
        room_m = stage.rng.choice([0.45, 0.6, 1.0, 1.2])
        place = scene.spot((0.6 + room_m, 2.5 + room_m), (room_m, min(room_m, 0.6)))
        if place is not None:
            furniture_before(stage, paints, place, room_m)


def _parked(scene: _Scene) -> None:
    rng, garage = scene.stage.rng, Garage(scene.stage)
    for _ in range(rng.randint(1, 4)):
        turn = rng.choice([0, 0, pi, pi, pi / 2]) + rng.gauss(0, 0.08)
        place = scene.spot((3.2, 15), (1.2, 2.9), turn)
        if place is not None:
            garage.add(place)


def _people(scene: _Scene, far_m: float) -> None:
    for _ in range(scene.stage.rng.randint(1, 4)):
        place = scene.spot((1.0, far_m), (0.3, 0.3))
        if place is not None:
            group(scene.stage, place)


def _thin(scene: _Scene, far_m: float) -> None:
    paints = objects.palette(scene.stage, 4)
    for _ in range(scene.stage.rng.randint(2, 7)):
        place = scene.spot((0.6, far_m), (0.3, 0.3))
        if place is not None:
            slender_thing(scene.stage, paints, place)
