"""Measured depth as others store it: 16-bit PNG, CSV, and the folders of TUM RGB-D and ScanNet."""

from __future__ import annotations

import csv
import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import MAX_FILE_BYTES, encoded_image
from e2e_depth_ros.core.stored_depth import MILLIMETRE_M, metres_from_stored
from e2e_depth_ros.core.tum_rgbd import DEPTH_UNITS_PER_METRE, MAX_STAMP_DIFFERENCE_S, read_list
from e2e_depth_ros.core.user_file import read_file, read_text

SAMPLES_FILE: Final = "samples.csv"
"""What holds sparse measurements in a frame folder."""

_MAX_TEXT_BYTES: Final = 64 << 20
_NUMBER: Final = re.compile(r"[-+]?\.?\d")
_COLUMNS: Final = (
    frozenset(("u", "x", "col", "column")),
    frozenset(("v", "y", "row")),
    frozenset(("depth", "z")),
)
# What a name says of its unit. Millimetres that pass for metres are wrong by a thousand, and fresh.
_OTHER_UNITS: Final = re.compile(r"mm|cm|dm|km|um|[mckd]\w+met(er|re)s?|ft|foot|feet|inch(es)?|yd|yards?")


class RgbdPair(NamedTuple):
    """An image, and the depth image that is registered to it.

    Attributes:
        name: Of the image, without suffix.
        image_path: The image.
        depth_path: 16-bit PNG.
        unit_m: Metres of one unit.
        intrinsics: (3, 3); None where the folder does not tell.
    """

    name: str
    image_path: Path
    depth_path: Path
    unit_m: float
    intrinsics: NDArray[np.float64] | None = None

    def camera(self, size: tuple[int, int]) -> Camera | None:
        """Return the pinhole of images of a size (H, W)."""
        return None if self.intrinsics is None else Camera(size, self.intrinsics)


def read_depth_png(path: Path, unit_m: float = MILLIMETRE_M) -> NDArray[np.float32]:
    """Read a depth image of 16 bits.

    Args:
        path: PNG of one channel.
        unit_m: Metres of one unit.

    Returns:
        (H, W), metres, NaN where it is 0 or 65535.

    Raises:
        InvalidInputError: It is no such image.
    """
    image = encoded_image(read_file(path, MAX_FILE_BYTES), formats=("PNG",))
    values = image.decode(cv2.IMREAD_UNCHANGED)
    if values.ndim != 2 or values.dtype != np.uint16:
        raise InvalidInputError(
            f"expected one channel of 16 bits in {path}, got {values.dtype} {values.shape}"
        )
    return metres_from_stored(values, unit_m)


def read_samples_csv(path: Path) -> NDArray[np.float32]:
    """Read u, v (columns and rows, pixels) and depth (metres along Z) from the first three columns.

    Names may stand in the first line, or behind a #.

    Returns:
        (N, 3), float32.

    Raises:
        InvalidInputError: A line has no three numbers; the names say that u, v or depth are in other
            columns, that there is no depth, or that it is not in metres; a line has more columns than names;
            or commas are both between numbers and inside.
    """
    rows: list[list[float]] = []
    columns = len(_COLUMNS)
    has_names, has_points, has_more = False, False, False
    reader = csv.reader(read_text(path, _MAX_TEXT_BYTES).splitlines())
    may_be_names = True
    try:
        for line in reader:
            entries = [entry.strip() for entry in line]
            if not any(entries):
                continue
            is_comment = entries[0].startswith("#")
            # A first line that begins with a number holds no names: to pass over it would lose a sample.
            is_names = may_be_names and not is_comment and not _NUMBER.match(entries[0])
            may_be_names = may_be_names and is_comment
            if is_comment or is_names:
                _check_columns(entries, path, is_names=is_names)
                columns = max(columns, sum(map(bool, entries)))
                has_names |= is_names
            else:
                where = f"line {reader.line_num} of {path}"
                if has_names and sum(map(bool, entries)) > columns:
                    raise InvalidInputError(
                        f"expected {columns} columns in {where}, as many as have names, got "
                        f"{','.join(entries):.200}: decimal commas?"
                    )
                rows.append(_three_numbers(entries, where))
                has_points |= any("." in entry for entry in entries)
                has_more |= any(entry.isdigit() for entry in entries[columns:])
    except csv.Error as error:
        raise InvalidInputError(f"cannot read line {reader.line_num} of {path}: {error}") from error
    if has_more and not has_points:  # 74,25,4,211 would be 4 m
        raise InvalidInputError(
            f"expected decimal points in {path}, or a name for each column, got whole numbers in more than "
            f"{columns} columns: decimal commas?"
        )
    return np.array(rows, np.float32).reshape(-1, 3)


def _check_columns(entries: list[str], path: Path, *, is_names: bool) -> None:
    """Refuse names of which a known one is at another place, or none is depth; a comment may be prose."""
    # Without units: u_px, depth [m]
    names = [re.split(r"[\s_\[(]", entry.strip(" #").lower())[0] for entry in entries]
    found = [next((at for at, name in enumerate(names) if name in known), None) for known in _COLUMNS]
    if not is_names and None in found[:2]:
        return
    is_point = names[:3] == ["x", "y", "z"]  # metres, not pixels
    lacks_depth = is_names and (len(names) < 3 or (found[2] is None and None not in found[:2]))
    if is_point or lacks_depth or any(at not in (None, place) for place, at in enumerate(found)):
        raise InvalidInputError(f"expected the columns u,v,depth in {path}, got {','.join(entries):.200}")
    depth_name = entries[2] if len(entries) > 2 else ""
    if any(_OTHER_UNITS.fullmatch(word) for word in re.findall(r"[a-z]+", depth_name.lower())):
        raise InvalidInputError(f"expected depth in metres in {path}, got the column {depth_name:.200}")


def _three_numbers(entries: list[str], where: str) -> list[float]:
    try:
        # Python would take 2_1234 for a number.
        numbers = [] if "_" in "".join(entries[:3]) else [float(entry) for entry in entries[:3]]
    except ValueError:
        numbers = []
    if len(numbers) < 3:
        raise InvalidInputError(f"expected u,v,depth in {where}, got {','.join(entries):.200}")
    return numbers


def find_pairs(folder: Path) -> list[RgbdPair]:
    """Find the pairs of a TUM RGB-D or ScanNet-like folder; none where it is neither.

    TUM RGB-D has `rgb.txt` and `depth.txt`, times and paths; ScanNet's exported scenes have `color/`,
    `depth/` and `intrinsic/intrinsic_color.txt` or `intrinsic_depth.txt`.

    Raises:
        InvalidInputError: A list or a matrix is broken.
    """
    if (folder / "rgb.txt").is_file() and (folder / "depth.txt").is_file():
        return [*_tum_pairs(folder)]
    if (folder / "color").is_dir() and (folder / "depth").is_dir():
        return [*_scannet_pairs(folder)]
    return []


def _tum_pairs(folder: Path) -> Iterator[RgbdPair]:
    depths = sorted(read_list(folder / "depth.txt"))
    times = [time_s for time_s, _ in depths]
    for time_s, name in sorted(read_list(folder / "rgb.txt")):
        at = bisect_left(times, time_s)
        near = min(depths[max(0, at - 1) : at + 1], key=lambda one: abs(one[0] - time_s), default=None)
        if near is not None and abs(near[0] - time_s) <= MAX_STAMP_DIFFERENCE_S:
            yield RgbdPair(Path(name).stem, folder / name, folder / near[1], 1 / DEPTH_UNITS_PER_METRE)


def _scannet_pairs(folder: Path) -> Iterator[RgbdPair]:
    found = [folder / "intrinsic" / f"intrinsic_{which}.txt" for which in ("color", "depth")]
    matrix = next((_matrix(path) for path in found if path.is_file()), None)
    images = [path for path in (folder / "color").iterdir() if path.suffix.lower() in (".jpg", ".png")]

    def order(path: Path) -> tuple[float, str]:
        return (int(path.stem) if path.stem.isdigit() else math.inf), path.stem

    for path in sorted(images, key=order):
        depth = folder / "depth" / f"{path.stem}.png"
        if depth.is_file():
            yield RgbdPair(path.stem, path, depth, MILLIMETRE_M, matrix)


def _matrix(path: Path) -> NDArray[np.float64]:
    try:
        values: NDArray[Any] = np.array([float(word) for word in read_text(path, 1 << 16).split()])
    except ValueError as error:
        raise InvalidInputError(f"expected numbers in {path}: {error}") from error
    side = math.isqrt(values.size)
    if values.size not in (9, 16):
        raise InvalidInputError(f"expected 3 x 3 or 4 x 4 numbers in {path}, got {values.size}")
    return np.asarray(values.reshape(side, side)[:3, :3], np.float64)
