"""Hypersim (Roberts et al., arXiv 2011.02523) from its published folders."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.core.image_files import read_image
from e2e_depth_ros.core.user_file import check_file
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.folders import FolderViews, check_same_size, without_invalid

FAR_M = 65.0
SPLIT_FILE = "metadata_images_split_scene_v1.csv"
FOCAL_PX = 886.81
"""At 1024 x 768, of a scene's default camera; scales with the width."""

_WIDTH_PX = 1024
_COLUMNS = {"scene_name", "camera_name", "frame_id", "included_in_public_release", "split_partition_name"}
_OPTICAL_FROM_HYPERSIM = np.array([1, -1, -1], dtype=np.float32)


class _Frame(NamedTuple):
    scene: str
    image: Path
    distance: Path
    normals: Path


class HypersimViews(FolderViews):
    """The public images of one part of Hypersim's official split.

    The folder holds the split's table, `metadata_images_split_scene_v1.csv` (from the data set's repository),
    and for each of its frames, as the archives unpack:
    `ai_001_001/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg`, and in
    `ai_001_001/images/scene_cam_00_geometry_hdf5/` `frame.0000.depth_meters.hdf5` and
    `frame.0000.normal_cam.hdf5`.

    `depth_meters` is the distance to the camera's centre: Z follows by the pinhole of the default camera, as
    in Marigold and E2E-FT. (Some scenes have a tilted lens, for which this is an approximation.) Normals are
    turned into the optical frame, and towards the camera where the mesh had them face away. To train on some
    scenes alone, cut the table down to them.

    Args:
        folder: See above.
        part: Of the split: "train", "val" or "test".

    Raises:
        InvalidInputError: The folder is not that data set, or not all of the part is there.
        MissingDependencyError: h5py isn't installed.
    """

    def __init__(self, folder: Path, part: str = "train") -> None:
        _import_h5py()
        self._rays: dict[tuple[int, ...], NDArray[np.float32]] = {}
        self._frames = _frames(folder, part)
        for kind in ("image", "distance", "normals"):
            missing = [frame for frame in self._frames if not getattr(frame, kind).is_file()]
            if missing:
                path = getattr(missing[0], kind).relative_to(folder)
                raise InvalidInputError(
                    f"expected the {kind} of each {part} image of Hypersim in {folder}, missing for "
                    f"{len(missing)} of {len(self._frames)}: {path}, ..."
                )

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def scenes(self) -> list[str]:
        """Scene of each view."""
        return [frame.scene for frame in self._frames]

    def __getitem__(self, index: int) -> View:
        frame = self._frames[index]
        image = read_image(frame.image)
        distance_m, normals = _read_hdf5(frame.distance, 2), _read_hdf5(frame.normals, 3)
        check_same_size(image, [(frame.distance, distance_m), (frame.normals, normals)])
        rays = self._rays.get(distance_m.shape)
        if rays is None:
            rays = self._rays[distance_m.shape] = rays_of(distance_m.shape)
        # Z is the distance's share along the optical axis: the ray is (x, y, 1), its length |ray| for Z = 1.
        depth_m = distance_m / np.linalg.norm(rays, axis=-1)
        normals = normals * _OPTICAL_FROM_HYPERSIM
        away = (normals * rays).sum(axis=-1, keepdims=True) > 0
        return View(image, *without_invalid(depth_m, np.where(away, -normals, normals), FAR_M))


def rays_of(size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the rays (x, y, 1) of the default camera's pixels in the optical frame, (H, W, 3)."""
    height, width = size
    focal_px = FOCAL_PX * width / _WIDTH_PX
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (u - (width - 1) / 2) / focal_px, (v - (height - 1) / 2) / focal_px
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _frames(folder: Path, part: str) -> list[_Frame]:
    table = folder / SPLIT_FILE
    try:
        check_file(table)
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            absent = _COLUMNS - set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error, InvalidInputError) as error:
        raise InvalidInputError(
            f"expected Hypersim in {folder}, missing {SPLIT_FILE}, "
            f"the table of its official split in the data set's repository ({error})"
        ) from error
    if absent:
        raise InvalidInputError(
            f"expected the columns of Hypersim's split in {table}, missing {', '.join(sorted(absent))}"
        )
    frames = [
        _frame(folder, row)
        for row in rows
        if row["included_in_public_release"] == "True" and row["split_partition_name"] == part
    ]
    if not frames:
        raise InvalidInputError(f"expected public images of the part {part!r} in {table}, found none")
    return frames


def _frame(folder: Path, row: dict[str, str]) -> _Frame:
    images = folder / row["scene_name"] / "images"
    stem = f"frame.{int(row['frame_id']):04d}"
    geometry = images / f"scene_{row['camera_name']}_geometry_hdf5"
    return _Frame(
        row["scene_name"],
        images / f"scene_{row['camera_name']}_final_preview" / f"{stem}.tonemap.jpg",
        geometry / f"{stem}.depth_meters.hdf5",
        geometry / f"{stem}.normal_cam.hdf5",
    )


def _read_hdf5(path: Path, dimensions: int) -> NDArray[np.float32]:
    try:
        check_file(path)
        with _import_h5py().File(path, "r") as file:
            array = np.asarray(file["dataset"], dtype=np.float32)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"expected an HDF5 file with 'dataset' in {path}, got an unreadable one: {error}"
        ) from error
    if array.ndim != dimensions or (dimensions == 3 and array.shape[-1] != 3):
        raise InvalidInputError(
            f"expected {'(H, W, 3)' if dimensions == 3 else '(H, W)'} in {path}, got {array.shape}"
        )
    return array


def _import_h5py() -> Any:
    try:
        import h5py  # noqa: PLC0415 - only this data set needs it
    except ImportError as error:
        raise MissingDependencyError(
            "Hypersim's depth and normals are HDF5: pip install 'e2e_depth_ros[hypersim]' (h5py)"
        ) from error
    return h5py
