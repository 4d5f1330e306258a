# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.


"""The catalogues of Sweet Home 3D (`.sh3f`): what models they hold, at which real sizes, by whom."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mathutils import Matrix

LICENCES = {
    "BlendSwap-CC-0": "CC0",
    "BlendSwap-CC-BY": "CC-BY 3.0",
    "KatorLegaz": "CC-BY 3.0",
    "Reallusion": "CC-BY 3.0",
    "Scopia": "CC-BY 3.0",
}


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
