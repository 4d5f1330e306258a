# SPDX-License-Identifier: GPL-2.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Furniture, people, vehicles and trees: the catalogues of Sweet Home 3D (`.sh3f`), at their real sizes."""

from __future__ import annotations

import random
import re
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import bpy
import numpy as np
from mathutils import Matrix
from passes import write_normals
from split import belongs

LICENCES = {
    "BlendSwap-CC-0": "CC0",
    "BlendSwap-CC-BY": "CC-BY 3.0",
    "KatorLegaz": "CC-BY 3.0",
    "Reallusion": "CC-BY 3.0",
    "Scopia": "CC-BY 3.0",
}
MAX_OBJ_BYTES = 6_000_000  # beyond that a model costs more time to read than it is worth


@dataclass(frozen=True)
class Model:
    """One entry of a catalogue.

    Attributes:
        identifier: Unique over all catalogues.
        name: What it is, in English.
        category: The catalogue's category, say "Living room".
        catalogue: Path of the `.sh3f` file.
        creator: Its author.
        size_m: Width, depth, height. Once imported it spans these along x, y, z, its front towards +y.
        elevation_m: Height of its foot above the floor, for things that hang.
        top_m: Height on which other things can stand.
        member: Path of its `.obj` inside the catalogue.
        rotation: (3, 3) in the axes of the `.obj` file, applied before the size.
        bytes: Size of the `.obj`.
    """

    identifier: str
    name: str
    category: str
    catalogue: Path
    creator: str
    size_m: tuple[float, float, float]
    elevation_m: float
    top_m: float
    member: str
    rotation: Matrix | None
    bytes: int

    @property
    def licence(self) -> str:
        """The licence of the catalogue it came from."""
        return LICENCES.get(self.catalogue.stem, "see the catalogue")

    @property
    def length_m(self) -> float:
        """The longest side."""
        return max(self.size_m)


def read_catalogue(path: Path) -> list[Model]:
    """Read the entries of one `.sh3f` file; doors, windows and stairs are left out."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
        entries[int(number)][key] = value.strip()
    models = []
    for entry in entries.values():
        member = entry["model"].lstrip("/")
        if entry.get("doorOrWindow") == "true" or entry["category"] == "Staircases" or member not in sizes:
            continue
        width, depth, height = (float(entry[side]) / 100 for side in ("width", "depth", "height"))
        numbers = [float(number) for number in entry.get("modelRotation", "").split()]
        models.append(
            Model(
                identifier=entry.get("id", entry["model"]),
                name=entry["name"].encode("latin-1").decode("unicode_escape"),
                category=entry["category"],
                catalogue=path,
                creator=entry.get("creator", "unknown"),
                size_m=(width, depth, max(height, 0.001)),
                elevation_m=float(entry.get("elevation", 0)) / 100,
                top_m=float(entry.get("dropOnTopElevation", height * 100)) / 100,
                member=member,
                rotation=Matrix([numbers[0:3], numbers[3:6], numbers[6:9]]) if numbers else None,
                bytes=sizes[member],
            )
        )
    return models


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

    def __init__(self, catalogues: list[Path], split: str, rng: random.Random) -> None:
        self._rng = rng
        self._folder = tempfile.TemporaryDirectory(prefix="furniture-")
        self._archives = {path: zipfile.ZipFile(path) for path in catalogues}
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
            self._meshes[model.identifier] = self._import(model)
        mesh = self._meshes[model.identifier]
        if mesh is None:
            return None
        return model, mesh

    def _import(self, model: Model) -> bpy.types.Mesh | None:
        folder = str(PurePosixPath(model.member).parent)
        archive = self._archives[model.catalogue]
        members = [name for name in archive.namelist() if name.startswith(f"{folder}/") and name[-1] != "/"]
        archive.extractall(self._folder.name, members)
        before = set(bpy.data.objects)
        path = Path(self._folder.name, model.member)
        bpy.ops.wm.obj_import(filepath=str(path), forward_axis="NEGATIVE_Z", up_axis="Y")
        parts = [part for part in bpy.data.objects if part not in before]
        meshes = [part for part in parts if part.type == "MESH"]
        if not meshes:
            return None
        with bpy.context.temp_override(active_object=meshes[0], selected_editable_objects=meshes):
            if len(meshes) > 1:
                bpy.ops.object.join()
        joined = meshes[0]
        mesh = joined.data
        mesh.transform(joined.matrix_world)
        bpy.data.objects.remove(joined)
        if len(mesh.vertices) == 0 or not any(mesh.materials):
            return None
        _fit(mesh, model)
        for material in mesh.materials:
            if material is not None and not material.get("catalogue"):
                material["catalogue"] = True
                _drop_missing_images(material)
                write_normals(material)
        return mesh


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


def _drop_missing_images(material: bpy.types.Material) -> None:
    """Leave the plain colour where a catalogue names a texture that it does not hold (drawn as magenta)."""
    nodes = material.node_tree.nodes
    for node in [node for node in nodes if node.type == "TEX_IMAGE"]:
        if node.image is None or node.image.size[0] == 0:
            nodes.remove(node)


def _fit(mesh: bpy.types.Mesh, model: Model) -> None:
    """Turn and scale a mesh to the catalogue's size, standing on z = 0 with its front towards +y."""
    if model.rotation is not None:
        # The importer turned the file's y up axis into z: (x, y, z) -> (x, -z, y).
        blender_from_file = Matrix(((1, 0, 0), (0, 0, -1), (0, 1, 0)))
        mesh.transform((blender_from_file @ model.rotation @ blender_from_file.inverted()).to_4x4())
    points = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / np.maximum(high - low, 1e-6)
    points[:, 2] += 0.5
    points *= np.array(model.size_m, dtype=np.float32)
    points[:, :2] *= -1  # catalogues face -y; half a turn
    mesh.vertices.foreach_set("co", points.ravel())
    mesh.update()
