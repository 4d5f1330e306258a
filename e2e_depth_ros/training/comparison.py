"""Trainings beside each other: in what their recipes differ, and what they reached."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.user_file import json_from_text, open_file
from e2e_depth_ros.core.yaml_file import load_yaml

LOG: Final = "log.jsonl"
RECIPE: Final = "recipe.yaml"
MAX_LOG_BYTES: Final = 1 << 25
"""The longest log that is read, bytes, unpacked: 67,000 lines of 500."""

_NO_CHANGE: Final = ("run.", "model.name")  # how long and where it ran, and what it is called
_SCORES: Final = {
    "abs_rel": ("AbsRel", "{:.3f}"),
    "delta1": ("delta1", "{:.3f}"),
    "edge_f1": ("edge F1", "{:.3f}"),
    "normals_deg": ("normals", "{:.1f} deg"),
}

_ValidationSets = tuple[tuple[str, float, float], ...]
"""Name, images, and AbsRel of the image row, which depends on nothing but the images."""


@dataclass(frozen=True, eq=False)
class Run:
    """One training, finished or not.

    Attributes:
        name: Of its folder or log.
        log: Its log, JSON lines, compressed or not.
        recipe: Its recipe as it is written; empty where only the log is there.
        steps: Of the last validation.
        minutes: Spent in training steps until the last line of the log.
        scores: Of the last validation, by source; empty where none was made.
    """

    name: str
    log: Path
    recipe: Mapping[str, Any]
    steps: int
    minutes: float
    scores: Mapping[str, Mapping[str, float]]


def read_run(path: Path) -> Run:
    """Read a training.

    Args:
        path: The output folder of a training, or a log alone, `.jsonl` or `.jsonl.gz`.

    Raises:
        InvalidInputError: There is no log, or something can't be read.
    """
    log = path / LOG if path.is_dir() else path
    recipe = load_yaml(path / RECIPE) if path.is_dir() else {}
    if not isinstance(recipe, dict):
        raise InvalidInputError(f"expected keys and values in {path / RECIPE}, got {type(recipe).__name__}")
    steps, seconds = 0, 0.0
    scores: Mapping[str, Mapping[str, float]] = {}
    for entry in read_log(log):
        seconds = entry.get("seconds", seconds)
        if "validation" in entry:
            steps, scores = entry["step"], entry["validation"]
    name = path.resolve().name.removesuffix(".gz").removesuffix(".jsonl")
    return Run(name, log, recipe, steps, seconds / 60, scores)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a training's log, `.jsonl` or `.jsonl.gz`.

    Raises:
        InvalidInputError: It can't be read.
    """
    try:
        with open_file(path) as stream:
            unpacked = gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream
            text = unpacked.read(MAX_LOG_BYTES + 1)
        if len(text) > MAX_LOG_BYTES:
            raise InvalidInputError(f"more than {MAX_LOG_BYTES} bytes")
        entries = [json_from_text(line) for line in text.decode("utf-8").splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidInputError(f"expected the log of a training, got {path}: {error}") from error
    if not all(isinstance(entry, dict) and "step" in entry for entry in entries):
        raise InvalidInputError(f"expected the log of a training, got {path}: lines without a step")
    return entries


def differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the keys in which two recipes differ, and both values; None where a recipe lacks a key.

    Keys are dotted, and those of entries of a list numbered: "loss.depth.anchor", "data.train[0].shards".
    """
    return {
        key: (one, two)
        for key, one, two in _pairs("", first, other)
        if one != two and not key.startswith(_NO_CHANGE)
    }


def markdown_table(runs: Sequence[Run]) -> str:
    """Return tables in Markdown: the last scores of the runs, and in what their recipes differ.

    Runs that were validated on the same images share a table: other scores can't be compared.

    Raises:
        InvalidInputError: There is no run.
    """
    if not runs:
        raise InvalidInputError("expected at least one run to compare, got none")
    by_images: dict[_ValidationSets, list[Run]] = {}
    for run in runs:
        by_images.setdefault(_validation_sets(run), []).append(run)
    lines: list[str] = []
    for sets, alike in by_images.items():
        lines += [*_table(sets, alike), ""]
        lines += [
            f"{name}: {images:g} images, AbsRel of the image row {row:.3f}" for name, images, row in sets
        ]
        lines += [""] if sets else []
    first, *others = runs
    lines += [line for run in others if run.recipe and first.recipe for line in _changes(first, run)]
    return "\n".join(lines).rstrip("\n")


def _validation_sets(run: Run) -> _ValidationSets:
    return tuple(
        (name, scores["images"], round(scores["row_abs_rel"], 6))
        for name, scores in sorted(run.scores.items())
    )


def _table(sets: _ValidationSets, runs: Sequence[Run]) -> list[str]:
    header = ["run", "steps", "minutes"]
    for name, *_ in sets:
        header += [f"{name}: {title}" if len(sets) > 1 else title for title, _ in _SCORES.values()]
    rows = [header, ["---", *["---:"] * (len(header) - 1)]]
    for run in runs:
        cells = [run.name, f"{run.steps}", f"{run.minutes:.0f}"]
        for name, *_ in sets:
            scores = run.scores[name]
            cells += [form.format(scores[key]) if key in scores else "" for key, (_, form) in _SCORES.items()]
        rows.append(cells)
    return ["| " + " | ".join(row) + " |" for row in rows]


def _changes(first: Run, run: Run) -> list[str]:
    """What was changed, a line each."""
    changes = differences(first.recipe, run.recipe)
    head = f"{run.name} against {first.name}:"
    if not changes:
        return [f"{head} nothing changed", ""]
    return [head, "", *(f"- `{key}`: {_shown(a)} -> {_shown(b)}" for key, (a, b) in changes.items()), ""]


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, dict):
        return " ".join(f"{key} {_shown(held)}" for key, held in value.items() if held not in ("", 0, None))
    return f"{value}"


def _pairs(key: str, one: Any, two: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the values of two nested recipes side by side."""
    if isinstance(one, dict) and isinstance(two, dict):
        for name in {**one, **two}:
            yield from _pairs(f"{key}.{name}" if key else f"{name}", one.get(name), two.get(name))
    elif _holds_entries(one) and _holds_entries(two):
        for index, (entry, other) in enumerate(zip_longest(one, two)):
            yield from _pairs(f"{key}[{index}]", entry, other)
    else:
        yield key, one, two


def _holds_entries(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
