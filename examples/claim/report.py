"""The claim's table, plot and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.validation import fitted_depth
from measuring import DIFFUSION, FIRST_SEED, MOST_STEPS, SIZE, Measured

TABLE, JSON, PLOT, PICTURES = "table.md", "table.json", "plot.png", "pictures.png"
_REFERENCE = "e2e_zeros"
_PLOT_SIZE = (420, 760)
_COLOURS = {"trailing": (40, 90, 200), "leading": (200, 80, 30)}
_LINE_COLOURS = {"e2e_zeros": (30, 140, 60), "e2e_from_images": (130, 60, 160), "direct": (120, 120, 120)}


def write_report(folder: Path, measured: Sequence[Measured], views: Sequence[View]) -> str:
    """Write the table (Markdown and JSON), the plot and the pictures; return the table.

    Args:
        folder: Where to.
        measured: The rows.
        views: What they were measured on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = table(measured)
    (folder / TABLE).write_text(text, encoding="utf-8")
    content = {
        "views": {"count": len(views), "first_seed": FIRST_SEED, "size": list(SIZE)},
        "row_abs_rel": round(measured[0].scores.row_abs_rel, 4),
        "rows": [_entry(one) for one in measured],
    }
    (folder / JSON).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    _write(folder / PLOT, plot(measured))
    if measured[0].shown:
        _write(folder / PICTURES, pictures([one for one in measured if _is_drawn(one)], views))
    return text


def table(measured: Sequence[Measured]) -> str:
    """Return the rows as a Markdown table; time relative to E2E-FT's from zeros."""
    unit = next((one.cpu_ms for one in measured if one.row.checkpoint == _REFERENCE), measured[-1].cpu_ms)
    lines = [
        "| method | steps | spacing | ensemble | AbsRel | delta1 | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        sampling, diffuses = one.row.sampling, one.row.checkpoint == DIFFUSION
        spacing = sampling.spacing if diffuses else ""
        lines.append(
            f"| {one.row.name} | {sampling.steps or 1} | {spacing} | {sampling.ensemble_size} "
            f"| {one.scores.abs_rel:.3f} | {one.scores.delta1:.3f} | {one.cpu_ms / unit:.1f} |"
        )
    return "\n".join(lines) + "\n"


def plot(measured: Sequence[Measured]) -> NDArray[np.uint8]:
    """Draw AbsRel over the steps of each spacing, and a line for each network of one step."""
    height, width = _PLOT_SIZE
    image = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 60, width - 250, 30, height - 50
    single = [one for one in measured if one.row.sampling.ensemble_size == 1]
    steps = sorted({one.row.sampling.steps or 1 for one in single})
    values = [one.scores.abs_rel for one in single]
    low, high = 0.95 * min(values), 1.03 * max(values)

    def at(step: int, value: float) -> tuple[int, int]:
        share = np.log(step) / max(1e-9, np.log(steps[-1]))
        return round(left + (right - left) * share), round(
            bottom - (bottom - top) * (value - low) / (high - low)
        )

    cv2.rectangle(image, (left, top), (right, bottom), (200, 200, 200))
    for step in steps:
        _label(image, str(step), (at(step, low)[0] - 6, bottom + 18))
    _label(image, "denoising steps", ((left + right) // 2 - 50, bottom + 38))
    _label(image, "AbsRel", (6, top - 10))
    for value in np.linspace(low, high, 5):
        _label(image, f"{value:.2f}", (12, at(1, value)[1] + 4))
    entries: list[tuple[float, str, tuple[int, int, int]]] = []
    for spacing, colour in _COLOURS.items():
        found = [o for o in single if o.row.checkpoint == DIFFUSION and o.row.sampling.spacing == spacing]
        points = sorted((o.row.sampling.steps or 1, o.scores.abs_rel) for o in found)
        if points:
            line = np.array([at(*point) for point in points], np.int32)
            cv2.polylines(
                image, [line[:, None]], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA
            )
            for x, y in line.tolist():
                cv2.circle(image, (x, y), 4, colour, cv2.FILLED, cv2.LINE_AA)
            entries.append((points[-1][1], f"diffusion, {spacing}", colour))
    for one in single:
        line_colour = _LINE_COLOURS.get(one.row.checkpoint)
        if line_colour is not None:
            y = at(1, one.scores.abs_rel)[1]
            cv2.line(image, (left, y), (right, y), line_colour, 1, cv2.LINE_AA)
            entries.append((one.scores.abs_rel, one.row.checkpoint, line_colour))
    below = 0
    for value, text, colour in sorted(entries, reverse=True):
        below = max(at(1, value)[1] + 4, below + 16)
        _label(image, f"{text} {value:.3f}", (right + 8, below), colour)
    return image


def pictures(measured: Sequence[Measured], views: Sequence[View]) -> NDArray[np.uint8]:
    """Draw a row for each view: image, truth, and the depth of each way, by log metres after the fit."""
    rows = []
    for index in range(len(measured[0].shown)):
        view = views[index]
        known = view.depth_m > 0
        near_m, far_m = np.percentile(view.depth_m[known], (1, 99))
        tiles: list[NDArray[Any]] = [view.image]
        depths = [np.where(known, view.depth_m, np.nan)]
        for one in measured:
            depth = one.shown[index].depth
            if depth is not None:
                depths.append(fitted_depth(depth, view.depth_m))
        tiles += [colours_from_depth(depth_m, near_m, far_m, logarithmic=True) for depth_m in depths]
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def _is_drawn(one: Measured) -> bool:
    """Keep the ways that differ most: a picture of all would be too wide to see anything."""
    sampling, name = one.row.sampling, one.row.checkpoint
    if name == DIFFUSION:
        many = sampling.steps == MOST_STEPS and sampling.spacing == "trailing"
        return many or (sampling.steps == 1 and sampling.ensemble_size == 1)
    return name in (_REFERENCE, "e2e_from_images")


def _entry(one: Measured) -> dict[str, Any]:
    sampling = one.row.sampling
    return {
        "name": one.row.name,
        "checkpoint": one.row.checkpoint,
        "sha256": one.sha256,
        "steps": sampling.steps or 1,
        "spacing": sampling.spacing,
        "ensemble_size": sampling.ensemble_size,
        "seed": sampling.seed,
        "cpu_ms": round(one.cpu_ms, 2),
        "scores": {name: round(value, 6) for name, value in asdict(one.scores).items()},
        "abs_rel_of_views": [round(value, 5) for value in one.abs_rel],
    }


def _label(
    image: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
