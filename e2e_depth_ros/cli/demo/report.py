"""Turns what the demo received into a table, pictures, clouds and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from e2e_depth_ros.cli.demo.clouds import view_from_side
from e2e_depth_ros.cli.demo.receiver import METRIC, POINTS, RELATIVE, SceneRecord
from e2e_depth_ros.cli.pictures import labelled_row, stacked, write_picture
from e2e_depth_ros.core.colours import colours_from_depth, colours_from_normals
from e2e_depth_ros.core.ply import save_ply

if TYPE_CHECKING:
    from e2e_depth_ros.cli.demo.processes import Outcome


def summarise(outcome: Outcome) -> dict[str, Any]:
    """Gather the numbers of a run.

    Returns:
        A JSON object: `scenes`, a list, measured ones first; `stages_ms`, the median of what the node
        reported each second; `diagnostics`, its last ones.
    """
    receiver = outcome.receiver
    scenes = [_scene_summary(record, outcome.published) for record in _measured_first(outcome)]
    return {
        "scenes": scenes,
        "stages_ms": {stage: float(np.median(times)) for stage, times in receiver.stages_ms.items()},
        "diagnostics": dict(receiver.diagnostics),
    }


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """Print the numbers of a run as tables."""
    received = Table(title="Received", caption="latency: from an image's stamp to the receipt of its depth")
    accuracy = Table(title="Accuracy", caption="at measured pixels that were not samples")
    for table, columns in (
        (received, ("images sent", "relative depth", "metric depth", "clouds", "latency ms (p95)")),
        (accuracy, ("alignment", "scale", "shift m", "depth images", "AbsRel", "delta1")),
    ):
        table.add_column("scene")
        for column in columns:
            table.add_column(column, justify="right")
    for scene in summary["scenes"]:
        latency, alignment = scene["latency_ms"], scene["alignment"]
        received.add_row(
            scene["scene"],
            str(scene["frames_published"]),
            str(scene["relative_depth_received"]),
            str(scene["metric_depth_received"]),
            str(scene["clouds_received"]),
            f"{latency['median']:.0f} ({latency['p95']:.0f})" if latency else "-",
        )
        accuracy.add_row(
            scene["scene"],
            alignment.get("state", "-"),
            alignment.get("scale", "-"),
            alignment.get("shift_m", "-"),
            str(scene["frames_scored"]),
            _number(scene["abs_rel"]),
            _number(scene["delta1"]),
        )
    console.print(received)
    console.print(accuracy)
    stages = Table(title="The node's stages", caption="means of a second each, their median")
    stages.add_column("stage")
    stages.add_column("ms", justify="right")
    for stage, milliseconds in summary["stages_ms"].items():
        stages.add_row(stage, f"{milliseconds:.2f}")
    console.print(stages)
    counts = Table(title="The node's counts")
    counts.add_column("of")
    counts.add_column("number", justify="right")
    for entries in summary["diagnostics"].values():
        for key, value in entries.items():
            if key.startswith(("images_", "refused/", "non_finite")):
                counts.add_row(key, value)
    console.print(counts)


def write_results(outcome: Outcome, summary: Mapping[str, Any], output: Path) -> list[Path]:
    """Write `demo.json`, `demo.png` and a PLY for each scene that became metric.

    Returns:
        The files written.
    """
    written = [output / "demo.json", output / "demo.png"]
    written[0].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    records = _measured_first(outcome)
    rows = [row for record in records if (row := _panels(record))]
    if rows:
        write_picture(written[1], stacked([labelled_row(row) for row in rows]))
    else:
        written.pop()
    for record in records:
        if record.cloud is not None:
            path = output / f"{record.scene.name}.ply"
            save_ply(path, record.cloud.points_m, record.cloud.rgb)
            written.append(path)
    return written


def _measured_first(outcome: Outcome) -> list[SceneRecord]:
    records = outcome.receiver.records.values()
    return sorted(records, key=lambda record: (record.scene.camera is None, record.scene.name))


def _panels(record: SceneRecord) -> list[tuple[str, Any]]:
    panels: list[tuple[str, Any]] = []
    if record.image is not None:
        panels.append((record.scene.name, record.image))
    if record.depth_m is not None:
        measured = record.scene.depth_m
        shown = [record.depth_m] if measured is None else [record.depth_m, measured]
        ranges = np.array([np.nanpercentile(depth_m, [2, 98]) for depth_m in shown])
        near, far = ranges[:, 0].min(), ranges[:, 1].max()
        label = f"depth, {near:.2f} to {far:.2f} m"
        panels += [
            (name, colours_from_depth(depth_m, near, far, colormap="turbo"))
            for name, depth_m in zip((label, "measured"), shown, strict=False)
        ]
    elif record.color is not None:
        panels.append(("relative depth", record.color))
    if record.normals is not None:
        panels.append(("normals", colours_from_normals(record.normals)))
    if record.cloud is not None:
        panels.append(("points, from the side", view_from_side(record.cloud, record.scene.image.shape[:2])))
    return panels


def _scene_summary(record: SceneRecord, published: Mapping[str, int]) -> dict[str, Any]:
    name = record.scene.name
    return {
        "scene": name,
        "origin": record.scene.origin,
        "size": list(record.scene.image.shape[:2]),
        "frames_published": published[name],
        "images_received": record.counts["image_raw"],
        "relative_depth_received": record.counts[RELATIVE],
        "metric_depth_received": record.counts[METRIC],
        "clouds_received": record.counts[POINTS],
        "latency_ms": _latencies_ms(record),
        "measured": record.scene.camera is not None,
        "alignment": record.alignment,
        "abs_rel": _mean(record.abs_rels),
        "delta1": _mean(record.delta1s),
        "frames_scored": len(record.abs_rels),
    }


def _latencies_ms(record: SceneRecord) -> dict[str, float] | None:
    if not record.latencies_s:
        return None
    median, p95 = np.percentile(record.latencies_s, [50, 95]) * 1e3
    return {"median": float(median), "p95": float(p95)}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
