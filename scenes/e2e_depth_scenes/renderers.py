"""Where rendered images come from: Blender processes, or a pool of ray casters.

The Blender generator is a program of its own (`blender/`, with its own licence) that runs in Blender's
Python; the rest of this package only starts it and reads the files that it leaves.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event

import numpy as np

from e2e_depth_ros.training.shards import Sample
from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.packing import Packer
from e2e_depth_scenes.recipe import PathRecipe, RenderRecipe

GENERATOR = Path(__file__).parent / "blender"
BLENDER_PYTHON_VARIABLE = "E2E_DEPTH_BLENDER_PYTHON"
INSTALL_BLENDER = (
    "make renderer, or python3.11 -m venv .venv-blender && "
    ".venv-blender/bin/pip install bpy==5.0.1 OpenEXR==3.5.3 'numpy<2', "
    f"then set {BLENDER_PYTHON_VARIABLE}=.venv-blender/bin/python"
)
SPOOL = "spool"
MODELS = "models"
LOG_FILE = "blender.log"
MAX_BARREN_STARTS = 3


def find_blender_python() -> Path:
    """Return the Python that has bpy.

    Raises:
        RenderError: The environment does not name one, or it is not there.
    """
    name = os.environ.get(BLENDER_PYTHON_VARIABLE)
    if name and Path(name).is_file():
        return Path(name)
    if importlib.util.find_spec("bpy"):
        return Path(sys.executable)
    found = f"{BLENDER_PYTHON_VARIABLE}={name}" if name else f"no {BLENDER_PYTHON_VARIABLE}"
    raise RenderError(f"expected a Python with Blender, got {found}; install: {INSTALL_BLENDER}")


def read_scene(path: Path) -> list[Sample]:
    """Read the views of one scene as the Blender generator leaves them.

    Raises:
        RenderError: The file is not such a scene.
    """
    try:
        with np.load(path, allow_pickle=False) as scene:
            return [
                Sample(
                    image=image,
                    depth_m=depth_m,
                    normals=normals,
                    focal_px=float(focal_px),
                    kind=str(scene["kind"]),
                    scene=int(scene["seed"]),
                    world_from_camera=pose,
                )
                for image, depth_m, normals, focal_px, pose in zip(
                    scene["image"],
                    scene["depth_m"],
                    scene["normals"],
                    scene["focal_px"],
                    scene["world_from_camera"],
                    strict=True,
                )
            ]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RenderError(f"expected a rendered scene, got {path}: {error}") from error


def blender_samples(
    recipe: RenderRecipe, output: Path, packer: Packer, blender_python: Path, stop: Event
) -> Generator[Sample]:
    """Yield what the renderers leave in the spool, until `stop`.

    The file of a scene goes when a shard holds it: what an interrupted run has rendered is not lost, but for
    views of the one scene that was being packed.
    """
    spool = output / SPOOL
    spool.mkdir(exist_ok=True)
    command = [*_blender_command(recipe, spool, blender_python), "--models", str(output / MODELS)]
    taken = [int(path.stem) for path in spool.glob("*.npz")]
    first = max([recipe.first_seed - 1, *packer.packed_scenes, *taken]) + 1
    renderers = _Renderers(command, first, recipe, output / LOG_FILE)
    read: list[Path] = []
    try:
        while not stop.is_set():
            renderers.keep_running(packer, scenes=len(read) + len(packer.packed_scenes))
            for path in sorted(set(spool.glob("*.npz")) - set(read)):
                shards = packer.shards
                if int(path.stem) not in packer.packed_scenes:
                    yield from read_scene(path)
                read.append(path)
                if packer.shards > shards:
                    _remove(read[:-1])  # the last one's views may still wait for the next shard
                    read = read[-1:]
            time.sleep(0.5)
    finally:
        renderers.stop()
        packer.flush()
        _remove([*read, *spool.glob("*.part")])


class _Renderers:
    """Blender processes; each is replaced when its scenes are done, or when it died."""

    def __init__(self, command: list[str], first_seed: int, recipe: RenderRecipe, log: Path) -> None:
        self._command = command
        self._next_seed = first_seed
        self._recipe = recipe
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []
        self._barren_starts = 0
        self._scenes = 0

    def keep_running(self, packer: Packer, scenes: int) -> None:
        """Replace processes that have ended; `scenes` were made so far.

        Raises:
            RenderError: Processes end again and again without a scene.
        """
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            if process.returncode:
                packer.dropped[f"renderer ended with {process.returncode}"] += 1
            self._barren_starts = 0 if scenes > self._scenes else self._barren_starts + 1
            self._scenes = scenes
        if self._barren_starts >= MAX_BARREN_STARTS:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = " | ".join(lines[-3:])
            raise RenderError(
                f"expected scenes from Blender, got none in {self._barren_starts} starts: {last}"
            )
        while len(self._running) < self._recipe.processes:
            command = ["nice", *self._command, "--seed", str(self._next_seed)]
            self._next_seed += self._recipe.scenes_per_process
            with self._log.open("ab") as log:
                # A session of its own: Ctrl-C reaches the parent alone, which then ends them in order.
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    start_new_session=True,
                )
            self._running.append(process)

    def stop(self) -> None:
        """End all processes; an unfinished scene leaves no file."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait()
        self._running.clear()


def _blender_command(recipe: RenderRecipe, spool: Path, blender_python: Path) -> list[str]:
    height, width = recipe.size
    command = [str(blender_python), str(GENERATOR), "--output", str(spool), "--size", f"{height}x{width}"]
    views = recipe.path.frames or recipe.views
    command += ["--split", recipe.split, "--views", str(views), "--samples", str(recipe.samples)]
    if recipe.path.frames:
        command += ["--step", str(recipe.path.step_m), "--turn", str(recipe.path.turn_deg)]
    command += ["--threads", "1", "--scenes", str(recipe.scenes_per_process)]
    command += ["--mix", _numbers(asdict(recipe.mix))]
    variety = {choice: probability for choice, probability in asdict(recipe.variety).items() if probability}
    command += ["--variety", _numbers(variety)] if variety else []
    for option, patterns in (("--furniture", recipe.furniture), ("--panoramas", recipe.panoramas)):
        paths = [path for pattern in patterns for path in _expand(pattern)]
        command += [option, *paths] if paths else []
    return command


def _numbers(shares: dict[str, float]) -> str:
    return ",".join(f"{name}={share}" for name, share in shares.items())


def _expand(pattern: str) -> list[str]:
    paths = sorted(glob.glob(str(Path(pattern).expanduser())))  # noqa: PTH207 - patterns may be absolute
    if not paths:
        raise RenderError(f"expected files for {pattern}, found none")
    return paths


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def ray_caster_samples(recipe: RenderRecipe, packer: Packer, stop: Event) -> Generator[Sample]:
    """Yield scenes of the ray caster, computed by a pool of processes, until `stop`."""
    seed = max([recipe.first_seed - 1, *packer.packed_scenes]) + 1
    # Ctrl-C reaches the whole pool: only this process may react.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(recipe.processes, initializer=signal.signal, initargs=ignore) as pool:
        waiting: dict[Future[list[Sample]], int] = {}
        try:
            while not stop.is_set():
                while len(waiting) < 4 * recipe.processes:
                    waiting[pool.submit(_cast, seed, recipe.size, recipe.path)] = seed
                    seed += 1
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=waiting.__getitem__):
                    del waiting[future]
                    yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _cast(seed: int, size: tuple[int, int], path: PathRecipe) -> list[Sample]:
    """Render a scene of this number: one view, or those along a path."""
    from e2e_depth_scenes.ray_caster import render_path, render_scene  # noqa: PLC0415 - only the pool

    rng = np.random.default_rng(seed)
    samples = render_path(rng, size, **asdict(path)) if path.frames else [render_scene(rng, size)]
    return [replace(sample, scene=seed) for sample in samples]
