"""Pictures of a training to look at: samples beside their truth, and the curves of loss and scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.validation import Predicted, fitted_depth

_GAP = 4
_CURVE_SIZE = (320, 900)
_SCORES = ("abs_rel", "edge_f1", "normals_deg")
_COLOURS = ((40, 90, 200), (30, 140, 60), (200, 80, 30), (130, 60, 160))


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
            maps = (fitted_depth(one.depth.numpy(), truth), np.where(known, truth, np.nan))
            tiles += [colours_from_depth(depth_m, near_m, far_m, logarithmic=True) for depth_m in maps]
        if one.normals is not None:
            vectors = (one.normals.numpy().transpose(1, 2, 0), view.normals)
            tiles += [colours_from_normals(normals) for normals in vectors]
        gap = np.full((truth.shape[0], _GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1))
    width = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(r, 0, _GAP, 0, width - r.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255))
        for r in rows
    ]
    _write_png(path, np.concatenate(rows))


def write_curves(path: Path, log: Path) -> None:
    """Draw the numbers of a training log over its steps, one panel for each, as a PNG.

    Panels: the losses, and each score of each validation source.
    """
    series = _read_series(log)
    if series:
        panels = [
            _panel(name, np.array(points), _COLOURS[index % len(_COLOURS)])
            for index, (name, points) in enumerate(series.items())
        ]
        _write_png(path, np.concatenate(panels))


def _read_series(log: Path) -> dict[str, list[tuple[int, float]]]:
    series: dict[str, list[tuple[int, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        numbers = {name: value for name, value in entry.items() if name.endswith("_loss")}
        for source, scores in entry.get("validation", {}).items():
            numbers |= {f"{source}: {name}": scores[name] for name in _SCORES if name in scores}
        for name, number in numbers.items():
            if number is not None and np.isfinite(number):
                series.setdefault(name, []).append((entry["step"], number))
    return series


def _panel(name: str, points: NDArray[np.float64], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    height, width = _CURVE_SIZE
    panel = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 70, width - 20, 36, height - 30
    steps, values = points[:, 0], points[:, 1]
    low, high = float(np.min(values)), float(np.max(values))
    high = high if high > low else low + 1e-6
    x = left + (right - left) * (steps - steps[0]) / max(1.0, steps[-1] - steps[0])
    y = bottom - (bottom - top) * (values - low) / (high - low)
    black = (0, 0, 0)
    cv2.rectangle(panel, (left, top), (right, bottom), (200, 200, 200))
    line = np.rint(np.stack([x, y], axis=1)).astype(np.int32)
    cv2.polylines(panel, [line[:, None]], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA)
    labels = (
        (f"{name}   last {values[-1]:.4g}", (left, top - 12)),
        (f"{high:.3g}", (6, top + 10)),
        (f"{low:.3g}", (6, bottom)),
        (f"{steps[0]:.0f}", (left, height - 8)),
        (f"step {steps[-1]:.0f}", (right - 110, height - 8)),
    )
    for text, at in labels:
        cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, black, 1, cv2.LINE_AA)
    return panel


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    # Under another name first: whoever looks at it during the training sees a whole picture.
    temporary = path.with_name(f".{path.name}.part.png")
    cv2.imwrite(str(temporary), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    temporary.replace(path)
