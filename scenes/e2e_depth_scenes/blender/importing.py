# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.


"""From a catalogue's `.obj` to a mesh that is cheap to render, kept as a file for the processes to come."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import bpy
import numpy as np
from catalogues import Model
from mathutils import Matrix
from passes import write_normals

TEXTURE_PX = 256  # pictures are smaller than that
MAX_FACES = 12_000


class Importer:
    """Imports models; to read a kept one again takes milliseconds instead of most of a second.

    Args:
        keep: Folder for the imported models, shared by processes; None keeps nothing.
    """

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep
        self._folder = tempfile.TemporaryDirectory(prefix="furniture-")
        self._archives: dict[Path, zipfile.ZipFile] = {}
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)

    def mesh_of(self, model: Model) -> bpy.types.Mesh | None:
        """The mesh of a model, standing on z = 0, centred, front towards +y; None where it is unusable."""
        if self._keep is None:
            return self._import(model)
        name = f"{model.identifier} {model.size_m} {TEXTURE_PX} {MAX_FACES}"
        kept = self._keep / f"{hashlib.sha256(name.encode()).hexdigest()[:20]}.blend"
        if kept.exists():
            if kept.stat().st_size == 0:  # an unusable model
                return None
            with bpy.data.libraries.load(str(kept)) as (found, wanted):
                wanted.meshes = found.meshes[:1]
            return wanted.meshes[0]
        mesh = self._import(model)
        temporary = kept.with_suffix(f".{os.getpid()}.part")
        if mesh is None:
            temporary.touch()
        else:
            bpy.data.libraries.write(str(temporary), {mesh})
        temporary.replace(kept)
        return mesh

    def _import(self, model: Model) -> bpy.types.Mesh | None:
        self._extract(model)
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
        mesh = _thinned(meshes[0])
        mesh.transform(meshes[0].matrix_world)
        bpy.data.objects.remove(meshes[0])
        if len(mesh.vertices) == 0 or not any(mesh.materials):
            return None
        _fit(mesh, model)
        for material in mesh.materials:
            if material is not None and not material.get("catalogue"):
                material["catalogue"] = True
                _shrink_images(material)
                write_normals(material)
        return mesh

    def _extract(self, model: Model) -> None:
        archive = self._archives.setdefault(model.catalogue, zipfile.ZipFile(model.catalogue))
        folder = str(PurePosixPath(model.member).parent)
        members = [name for name in archive.namelist() if name.startswith(f"{folder}/") and name[-1] != "/"]
        archive.extractall(self._folder.name, members)


def _thinned(thing: bpy.types.Object) -> bpy.types.Mesh:
    """The mesh of an object, with no more faces than small pictures can show."""
    mesh = thing.data
    if len(mesh.polygons) <= MAX_FACES:
        return mesh
    thing.modifiers.new("thin", "DECIMATE").ratio = MAX_FACES / len(mesh.polygons)
    graph = bpy.context.evaluated_depsgraph_get()
    return bpy.data.meshes.new_from_object(thing.evaluated_get(graph), depsgraph=graph)


def _shrink_images(material: bpy.types.Material) -> None:
    """Make textures small and part of the material; where a catalogue lacks one, leave the plain colour."""
    nodes = material.node_tree.nodes
    for node in [node for node in nodes if node.type == "TEX_IMAGE"]:
        image = node.image
        if image is None or image.size[0] == 0:
            nodes.remove(node)
            continue
        if max(image.size) > TEXTURE_PX:
            image.scale(*(max(1, round(side * TEXTURE_PX / max(image.size))) for side in image.size))
        if image.packed_file is None:
            image.pack()


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
