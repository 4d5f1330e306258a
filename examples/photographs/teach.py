"""Make training images of photographs: views of panoramas, and what a teacher says of them, as shards.

`README.md` in this folder shows how.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# OpenCV reads EXR only where it is told to, and asks when it is imported.
os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")

import cv2
import numpy as np
from numpy.typing import NDArray
from panoramas import View, draw_view, look
from rich.progress import track
from teacher import Teacher

from e2e_depth_ros.training.shards import Sample, write_shard

_SIZES = ((144, 192), (112, 192), (192, 144))
_BATCH = 16
_RESOLUTIONS = (128, 160, 192, 224)


def main() -> None:
    """Write one shard for each panorama."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("panoramas", nargs="+", type=Path, help="equirectangular, .hdr or .exr")
    parser.add_argument("--teacher", nargs="+", default=["embedded"], help="checkpoints whose mean is taught")
    parser.add_argument("--resolutions", nargs="+", type=int, default=_RESOLUTIONS, metavar="PX")
    parser.add_argument("--power", type=float, default=1.0, help="what the taught depth, 0..1, is raised to")
    parser.add_argument("--dtype", default="auto", help="of the networks (default: auto)")
    parser.add_argument("--views", type=int, default=120, metavar="N", help="of each panorama (default: 120)")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    twice = [name for name, count in Counter(path.stem for path in args.panoramas).items() if count > 1]
    if twice:
        parser.error(
            f"expected panoramas of different names, each names its shard, got twice: {', '.join(twice)}"
        )
    args.output.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(args.teacher, args.resolutions, args.power, args.dtype)
    for path in track(args.panoramas, description="teach"):
        shard = args.output / f"{path.stem}.npz"
        if shard.exists():
            continue
        panorama = _read(path)
        number = zlib.crc32(path.stem.encode())
        rng = np.random.default_rng([args.seed, number])
        views = [draw_view(rng, _SIZES) for _ in range(args.views)]
        write_shard(shard, _samples(panorama, teacher, views, number))


def _read(path: Path) -> NDArray[np.float32]:
    light = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if light is None or light.ndim != 3 or light.shape[1] != 2 * light.shape[0]:
        raise SystemExit(f"expected an equirectangular panorama, twice as wide as high: {path}")
    return np.asarray(light[..., 2::-1], dtype=np.float32)


def _samples(
    panorama: NDArray[np.float32], teacher: Teacher, views: list[View], number: int
) -> Iterator[Sample]:
    """Teach views, size by size, in batches."""
    for batch in _batches(views):
        images = [look(panorama, view) for view in batch]
        for view, image, depth in zip(batch, images, teacher(images), strict=True):
            # Normals are left to the renders, which know them.
            none = np.zeros_like(image, dtype=np.float32)
            yield Sample(image, depth, none, view.focal_px, "photograph", number)


def _batches(views: list[View]) -> Iterator[list[View]]:
    for size in _SIZES:
        of_size = [view for view in views if view.size == size]
        for begin in range(0, len(of_size), _BATCH):
            yield of_size[begin : begin + _BATCH]


if __name__ == "__main__":
    main()
