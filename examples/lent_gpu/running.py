"""`lent.py train`: on the lent machine, from the pieces to what comes back."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from layout import PACKAGE, RECIPE, SITE, TRAIN_SHARDS, WHEELS, LentError, files_below, in_one_line, say
from pieces import MB, Arrivals, write_pieces

if TYPE_CHECKING:
    from e2e_depth_ros.training.loop import TrainingResult
    from e2e_depth_ros.training.recipe import Recipe

BACK_MB = 16.0
RUN = "run"
COMES_BACK = (RECIPE, "log.jsonl", "curves.png", "samples.png")


def train(
    folder: Path, minutes: float, pieces: Path, back: Path, device: str | None, call_minutes: float
) -> None:
    """Take what pieces there are, train, and leave at every checkpoint what is to come back.

    Args:
        folder: Where all comes to lie, and the state stays; a training in it goes on.
        minutes: Of training, over all calls.
        pieces: Folder where pieces lie, or arrive meanwhile.
        back: Folder for what comes back.
        device: Instead of the recipe's.
        call_minutes: Save and end this call after so long, set-up included; 0 does not.

    Raises:
        LentError: Something is missing: nothing was trained then.
    """
    began = time.monotonic()
    with _lock(folder):
        arrivals = Arrivals(pieces, folder)
        for trouble in arrivals.take():
            say(trouble)
        _check_ready(folder, arrivals.missing(), pieces)
        _unpack_wheels(folder)
        os.chdir(folder)  # where the recipe's paths begin
        sys.path[:0] = [str(folder / PACKAGE), str(folder / SITE)]
        recipe = _recipe_for_now(folder, minutes, device)
        if call_minutes:
            left = call_minutes - (time.monotonic() - began) / 60
            recipe = replace(recipe, run=replace(recipe.run, max_minutes=max(left, 1e-3)))

        from e2e_depth_ros.training import loop  # noqa: PLC0415

        output = Path(RUN)
        ended = threading.Event()
        watcher = threading.Thread(
            target=_watch, args=(arrivals, recipe.data.watch_seconds, ended), daemon=True
        )
        watcher.start()
        try:
            with in_one_line():
                result = loop.train(
                    recipe,
                    output,
                    resume=(output / loop.STATE).exists(),
                    after_checkpoint=lambda step: _write_back(output, back, step),
                )
        except Exception:
            say(f"the training failed; in {back}: {_held(back)}")
            raise
        finally:
            ended.set()
            watcher.join()
        print(_table(recipe, output, result, back))
        if not result.finished:
            say(f"stopped by {result.stopped_by} after step {result.steps}: the same command goes on")


def _lock(folder: Path) -> TextIO:
    """Keep a folder for this process until it is closed: an earlier call may have outlived its connection."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise LentError(f"a training is running in {folder}: expected it to have ended") from error
    return lock


def _check_ready(folder: Path, missing: dict[str, str], pieces: Path) -> None:
    """Refuse to begin without the network and its surroundings, or without any images of a source."""
    needed = {file: piece for file, piece in missing.items() if not file.startswith(TRAIN_SHARDS)}
    if needed:
        wanted = sorted(set(needed.values()))
        raise LentError(
            f"{min(needed)} and {len(needed) - 1} more are missing: expected {', '.join(wanted)} in {pieces}"
        )
    late = {file: piece for file, piece in missing.items() if file not in needed}
    for source in sorted({Path(file).parent.as_posix() for file in late}):
        if not any((folder / source).glob("*.npz")):
            wanted = sorted({piece for file, piece in late.items() if file.startswith(f"{source}/")})
            raise LentError(f"no shard of {source} has come: expected {' or '.join(wanted)} in {pieces}")
    if late:
        say(f"{len(late)} training shards are still to come, in {', '.join(sorted(set(late.values())))}")


def _unpack_wheels(folder: Path) -> None:
    """Unpack wheels of Python alone, which is all that installing them would do."""
    for wheel in sorted((folder / WHEELS).glob("*.whl")):
        done = folder / SITE / f".{wheel.name}"
        if not done.exists():
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder / SITE)
            done.touch()


def _recipe_for_now(folder: Path, minutes: float, device: str | None) -> Recipe:
    """Read the recipe where its paths begin, and make sure that this machine can train it."""
    try:
        import torch  # noqa: PLC0415

        from e2e_depth_ros.training import loop, recipe  # noqa: F401, PLC0415 - all that training imports
    except ImportError as error:
        raise LentError(f"this machine lacks a module, whose wheel `pack --wheels` takes: {error}") from error
    with in_one_line():
        read = recipe.read_recipe(folder / RECIPE)
        run = replace(read.run, device=device or read.run.device)
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    if run.device == "cuda" and not on_gpu:
        raise LentError("expected a CUDA device, torch finds none")
    name = torch.cuda.get_device_name() if on_gpu else "the CPU"
    say(f"Python {sys.version.split()[0]}, torch {torch.__version__}, on {name}")
    return replace(read, run=run, optimiser=replace(read.optimiser, minutes=minutes))


def _watch(arrivals: Arrivals, seconds: float, ended: threading.Event) -> None:
    """Take further pieces while the training runs: it finds their shards by itself."""
    left = len(arrivals.missing())
    while not ended.wait(seconds):
        try:
            troubles = arrivals.take()
        except OSError as error:  # a full disk, say: the training goes on with what it has
            troubles = [str(error)]
        for trouble in troubles:
            say(trouble)
        before, left = left, len(arrivals.missing())
        if left < before:
            say(f"{before - left} shards came, {left} are still to come")


def _write_back(output: Path, back: Path, step: int) -> None:
    """Leave the checkpoint and its log to be fetched; the set before goes once the new one is whole."""
    beside = {f"checkpoint/training/{name}": output / name for name in COMES_BACK}
    files = files_below(output / "checkpoint", "checkpoint")
    files |= {name: path for name, path in beside.items() if path.exists()}
    try:
        back.mkdir(parents=True, exist_ok=True)
        before = {*back.glob("back-*.tar"), *back.glob(".back-*.tar")}  # the latter of a call that was killed
        new = write_pieces(files, back, f"back-{step:07d}", int(BACK_MB * MB))
        for piece in before - set(new):
            piece.unlink()
    except OSError as error:
        say(f"could not write to {back}: {error}")
        return
    say(f"step {step} is in {back}: {_held(back)}")


def _held(back: Path) -> str:
    sizes = [piece.stat().st_size / MB for piece in back.glob("back-*.tar")]
    return f"{len(sizes)} files, {sum(sizes):.1f} MB" if sizes else "nothing yet"


def _table(recipe: Recipe, output: Path, result: TrainingResult, back: Path) -> str:
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [entry for entry in map(json.loads, lines) if "seconds" in entry]
    images = result.steps * recipe.data.batch_size * recipe.optimiser.accumulate
    rows = {
        "ended": "finished" if result.finished else f"stopped by {result.stopped_by}",
        "steps": f"{result.steps}, {result.bad_steps} of them skipped",
        "images seen": f"{images}",
    }
    if entries:
        seconds = entries[-1]["seconds"]
        rows["minutes"] = f"{seconds / 60:.2f} of {recipe.optimiser.minutes:g}"
        rows["images a second"] = f"{images / max(seconds, 1e-9):.1f}"
        rows |= {name: f"{entries[-1][name]:.4g}" for name in entries[-1] if name.endswith("loss")}
    for source, scores in result.scores.items():
        rows[source] = f"AbsRel {scores.abs_rel:.4g}, delta1 {scores.delta1:.4g}"
    rows["to fetch"] = f"{back}: {_held(back)}"
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())])
