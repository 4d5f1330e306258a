"""Trainings beside each other: in what their recipes differ, and what they reached."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Run:
    """One training, finished or not.

    Attributes:
        name: Of its folder or log.
        log: Its log, JSON lines, compressed or not.
        recipe: Its recipe with dotted keys, say "loss.depth.anchor"; empty where only the log is there.
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
    recipe: dict[str, Any] = {}
    if path.is_dir():
        recipe = _dotted(load_yaml(path / RECIPE), "")
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
    """Return the keys in which two recipes differ, and both values; None where a recipe lacks a key."""
    keys = [key for key in {**first, **other} if not key.startswith(_NO_CHANGE)]
    pairs = {key: (first.get(key), other.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def markdown_table(runs: Sequence[Run]) -> str:
    """Return a table in Markdown: each run's recipe against that of the first, and its last scores.

    Raises:
        InvalidInputError: There is no run.
    """
    if not runs:
        raise InvalidInputError("expected at least one run to compare, got none")
    sources = sorted({source for run in runs for source in run.scores})
    header = ["change", "steps", "minutes"]
    for source in sources:
        prefix = f"{source}: " if len(sources) > 1 else ""
        header += [prefix + title for title, _ in _SCORES.values()]
    rows = [header, ["---", *["---:"] * (len(header) - 1)]]
    for index, run in enumerate(runs):
        cells = [
            _change(runs[0], run) if index else f"none: {run.name}",
            f"{run.steps}",
            f"{run.minutes:.0f}",
        ]
        for source in sources:
            scores = run.scores.get(source, {})
            cells += [form.format(scores[key]) if key in scores else "" for key, (_, form) in _SCORES.items()]
        rows.append(cells)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    for source in sources:
        first = next(run.scores[source] for run in runs if source in run.scores)
        lines += [
            "",
            f"{source}: {first['images']:g} images, AbsRel of the image row {first['row_abs_rel']:.3f}",
        ]
    return "\n".join(lines)


def _change(first: Run, run: Run) -> str:
    if not (first.recipe and run.recipe):
        return run.name
    changes = [
        f"`{key}` {_short(a)} -> {_short(b)}" for key, (a, b) in differences(first.recipe, run.recipe).items()
    ]
    return f"{run.name}: {', '.join(changes) or 'nothing'}"


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[" + ", ".join(_entry(entry) for entry in value) + "]"
    return "absent" if value is None else f"{value}"


def _entry(entry: Mapping[str, Any]) -> str:
    """Name an entry of a list by what it holds, without what is empty; of a pattern of files its folder."""
    held = {key: value for key, value in entry.items() if value not in ("", 0, None)}
    return " ".join(
        f"{key} {Path(value).parent.name if '/' in f'{value}' else value}" for key, value in held.items()
    )


def _dotted(content: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix[:-1]: content}
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _dotted(value, f"{prefix}{key}.")
    return flat
