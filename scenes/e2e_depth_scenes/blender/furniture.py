# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.


"""Furniture, people, vehicles and trees: which models can serve as what."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from catalogues import Model, read_catalogue
from importing import Importer
from split import belongs

MAX_OBJ_BYTES = 6_000_000  # beyond that a model costs more time to read than it is worth


def _named(pattern: str) -> Callable[[Model], bool]:
    words = re.compile(pattern, re.IGNORECASE)
    return lambda model: bool(words.search(model.name))


def _stands(model: Model) -> bool:
    return model.elevation_m < 0.15


SEAT = _named(r"chair|stool|\bseat|puff")
SOFA = _named(r"sofa|couch|futon|settee|day bed")
TABLE = _named(r"table(?!t|.*(tennis|football|pool|bedside))|desk(?! lamp)|workbench")
STORAGE = _named(
    r"bookcase|shelves|wardrobe|cupboard|cabinet|dresser|fridge|refrigerator|drawers|chest|safe|locker|stand$|"
    r"oven|washing|dryer|stove|cooker|piano|fireplace|box$|rack|cooler|crate|container"
)
PLANT = _named(r"plant|ficus|bamboo|flower|yucca|cactus|orchid|tulip|lily|bonsai|christmas tree|spathi")
TREE = _named(r"acacia|ficus|bamboo|pine|coconut|beech|cypress|maple|poplar|palm|peach|snow$|bush|hedge")
STREET = _named(
    r"bench|bank|trash|hydrant|mailbox|letters box|lamppost|street l|park light|cone|railing|fence|barrel|"
    r"pallet|bin\b|crate|container|rock|lantern|flower box|plant box|concrete|wheelbarrow|swing|umbrella|box$"
)
PERSON = _named(r"male|female|boy|girl|mannequin")
POSED = _named(r"sitting|lying")
HOME = {"Living room", "Bedroom", "Kitchen", "Bathroom", "Office", "Miscellaneous", "Lights"}

# What a model can be used as. One model can serve in several roles.
ROLES: dict[str, Callable[[Model], bool]] = {
    "seat": lambda m: SEAT(m) and m.category != "Exterior" and 0.3 < m.size_m[2] < 1.4,
    "sofa": lambda m: SOFA(m) and m.size_m[0] > 1,
    "table": lambda m: TABLE(m) and m.category in HOME and 0.35 < m.size_m[2] < 1.2 and m.length_m > 0.5,
    "bed": lambda m: "bed" in m.name.lower() and m.category == "Bedroom" and m.length_m > 1.5,
    "storage": lambda m: STORAGE(m) and m.category in HOME and _stands(m) and 0.4 < m.length_m < 3.2,
    "kitchen": lambda m: m.category == "Kitchen" and _stands(m) and m.size_m[2] > 0.7 and m.size_m[0] > 0.4,
    "bathroom": lambda m: m.category == "Bathroom" and _stands(m) and m.length_m > 0.5,
    "plant": lambda m: PLANT(m) and _stands(m) and m.size_m[2] < 2.2 and m.category != "Exterior",
    "lamp": lambda m: m.category == "Lights" and _stands(m) and 0.35 < m.size_m[2] < 1.8,
    "floor": lambda m: m.category in HOME and _stands(m) and 0.35 < m.length_m < 2.6,
    "small": lambda m: m.category in HOME and _stands(m) and 0.07 < m.length_m < 0.45 and m.size_m[2] > 0.02,
    "wall": lambda m: 0.8 < m.elevation_m < 2.2 and m.category in HOME and m.length_m > 0.2,
    "person": lambda m: PERSON(m) and m.category == "Characters" and not POSED(m) and m.size_m[2] > 1.4,
    "posed": lambda m: PERSON(m) and m.category == "Characters" and POSED(m),
    "animal": lambda m: m.category == "Characters" and not PERSON(m),
    "car": lambda m: m.category == "Vehicles" and 2.4 < m.length_m < 6.5 and m.size_m[2] < 3.6,
    "truck": lambda m: m.category == "Vehicles" and m.length_m >= 6.5,
    "cycle": lambda m: (
        m.category in ("Vehicles", "Exterior") and bool(_named(r"bike|cycle|scooter|yamaha")(m))
    ),
    "tree": lambda m: TREE(m) and m.category == "Exterior" and m.size_m[2] > 2.4,
    "bush": lambda m: TREE(m) and m.category == "Exterior" and m.size_m[2] <= 2.4,
    "street": lambda m: STREET(m) and m.category in ("Exterior", "Lights", "Miscellaneous") and _stands(m),
    "garden": lambda m: (
        m.category == "Exterior" and _stands(m) and 0.3 < m.length_m < 4 and m.size_m[2] > 0.2
    ),
}


class Furniture:
    """The models of one split, imported when they are first asked for."""

    def __init__(self, catalogues: list[Path], split: str, rng: random.Random, keep: Path | None) -> None:
        self._rng = rng
        self._importer = Importer(keep)
        self._meshes: dict[str, bpy.types.Mesh | None] = {}
        models = [model for path in catalogues for model in read_catalogue(path)]
        self.models = [
            m for m in models if belongs(f"model {m.identifier}", split) and m.bytes <= MAX_OBJ_BYTES
        ]
        self._roles = {role: [m for m in self.models if fits(m)] for role, fits in ROLES.items()}

    def roles(self) -> dict[str, int]:
        """How many models there are for each role."""
        return {role: len(models) for role, models in self._roles.items()}

    def credits(self) -> list[str]:
        """One line for each author: licence, catalogue, author and number of models, as the licences ask."""
        found = Counter((model.licence, model.catalogue.stem, model.creator) for model in self.models)
        return [" | ".join([*key, f"{count} models"]) for key, count in sorted(found.items())]

    def pick(self, role: str, max_length_m: float = 50.0) -> tuple[Model, bpy.types.Mesh] | None:
        """Pick a model for a role.

        Returns:
            The model and its mesh, standing on z = 0, centred, front towards +y; None where there is none.

        Raises:
            KeyError: There is no such role.
        """
        candidates = [model for model in self._roles[role] if model.length_m <= max_length_m]
        if not candidates:
            return None
        model = self._rng.choice(candidates)
        if model.identifier not in self._meshes:
            self._meshes[model.identifier] = self._importer.mesh_of(model)
        mesh = self._meshes[model.identifier]
        if mesh is None:
            return None
        return model, mesh


def largest_plain_slot(mesh: bpy.types.Mesh) -> int | None:
    """The slot of the largest part without a texture: a car's body, which may be painted anew."""
    indices, areas = np.zeros(len(mesh.polygons), dtype=np.int32), np.zeros(len(mesh.polygons))
    mesh.polygons.foreach_get("material_index", indices)
    mesh.polygons.foreach_get("area", areas)
    totals = np.bincount(indices, areas, minlength=len(mesh.materials))
    slot = int(np.argmax(totals))
    material = mesh.materials[slot]
    if material is None or any(node.type == "TEX_IMAGE" for node in material.node_tree.nodes):
        return None
    return slot
