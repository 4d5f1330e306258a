# SPDX-License-Identifier: GPL-3.0-or-later
# Runs in Blender's Python, started by test_blender.py.
"""Render a floor and a ball through the generator's own passes.

Usage: blender_plane_and_sphere.py GENERATOR_FOLDER OUTPUT.npz
"""

import random
import sys

sys.path.insert(0, sys.argv[1])

from pathlib import Path

import bpy
import cameras
import meshes
import numpy as np
import passes

SIZE = (60, 100)


def add(mesh: bpy.types.Mesh, location: tuple[float, float, float], size: float) -> None:
    material = bpy.data.materials.new("bumpy")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    bump, noise = nodes.new("ShaderNodeBump"), nodes.new("ShaderNodeTexNoise")  # must not show in the normals
    links.new(noise.outputs[0], bump.inputs["Height"])
    links.new(bump.outputs[0], next(n for n in nodes if n.type == "BSDF_PRINCIPLED").inputs["Normal"])
    passes.write_normals(material)
    mesh.materials[0] = material
    thing = bpy.data.objects.new("thing", mesh)
    thing.location, thing.scale = location, (size, size, size)
    bpy.context.scene.collection.objects.link(thing)


scene = passes.set_up(SIZE, 4, 1)
camera = cameras.new_camera(scene)
scene.world = bpy.data.worlds.new("world")
add(meshes.box(0.0), (0, 0, -15), 30)
add(meshes.blob(random.Random(0), 8, 0.0, 1.0), (0.3, 2.0, 0.7), 1)
cameras.place(camera, cameras.View((-0.2, -0.5, 1.1), heading_deg=-9, pitch_deg=-14, roll_deg=7, fov_deg=68))
bpy.context.view_layer.update()
picture = passes.render_picture(scene, Path(sys.argv[2]).with_suffix(".exr"))
np.savez(
    sys.argv[2],
    depth_m=picture.depth_m,
    normals=picture.normals,
    focal_px=passes.focal_px(scene),
    world_from_camera=np.array(camera.matrix_world) @ np.diag([1.0, -1.0, -1.0, 1.0]),
)
