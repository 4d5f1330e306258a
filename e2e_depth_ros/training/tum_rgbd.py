"""Sequences in the layout of TUM RGB-D (Sturm et al., IROS 2012), published or recorded by oneself."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.calibration_file import read_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import MAX_FILE_BYTES, decode_pixels, read_image
from e2e_depth_ros.core.tum_rgbd import DEPTH_UNITS_PER_METRE, MAX_STAMP_DIFFERENCE_S, read_list
from e2e_depth_ros.core.user_file import read_file
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.folders import FolderViews, check_same_size
from e2e_depth_ros.training.frame_folders import view_from_depth

_SIZE: Final = (480, 640)
# fx fy cx cy and plumb-bob distortion that the benchmark publishes for each of its cameras.
_PUBLISHED: Final = {
    "freiburg1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}


class _Pair(NamedTuple):
    image: Path
    depth: Path
    camera: Camera
    scene: str


class TumRgbdViews(FolderViews):
    """The images of one sequence, or of all sequences in a folder, that have depth within 0.02 s.

    A sequence holds `rgb.txt` and `depth.txt` (lines of stamp and path) and what they name: images, and
    16-bit depth images registered to them, 5000 to the metre. Its camera is `camera_info.yaml` beside them,
    or else the published one where the folder's name has freiburg1, freiburg2 or freiburg3.

    Args:
        folder: See above.

    Raises:
        InvalidInputError: There is no such sequence, a list can't be read, or no camera is known.
    """

    def __init__(self, folder: Path) -> None:
        sequences = [
            path.parent for path in (folder / "rgb.txt", *sorted(folder.glob("*/rgb.txt"))) if path.is_file()
        ]
        if not sequences:
            raise InvalidInputError(f"expected a TUM RGB-D sequence in {folder}, missing rgb.txt")
        self._pairs = [pair for sequence in sequences for pair in _pairs(sequence)]

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def scenes(self) -> list[str]:
        """Sequence of each view."""
        return [pair.scene for pair in self._pairs]

    def __getitem__(self, index: int) -> View:
        pair = self._pairs[index]
        image = read_image(pair.image)
        stored = decode_pixels(read_file(pair.depth, MAX_FILE_BYTES), pair.depth, cv2.IMREAD_UNCHANGED)
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise InvalidInputError(
                f"expected a PNG of 16 bits in {pair.depth}, got {stored.dtype} {stored.shape}"
            )
        check_same_size(image, [(pair.depth, stored)])
        return view_from_depth(image, stored.astype(np.float32) / DEPTH_UNITS_PER_METRE, pair.camera)


def _pairs(sequence: Path) -> list[_Pair]:
    camera = _camera(sequence)
    image_s, images = _stamps_and_files(sequence / "rgb.txt")
    depth_s, depths = _stamps_and_files(sequence / "depth.txt")
    pairs = [
        _Pair(sequence / images[image], sequence / depths[depth], camera, sequence.name)
        for image, depth in _associated(image_s, depth_s)
    ]
    if not pairs:
        raise InvalidInputError(
            f"expected images with depth within {MAX_STAMP_DIFFERENCE_S} s in {sequence}, found none"
        )
    missing = [path for pair in pairs for path in (pair.image, pair.depth) if not path.is_file()]
    if missing:
        raise InvalidInputError(
            f"expected all files that {sequence} lists, missing {len(missing)}: {missing[0]}"
        )
    return pairs


def _associated(image_s: NDArray[np.float64], depth_s: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair images with depth of about their time: each with one at most, the closest pairs first."""
    order = np.argsort(depth_s)
    after = np.searchsorted(depth_s[order], image_s)
    near = order[np.clip([after - 1, after], 0, len(order) - 1)]
    apart = np.abs(depth_s[near] - image_s)
    images, depths = np.arange(len(image_s)), near[apart.argmin(axis=0), np.arange(len(image_s))]
    image_of_depth: dict[int, int] = {}
    for image in images[np.argsort(apart.min(axis=0), kind="stable")]:
        if apart[:, image].min() <= MAX_STAMP_DIFFERENCE_S:
            image_of_depth.setdefault(int(depths[image]), int(image))
    return sorted((image, depth) for depth, image in image_of_depth.items())


def _stamps_and_files(path: Path) -> tuple[NDArray[np.float64], list[str]]:
    lines = read_list(path)
    if not lines:
        raise InvalidInputError(f"expected lines of stamp and file in {path}, found none")
    return np.array([stamp for stamp, _ in lines]), [name for _, name in lines]


def _camera(sequence: Path) -> Camera:
    own = sequence / "camera_info.yaml"
    if own.is_file():
        return read_calibration(own)
    name = next((name for name in _PUBLISHED if name in sequence.resolve().name), None)
    if name is None:
        raise InvalidInputError(
            f"expected camera_info.yaml in {sequence}, or the name of a published sequence, "
            f"with {' or '.join(_PUBLISHED)}"
        )
    (fx, fy, cx, cy), distortion = _PUBLISHED[name]
    return Camera.from_calibration(
        size=_SIZE,
        intrinsics=[fx, 0, cx, 0, fy, cy, 0, 0, 1],
        distortion_model="plumb_bob",
        distortion=distortion,
    )
