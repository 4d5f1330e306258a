"""Pictures of a training to look at: samples beside their truth, and the curves of loss and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.comparison import read_log
from e2e_depth_ros.training.validation import Predicted, fitted_depth

_GAP = 4
_CURVE_SIZE = (240, 560)
_CURVE_COLUMNS = 2
_SCORES = ("abs_rel", "edge_f1", "normals_deg")
_COLOURS = ((40, 90, 200), (30, 140, 60), (200, 80, 30), (130, 60, 160), (0, 160, 170), (120, 120, 120))


def write_samples(path: Path, views: Sequence[View], predicted: Sequence[Predicted]) -> None:
    """Write a PNG with a row for each view: image, depth, true depth, normals, true normals.

    What wasn't predicted is left out.

    Depth is coloured by log metres after the least-squares fit, on the truth's range; near is bright.
    """
    rows = []
    for view, one in zip(views, predicted, strict=True):
        truth = view.depth_m
        known = truth > 0
        near_m, far_m = np.percentile(truth[known], (1, 99)) if known.any() else (1.0, 2.0)
        tiles: list[NDArray[Any]] = [view.image]
        if one.depth is not None:
            maps = (fitted_depth(one.depth, truth), np.where(known, truth, np.nan))
            tiles += [colours_from_depth(depth_m, near_m, far_m, logarithmic=True) for depth_m in maps]
        if one.normals is not None:
            vectors = (one.normals.values, view.normals)
            tiles += [colours_from_normals(normals) for normals in vectors]
        gap = np.full((truth.shape[0], _GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1))
    width = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(r, 0, _GAP, 0, width - r.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255))
        for r in rows
    ]
    _write_png(path, np.concatenate(rows))


def write_curves(path: Path, *logs: Path) -> None:
    """Draw the numbers of training logs over their steps as a PNG, one panel for each number.

    Panels: the losses, and scores of each validation source. Each log has a colour, in the order given; what
    only some of them hold is drawn of those.

    Raises:
        InvalidInputError: A log can't be read.
    """
    panels: dict[str, dict[int, NDArray[np.float64]]] = {}
    for index, log in enumerate(logs):
        for name, points in _read_series(log).items():
            panels.setdefault(name, {})[index] = np.array(points)
    drawn = [_panel(name, lines) for name, lines in panels.items()]
    if drawn:
        drawn += [np.full_like(drawn[0], 255)] * (len(drawn) % _CURVE_COLUMNS)
        rows = [drawn[i : i + _CURVE_COLUMNS] for i in range(0, len(drawn), _CURVE_COLUMNS)]
        _write_png(path, np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def _read_series(log: Path) -> dict[str, list[tuple[int, float]]]:
    series: dict[str, list[tuple[int, float]]] = {}
    for entry in read_log(log):
        numbers: dict[str, float | None] = {
            name: value for name, value in entry.items() if name.endswith("_loss")
        }
        for source, scores in entry.get("validation", {}).items():
            numbers |= {f"{source}: {name}": scores[name] for name in _SCORES if name in scores}
        for name, number in numbers.items():
            if number is not None and np.isfinite(number):
                series.setdefault(name, []).append((entry["step"], number))
    return series


def _panel(name: str, lines: dict[int, NDArray[np.float64]]) -> NDArray[np.uint8]:
    """Draw lines (N, 2) of steps and values, each by the number of its log."""
    height, width = _CURVE_SIZE
    panel = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 70, width - 20, 36, height - 30
    everything = np.concatenate(list(lines.values()))
    (first, low), (last, high) = everything.min(axis=0), everything.max(axis=0)
    high = high if high > low else low + 1e-6
    black = (0, 0, 0)
    cv2.rectangle(panel, (left, top), (right, bottom), (200, 200, 200))
    for index, points in lines.items():
        x = left + (right - left) * (points[:, 0] - first) / max(1.0, last - first)
        y = bottom - (bottom - top) * (points[:, 1] - low) / (high - low)
        line = np.rint(np.stack([x, y], axis=1)).astype(np.int32)
        colour = _COLOURS[index % len(_COLOURS)]
        cv2.polylines(panel, [line[:, None]], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA)
        cv2.circle(
            panel, tuple(map(int, line[-1])), 3, colour, cv2.FILLED, cv2.LINE_AA
        )  # also one point alone
    ends = ", ".join(f"{points[-1, 1]:.3g}" for points in lines.values())
    labels = (
        (f"{name}   last {ends}", (left, top - 12)),
        (f"{high:.3g}", (6, top + 10)),
        (f"{low:.3g}", (6, bottom)),
        (f"{first:.0f}", (left, height - 8)),
        (f"step {last:.0f}", (right - 110, height - 8)),
    )
    for text, at in labels:
        cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, black, 1, cv2.LINE_AA)
    return panel


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    # Under another name first: whoever looks at it during the training sees a whole picture.
    temporary = path.with_name(f".{path.name}.part.png")
    cv2.imwrite(str(temporary), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    temporary.replace(path)
