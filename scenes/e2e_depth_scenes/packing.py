"""From rendered images to a checked set: filters, shards, statistics and a contact sheet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.training.shards import (
    MAX_DEPTH_M,
    MIN_DEPTH_M,
    Sample,
    read_shard,
    write_shard,
)

STATISTICS_FILE = "statistics.json"
CONTACT_SHEET_FILE = "contact_sheet.jpg"
SHARD_FILES = "shard-*.npz"
_BIN_EDGES_M = np.geomspace(MIN_DEPTH_M, MAX_DEPTH_M, 201)
_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
_SHEET_COLUMNS, _SHEET_ROWS = 3, 12


def fault_of(sample: Sample) -> str | None:
    """Say why an image teaches nothing, or return None.

    Cameras stand at random places, so that some look into a wall, a dark corner or the sky.
    """
    valid = sample.depth_m > 0
    if valid.mean() < 0.3:
        return "little depth"
    low, median, high = np.percentile(sample.depth_m[valid], [5, 50, 95])
    luminance = sample.image.mean(axis=-1)
    faults = {
        "too near": median < (0.2 if sample.kind == "tabletop" else 0.6),
        "no relief": high < 1.08 * low,
        "black": np.percentile(luminance, 95) < 20,
        "white": (luminance > 250).mean() > 0.5,
        "blank": luminance.std() < 5,
    }
    return next((fault for fault, found in faults.items() if found), None)


class Packer:
    """Collects samples into the shards of one folder, and counts what it keeps and drops.

    The folder can be continued: statistics and shard numbers go on from what is there.
    """

    def __init__(self, folder: Path, shard_size: int) -> None:
        self._folder = folder
        self._shard_size = shard_size
        self._waiting: list[Sample] = []
        self._shown: list[Sample] = []
        self.dropped: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self._histogram = np.zeros(len(_BIN_EDGES_M) - 1, dtype=np.int64)
        self.packed_scenes: set[int] = set()
        self.shards = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._continue()

    @property
    def images(self) -> int:
        """How many images are kept, with those that wait for their shard."""
        return sum(self.kept.values()) + len(self._waiting)

    def add(self, sample: Sample) -> bool:
        """Keep a sample, or drop and count it; True where a shard was written on the way."""
        fault = fault_of(sample)
        if fault is not None:
            self.dropped[f"{sample.kind}: {fault}"] += 1
            return False
        self._waiting.append(sample)
        if len(self._waiting) < self._shard_size:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write the samples that wait, the statistics and the contact sheet."""
        if self._waiting:
            write_shard(self._folder / SHARD_FILES.replace("*", f"{self.shards:05d}"), self._waiting)
            self.shards += 1
            for sample in self._waiting:
                self.kept[sample.kind] += 1
                self.packed_scenes.add(sample.scene)
                self._histogram += np.histogram(sample.depth_m[sample.depth_m > 0], _BIN_EDGES_M)[0]
            self._shown = _thinned([*self._shown, *self._waiting], _SHEET_COLUMNS * _SHEET_ROWS)
            self._waiting = []
            cv2.imwrite(str(self._folder / CONTACT_SHEET_FILE), contact_sheet(self._shown)[..., ::-1])
        text = json.dumps(self.statistics(), indent=2) + "\n"
        temporary = self._folder / f".{STATISTICS_FILE}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._folder / STATISTICS_FILE)

    def statistics(self) -> dict[str, object]:
        """What the written shards hold, and what was dropped and why."""
        total = max(1, int(self._histogram.sum()))
        upper = np.searchsorted(np.cumsum(self._histogram) / total, np.array(_PERCENTILES) / 100)
        return {
            "images": sum(self.kept.values()),
            "scenes": len(self.packed_scenes),
            "shards": self.shards,
            "kinds": dict(sorted(self.kept.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "depth_percentiles_m": {
                str(p): round(float(_BIN_EDGES_M[1:][min(i, len(self._histogram) - 1)]), 3)
                for p, i in zip(_PERCENTILES, upper, strict=True)
            },
            "depth_histogram": self._histogram.tolist(),
        }

    def _continue(self) -> None:
        paths = sorted(self._folder.glob(SHARD_FILES))
        if not paths:
            return
        statistics_path = self._folder / STATISTICS_FILE
        found = json.loads(statistics_path.read_text(encoding="utf-8")) if statistics_path.exists() else {}
        self.dropped.update(found.get("dropped", {}))
        self.shards = 1 + max(int(path.stem.rpartition("-")[2]) for path in paths)
        # The shards themselves say what is there: a stop between shard and statistics loses nothing.
        counted = found.get("shards") == len(paths)
        if counted:
            self._histogram += np.array(found["depth_histogram"], dtype=np.int64)
        for path in paths:
            shard = read_shard(path)
            self.packed_scenes.update(shard.scenes)
            self.kept.update(shard.kinds)
            if not counted:
                for sample in shard:
                    self._histogram += np.histogram(sample.depth_m[sample.depth_m > 0], _BIN_EDGES_M)[0]


def contact_sheet(samples: list[Sample]) -> NDArray[np.uint8]:
    """Show samples side by side: image, depth (near is warm, black is none) and normals.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    triples = [_triple(sample) for sample in samples]
    height = max(triple.shape[0] for triple in triples)
    width = max(triple.shape[1] for triple in triples)
    cells = [np.zeros((height, width, 3), dtype=np.uint8) for _ in range(-len(triples) % _SHEET_COLUMNS)]
    for triple in reversed(triples):
        cell = np.zeros((height, width, 3), dtype=np.uint8)
        cell[: triple.shape[0], : triple.shape[1]] = triple
        cells.insert(0, cell)
    rows = [np.hstack(cells[i : i + _SHEET_COLUMNS]) for i in range(0, len(cells), _SHEET_COLUMNS)]
    return np.vstack(rows)


def _triple(sample: Sample) -> NDArray[np.uint8]:
    return np.hstack([sample.image, _depth_picture(sample.depth_m), _normals_picture(sample.normals)])


def _depth_picture(depth_m: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = depth_m > 0
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    logs = np.log(np.where(known, depth_m, 1))
    near, far = np.percentile(logs[known], [1, 99])
    nearness = np.clip((far - logs) / max(far - near, 1e-6), 0, 1)
    colours = cv2.applyColorMap(np.rint(255 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(known[..., None], colours[..., ::-1], 0).astype(np.uint8)


def _normals_picture(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Red to the right, green up, blue towards the camera."""
    known = np.abs(normals).sum(axis=-1, keepdims=True) > 0
    levels = np.rint(127.5 * (1 + normals * np.array([1, -1, -1], np.float32)))
    return np.where(known, np.clip(levels, 0, 255), 0).astype(np.uint8)


def _thinned(samples: list[Sample], count: int) -> list[Sample]:
    picks = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    return [samples[i] for i in picks]
