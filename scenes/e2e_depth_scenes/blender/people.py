# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""People of limbs and joints, in any pose, size and clothes; the catalogues hold a dozen."""

from __future__ import annotations

import math
from itertools import pairwise

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector
from stage import Stage, frame

Limb = tuple[Vector, float]  # a joint, and the radius there


def person(stage: Stage, base: Matrix) -> None:
    """A person who stands or walks in the frame `base`, facing +y."""
    rng = stage.rng
    if stage.chance(0.35) and stage.model("person", base):
        return
    # Lengths are shares of the height, about as those of an adult.
    tall = rng.uniform(1.5, 1.95) if stage.chance(0.85) else rng.uniform(0.95, 1.4)
    girth = rng.uniform(0.85, 1.3)
    coat, trousers = (stage.paints.make(rng.choice(["fabric", "fabric", "thing"])) for _ in range(2))
    skin, hair, shoe = (stage.paints.make(role) for role in ("skin", "hair", "rubber"))
    stride = rng.uniform(0.1, 0.5) if stage.chance(0.5) else rng.uniform(0, 0.06)
    legs = [_leg(side, side * stride, rng.uniform(0, 0.1) + (stride if side < 0 else 0)) for side in (-1, 1)]
    sole = min(leg[2].z for leg in legs) - 0.045
    body = base @ Matrix.Scale(tall, 4) @ Matrix.Translation((0, 0, -sole))
    skirt = stage.chance(0.15)
    thick = 0.85 + 0.15 * girth

    def part(material: bpy.types.Material, chains: list[list[Limb]], flat: float = 1.0) -> None:
        stage.put_once(_limbs(chains, flat), material, base=body)

    part(
        skin if skirt else trousers,
        [[(hip, 0.052 * thick), (knee, 0.038 * thick), (ankle, 0.026 * thick)] for hip, knee, ankle in legs],
    )
    if skirt:
        part(trousers, [[(Vector((0, 0, 0.6)), 0.085 * girth), (Vector((0, 0, 0.32)), 0.14)]], 0.85)
    part(
        shoe,
        [
            [(ankle - Vector((0, 0, 0.02)), 0.025), (ankle + Vector((0, 0.085, -0.025)), 0.02)]
            for *_, ankle in legs
        ],
    )
    trunk = [(0.5, 0.088), (0.6, 0.08), (0.74, 0.1), (0.8, 0.08)]
    part(coat, [[(Vector((0, 0, z)), radius * girth) for z, radius in trunk]], 0.68)
    arms = [_arm(stage, side, -side * stride) for side in (-1, 1)]
    part(coat, [[(arm[0], 0.034 * thick), (arm[1], 0.027 * thick), (arm[2], 0.022)] for arm in arms])
    hands = [[(arm[2], 0.02), (arm[2] + 0.05 * (arm[2] - arm[1]).normalized(), 0.022)] for arm in arms]
    nod = Vector((rng.gauss(0, 0.008), rng.uniform(0, 0.02), 0))
    head = Vector((0, 0, 0.93)) + nod
    neck: list[Limb] = [(Vector((0, 0, 0.8)), 0.032), (Vector((0, 0, 0.88)) + nod, 0.03)]
    face: list[Limb] = [(head - Vector((0, -0.01, 0.03)), 0.042), (head + Vector((0, 0, 0.015)), 0.052)]
    part(skin, [neck, face, *hands])
    if stage.chance(0.85):
        back = Vector((0, -0.016, 0))
        long = rng.choice([0.0, 0.0, 0.05, 0.14])
        part(
            hair,
            [
                [
                    (head + back + Vector((0, 0, 0.022)), 0.056),
                    (head + 1.6 * back - Vector((0, 0, long)), 0.045),
                ]
            ],
        )
    _carry(stage, body, arms[0][2])


def _leg(side: int, swing: float, bend: float) -> tuple[Vector, Vector, Vector]:
    """Hip, knee and ankle of a leg that swings forward, radians, its knee bent backwards."""
    hip = Vector((0.05 * side, 0, 0.52))
    knee = hip + 0.245 * Vector((0, math.sin(swing), -math.cos(swing)))
    return hip, knee, knee + 0.235 * Vector((0, math.sin(swing - bend), -math.cos(swing - bend)))


def _arm(stage: Stage, side: int, swing: float) -> tuple[Vector, Vector, Vector]:
    """Shoulder, elbow and wrist: hanging, on the hip, or reaching out."""
    rng = stage.rng
    shoulder = Vector((0.115 * side, 0, 0.79))
    pose = rng.choice(["hang", "hang", "hang", "bent", "reach", "hip"])
    lift, out, bend = {
        "hang": (0.7 * swing, rng.uniform(0.05, 0.2), rng.uniform(0.05, 0.4)),
        "bent": (rng.uniform(-0.1, 0.4), rng.uniform(0.05, 0.25), rng.uniform(1.0, 2.0)),
        "reach": (rng.uniform(0.7, 1.7), rng.uniform(0, 0.5), rng.uniform(0, 0.5)),
        "hip": (-0.2, 0.7, 0.3),
    }[pose]
    elbow = shoulder + 0.17 * _direction(side, lift, out)
    fore = _direction(-side, 0.3, 0.8) if pose == "hip" else _direction(side, lift + bend, 0.3 * out)
    return shoulder, elbow, elbow + 0.155 * fore


def _direction(side: int, lift: float, out: float) -> Vector:
    """Down, lifted forwards and outwards by these angles, radians."""
    return Vector((side * math.sin(out), math.cos(out) * math.sin(lift), -math.cos(out) * math.cos(lift)))


def _carry(stage: Stage, body: Matrix, wrist: Vector) -> None:
    """Now and then a bag in the hand or a pack on the back."""
    rng = stage.rng
    draw = rng.random()
    if draw < 0.15:
        low, high = Vector((-0.09, -0.2, 0.58)), Vector((0.09, -0.07, 0.8))
        stage.box(stage.paints.make("fabric"), tuple(low), tuple(high), base=body, shape="cushion")
    elif draw < 0.3:
        size = (rng.uniform(0.04, 0.08), rng.uniform(0.14, 0.24), rng.uniform(0.12, 0.22))
        place = (wrist.x, wrist.y, wrist.z - size[2] / 2 - 0.05)
        stage.shape("block", stage.paints.make("thing"), place, size, base=body)


def _limbs(chains: list[list[Limb]], flat: float) -> bpy.types.Mesh:
    """A mesh of tapered tubes along chains of joints, with a ball at each; `flat` scales it along y."""
    shape = bmesh.new()
    for chain in chains:
        for place, radius in chain:
            bmesh.ops.create_uvsphere(
                shape, u_segments=12, v_segments=8, radius=radius, matrix=Matrix.Translation(place)
            )
        for (start, radius0), (end, radius1) in pairwise(chain):
            along = end - start
            pose = Matrix.Translation((start + end) / 2) @ along.to_track_quat("Z", "Y").to_matrix().to_4x4()
            bmesh.ops.create_cone(
                shape, segments=12, radius1=radius0, radius2=radius1, depth=along.length, matrix=pose
            )
    bmesh.ops.scale(shape, vec=(1, flat, 1), verts=list(shape.verts))
    mesh = bpy.data.meshes.new("limbs")
    shape.to_mesh(mesh)
    shape.free()
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
    mesh.materials.append(None)
    return mesh


def group(stage: Stage, base: Matrix) -> None:
    """A person, sometimes with a second one beside."""
    person(stage, base)
    if stage.chance(0.2):
        person(
            stage,
            base @ frame(stage.rng.uniform(0.5, 0.9), stage.rng.gauss(0, 0.3), turn=stage.rng.gauss(0, 0.8)),
        )
