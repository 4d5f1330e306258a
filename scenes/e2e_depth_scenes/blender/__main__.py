# SPDX-License-Identifier: GPL-3.0-or-later
# This folder imports bpy, which is GPL. It runs only as a process of its own: it imports nothing of the
# package around it, and nothing of that package imports it. Its pictures are not covered by the GPL.

"""Render scenes with exact depth and normals: `python blender --seed 1 --scenes 50 --output SPOOL`.

Runs in Blender's Python (`pip install bpy OpenEXR numpy`). Each scene becomes one `.npz` in the output
folder, named by its seed: image (V, H, W, 3) uint8 RGB; depth_m (V, H, W) float32, 0 = invalid; normals
(V, H, W, 3) float32 in the camera optical frame (x right, y down, z forward), towards the camera, 0 =
invalid; focal_px (V,); world_from_camera (V, 4, 4); kind; seed. A scene whose file exists is skipped.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

import additions
import bpy
import cameras
import corridors
import halls
import numpy as np
import passes
import rooms
import stairs
import streets
import tabletops
import yards
from furniture import Furniture
from lights import Skies, blender_surroundings
from numpy.typing import NDArray
from stage import Plan, Stage
from variety import CHOICES, Variety

BUILDERS: dict[str, Callable[[Stage], Plan]] = {
    "room": rooms.build,
    "tabletop": tabletops.build,
    "corridor": corridors.build,
    "street": streets.build,
    "yard": yards.build,
    "hall": halls.build,
    "stairs": stairs.build,
}
MIX = "room=0.34,tabletop=0.12,corridor=0.07,hall=0.07,stairs=0.03,street=0.29,yard=0.08"
Developer = Callable[[NDArray[np.float32]], NDArray[np.uint8]]
MEMORY = "/dev/shm"  # noqa: S108 - a private folder is made in it
OPTICAL_FROM_BLENDER = np.diag([1.0, -1.0, -1.0, 1.0])


def main() -> None:
    """Render the scenes of a range of seeds."""
    options = _options()
    log = _quiet_blender()
    options.output.mkdir(parents=True, exist_ok=True)
    scene = passes.set_up(options.size, options.samples, options.threads)
    camera = cameras.new_camera(scene)
    rng = random.Random(options.seed)
    furniture = Furniture(options.furniture, options.split, rng, options.models)
    if options.credits:
        print("\n".join(furniture.credits()), file=log, flush=True)
        return
    skies = Skies([*blender_surroundings(), *options.panoramas], options.split, rng)
    print(f"models {furniture.roles()} panoramas {[path.stem for path in skies.paths]}", file=log, flush=True)
    stage = Stage(rng, furniture, skies, Variety(rng, options.variety))
    kinds, weights = zip(*options.mix.items(), strict=True)
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        for seed in range(options.seed, options.seed + options.scenes):
            path = options.output / f"{seed:08d}.npz"
            if path.exists():
                continue
            # A scene depends on its seed alone, and on the shapes that the process's first seed made.
            rng.seed(seed)
            begin = time.process_time()
            stage.clear()
            kind = rng.choices(kinds, weights)[0]
            stage.paints.pale = kind in additions.INDOORS and stage.happens("pale")
            plan = additions.enrich(stage, kind, BUILDERS[kind](stage))
            bpy.context.view_layer.update()
            if options.step is None:
                views = cameras.choose(scene, plan.draw_view, plan.clearance, options.views)
            else:
                motion = (options.views, options.step, options.turn)
                views = cameras.choose_path(scene, plan.draw_view, plan.clearance, rng, motion)
            built = time.process_time() - begin
            if views:
                develop = _developers(stage, len(views), moving=options.step is not None)
                _render(scene, camera, views, develop, kind, seed, Path(folder, "frame.exr"), path)
            spent = time.process_time() - begin
            report = f"scene {seed} {kind} views {len(views)} build {built:.2f} s total {spent:.2f} s"
            print(report, file=log, flush=True)


def _render(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    views: list[cameras.View],
    develop: list[Developer],
    kind: str,
    seed: int,
    frame: Path,
    path: Path,
) -> None:
    """Render the views of one scene and write its file, whole or not at all.

    `develop` makes the image of each view.
    """
    pictures, poses, focals = [], [], []
    for view in views:
        cameras.place(camera, view)
        bpy.context.view_layer.update()
        pictures.append(passes.render_picture(scene, frame))
        poses.append(np.array(camera.matrix_world) @ OPTICAL_FROM_BLENDER)
        focals.append(passes.focal_px(scene))
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(
            file,
            image=np.stack([make(one.radiance) for one, make in zip(pictures, develop, strict=True)]),
            depth_m=np.stack([picture.depth_m for picture in pictures]),
            normals=np.stack([picture.normals for picture in pictures]),
            focal_px=np.array(focals),
            world_from_camera=np.stack(poses),
            kind=np.array(kind),
            seed=np.array(seed),
        )
    temporary.replace(path)


def _developers(stage: Stage, count: int, *, moving: bool) -> list[Developer]:
    """Draw how views become images: a camera that moves keeps its settings, views apart have their own."""
    if moving:
        light, burnt_out = stage.rng.random(), _burnt_out(stage)
        return [partial(passes.develop, rng=random.Random(light), burnt_out=burnt_out) for _ in range(count)]
    return [partial(passes.develop, rng=stage.rng, burnt_out=_burnt_out(stage)) for _ in range(count)]


def _burnt_out(stage: Stage) -> float:
    """The share of a picture that is to be white."""
    if stage.happens("overexposed"):
        return stage.rng.uniform(0.1, 0.45)
    # Metered as any other scene, a white room would be grey.
    return stage.rng.uniform(0, 0.1) if stage.paints.pale else 0.0


def _quiet_blender() -> TextIO:
    """Send what Blender itself prints (a line for each picture and more) nowhere; return the real output."""
    log = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return log


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="blender", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True, help="the first scene's seed")
    parser.add_argument("--scenes", type=int, default=50, help="how many scenes")
    parser.add_argument("--views", type=int, default=5, help="views of each scene")
    parser.add_argument("--step", type=float, help="let the camera move so far from view to view, metres")
    parser.add_argument("--turn", type=float, default=0.0, help="and turn so far, degrees")
    parser.add_argument("--size", type=_size, default=(144, 192), help="HEIGHTxWIDTH, pixels")
    parser.add_argument("--samples", type=int, default=4, help="light paths for each pixel")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--split", choices=("train", "validation"), default="train")
    parser.add_argument(
        "--mix", type=_mix, default=_mix(MIX), help="share of each kind, say room=0.7,street=0.3"
    )
    parser.add_argument(
        "--variety",
        type=_variety,
        default={},
        help=f"probability of each choice, say pale=0.3,near=0.2; of {', '.join(CHOICES)}",
    )
    parser.add_argument("--furniture", type=Path, nargs="*", default=[], help="catalogues (.sh3f)")
    parser.add_argument("--models", type=Path, help="folder that keeps imported models for later processes")
    parser.add_argument(
        "--panoramas", type=Path, nargs="*", default=[], help="further panoramas (.exr, .hdr)"
    )
    parser.add_argument("--credits", action="store_true", help="only print the models' authors and licences")
    parser.add_argument("--output", type=Path, required=True, help="folder for the scenes' files")
    return parser.parse_args(sys.argv[1:])


def _size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


def _variety(text: str) -> dict[str, float]:
    probabilities = _numbers(text)
    try:
        Variety(random.Random(), probabilities)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return probabilities


def _numbers(text: str) -> dict[str, float]:
    return {name: float(number) for name, number in (part.split("=") for part in text.split(","))}


def _mix(text: str) -> dict[str, float]:
    mix = _numbers(text)
    unknown = set(mix) - set(BUILDERS)
    if unknown:
        raise argparse.ArgumentTypeError(f"expected kinds of {', '.join(BUILDERS)}, got {', '.join(unknown)}")
    return mix


if __name__ == "__main__":
    main()
