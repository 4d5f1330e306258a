"""Images and frames on disk: what to predict, and what was measured there.

A frame folder holds `image.jpg` or `image.png` and, as far as they are known:

- `camera_info.yaml`: the calibration, as ROS's camera_calibration writes it.
- `depth.npz`: `depth` (H, W), float32, metres along Z, NaN where nothing was measured; registered to the
  image.
- `points.npz`: `points` (N, 3), float32, metres, in the sensor's frame; `camera_from_points` (4, 4), float64.
- `pose.npz`: `world_from_camera` (4, 4), float64, the pose of the raw optical frame in a world that the
  frames of one set share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.array_file import read_npz
from e2e_depth_ros.core.calibration_file import read_calibration, write_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import read_image
from e2e_depth_ros.core.intrinsics import checked_pose
from e2e_depth_ros.core.user_file import check_file

IMAGE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".heic", ".heif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)

OUTPUT_MARK = ".e2e_depth_predict.json"
"""A file in the output folder of `predict`, which is never an input."""

_SHARDS = "shard-*.npz"
_RECORDINGS = (".mcap", ".db3", ".bag")

_ALSO_MEASURED = ("depth.png", "samples.csv")  # which `predict` reads: see `offline.measured_files`
_CAMERA, _DEPTH, _POINTS, _POSE = "camera_info.yaml", "depth.npz", "points.npz", "pose.npz"


class MeasuredFrame(Protocol):
    """One image and what was measured there, wherever it is stored; see `Frame`."""

    @property
    def name(self) -> str:
        """What to call it; no other frame has this name."""
        ...

    @property
    def group(self) -> str:
        """The set that it belongs to: scores are means over sets."""
        ...

    @property
    def sequence(self) -> str:
        """Frames of one sequence that follow each other are views of one scene."""
        ...

    def read_image(self) -> NDArray[np.uint8]:
        """Read the image, (H, W, 3), uint8, RGB."""
        ...

    def read_camera(self) -> Camera | None:
        """Read the calibration; None where there is none."""
        ...

    def read_depth(self) -> NDArray[np.float32] | None:
        """Read the measured depth, (H, W), metres, NaN where there is none; None without any."""
        ...

    def read_points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Read measured points (N, 3), metres, and `camera_from_points` (4, 4); None without any."""
        ...

    def read_pose(self) -> NDArray[np.float64] | None:
        """Read `world_from_camera`, (4, 4); None where it is unknown."""
        ...


@dataclass(frozen=True)
class Frame:
    """One image, and the folder with its calibration and measurements if it has one.

    Attributes:
        image_path: The image.
        name: Path of the frame folder, or of the image without suffix, relative to what was searched.
        group: The set that it belongs to: the folder around it.
        folder: The frame folder; None for a plain image.
        rivals: Further images of the frame folder, which could as well be its image.
    """

    image_path: Path
    name: str
    group: str
    folder: Path | None = None
    rivals: tuple[Path, ...] = ()

    @property
    def sequence(self) -> str:
        """The frames of a folder are taken as a sequence, in the order of their names."""
        return self.group

    @property
    def is_measured(self) -> bool:
        """Whether there is depth or points beside the image."""
        return self._path(_DEPTH) is not None or self._path(_POINTS) is not None

    def read_image(self) -> NDArray[np.uint8]:
        """Read the image, (H, W, 3), uint8, RGB. Plain photos are turned upright, as their tags say.

        Raises:
            InvalidInputError: It can't be read whole, or is one of several in its frame folder.
        """
        if self.rivals:
            names = " and ".join(path.name for path in (self.image_path, *self.rivals))
            raise InvalidInputError(f"expected one image in {self.folder}, got {names}")
        return read_image(self.image_path, upright=self.folder is None)

    def read_camera(self) -> Camera | None:
        """Read the calibration; None where there is none.

        Raises:
            InvalidInputError: It can't be read.
        """
        path = self._path(_CAMERA)
        return read_calibration(path) if path else None

    def read_depth(self) -> NDArray[np.float32] | None:
        """Read the measured depth, (H, W), metres, NaN where there is none; None without such a file.

        Raises:
            InvalidInputError: It can't be read or is not a depth image.
        """
        path = self._path(_DEPTH)
        if path is None:
            return None
        depth = _read_array(path, "depth")
        if depth.ndim != 2 or depth.size == 0:
            raise InvalidInputError(f"expected depth of shape (H, W) in {path}, got {depth.shape}")
        depth = depth.astype(np.float32)
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))

    def read_points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Read the measured points.

        Returns:
            Points (N, 3), metres, in the sensor's frame, and `camera_from_points` (4, 4), which takes them to
            the camera's raw optical frame; None without such a file.

        Raises:
            InvalidInputError: The file can't be read or holds something else.
        """
        path = self._path(_POINTS)
        if path is None:
            return None
        points = _read_array(path, "points")
        if points.ndim != 2 or points.shape[1] != 3:
            raise InvalidInputError(f"expected points of shape (N, 3) in {path}, got {points.shape}")
        return points.astype(np.float32), _read_pose(path, "camera_from_points")

    def read_pose(self) -> NDArray[np.float64] | None:
        """Read the pose `world_from_camera`, (4, 4), of the raw optical frame; None without such a file.

        Raises:
            InvalidInputError: The file can't be read or holds something else.
        """
        path = self._path(_POSE)
        return _read_pose(path, "world_from_camera") if path else None

    def _path(self, name: str) -> Path | None:
        path = self.folder / name if self.folder else None
        return path if path and path.exists() else None


def write_frame(
    folder: Path,
    rgb: NDArray[np.uint8],
    camera: Camera,
    *,
    depth_m: NDArray[Any] | None = None,
    points_m: NDArray[Any] | None = None,
    camera_from_points: NDArray[Any] | None = None,
) -> None:
    """Write a frame folder.

    Args:
        folder: Made if it does not exist.
        rgb: (H, W, 3), uint8.
        camera: The raw camera.
        depth_m: (H, W), metres, NaN where there is no measurement.
        points_m: (N, 3), metres, in the sensor's frame.
        camera_from_points: (4, 4), takes them to the camera's optical frame; by default they are in it.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    (folder / "image.png").write_bytes(encoded.tobytes())
    write_calibration(folder / _CAMERA, camera)
    if depth_m is not None:
        np.savez_compressed(folder / _DEPTH, depth=depth_m.astype(np.float32))
    if points_m is not None:
        pose = np.eye(4) if camera_from_points is None else np.asarray(camera_from_points, np.float64)
        points = points_m.astype(np.float32)
        np.savez_compressed(folder / _POINTS, points=points, camera_from_points=pose)


def is_recording(path: Path) -> bool:
    """Whether a path is that of a bag: a file, or a folder of rosbag2."""
    return path.suffix.lower() in _RECORDINGS or (path / "metadata.yaml").is_file()


def shards_in(path: Path) -> list[Path]:
    """Return the shards that a path is or holds: files with many rendered images each, and their truth."""
    return [path] if path.suffix == ".npz" else sorted(path.glob(_SHARDS)) if path.is_dir() else []


def holds_results(folder: Path) -> bool:
    """Whether the pictures in a folder were made of other images: by `predict`, or of what shards hold."""
    return (folder / OUTPUT_MARK).exists() or bool(shards_in(folder))


def find_frames(inputs: Iterable[Path | str], *, exclude: Path | None = None) -> list[Frame]:
    """Find images, frame folders, and whatever of both lies below folders.

    Names are relative to the input that the image was found in. Where several inputs would give the same
    name twice, they begin with the name of the input folder; where several images would, they end with the
    suffix: a_jpg and a_png.

    Args:
        inputs: Images, frame folders, or folders of them at any depth.
        exclude: A folder to leave out, say the output of an earlier run.

    Returns:
        The frames, in the order of the inputs and of their names.

    Raises:
        InvalidInputError: An input does not exist, there is no image, or two would have one name.
    """
    skipped = exclude.resolve() if exclude else None
    frames: list[Frame] = []
    prefixed: list[Frame] = []
    for given in map(Path, inputs):
        if not given.is_dir():
            check_file(given)
            if given.suffix.lower() not in IMAGE_SUFFIXES:
                raise InvalidInputError(f"expected an image or a folder, got {given}{_kind(given)}")
            found = [Frame(given, given.stem, given.resolve().parent.name)]
            prefixed += found
        else:
            found = list(_walk(given, given, skipped, set()))
            if not found:
                raise InvalidInputError(
                    f"expected images or frame folders in {given}, found none{_kind(given)}"
                )
            prefixed += [replace(one, name=f"{given.resolve().name}/{one.name}") for one in found]
        frames += found
    if len({frame.name for frame in frames}) == len(frames):
        return frames
    distinct = _distinct(prefixed)
    _check_names(distinct)
    return distinct


def _kind(given: Path) -> str:
    """Say what an input without frames is, and what takes it."""
    if is_recording(given):
        return ": a recording, which e2e-depth bag reads"
    if shards_in(given):
        return ": shards of images with their truth, which e2e-depth evaluate and gallery read"
    return ""


def _walk(folder: Path, root: Path, skipped: Path | None, seen: set[Path]) -> Iterator[Frame]:
    resolved = folder.resolve()
    if resolved == skipped or resolved in seen:  # links may lead in circles
        return
    if holds_results(folder):
        return
    seen.add(resolved)
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    images = [e for e in entries if e.suffix.lower() in IMAGE_SUFFIXES and e.is_file()]
    own = [image for image in images if image.stem == "image"]
    has_more = any((folder / name).exists() for name in (_CAMERA, _DEPTH, _POINTS, _POSE, *_ALSO_MEASURED))
    if has_more and (own or not images):
        # That it is missing, or one of several, is told when it is read.
        image, *rivals = own or [folder / "image.png"]
        names = (resolved.name, resolved.parent.name) if folder == root else _name_and_group(folder, root)
        yield Frame(image, *names, folder, tuple(rivals))
        return
    for image in images:
        yield Frame(image, *_name_and_group(image.with_suffix(""), root))
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, root, skipped, seen)


def _name_and_group(path: Path, root: Path) -> tuple[str, str]:
    relative = path.relative_to(root)
    group = relative.parent.as_posix()
    return relative.as_posix(), root.resolve().name if group == "." else group


def _distinct(frames: list[Frame]) -> list[Frame]:
    counts = Counter(frame.name for frame in frames)
    return [
        replace(frame, name=f"{frame.name}_{frame.image_path.suffix[1:].lower()}")
        if counts[frame.name] > 1 and frame.folder is None
        else frame
        for frame in frames
    ]


def _check_names(frames: list[Frame]) -> None:
    first: dict[str, Frame] = {}
    for frame in frames:
        other = first.setdefault(frame.name, frame)
        if other is not frame:
            raise InvalidInputError(
                f"expected images of different names, but {other.image_path} and {frame.image_path} "
                f"would both be {frame.name}"
            )


def _read_array(path: Path, key: str) -> NDArray[Any]:
    array = read_npz(path, (key,))[key]
    if array.dtype.kind not in "fiu":
        raise InvalidInputError(f"expected numbers as {key!r} in {path}, got {array.dtype}")
    return array


def _read_pose(path: Path, key: str) -> NDArray[np.float64]:
    values = _read_array(path, key)
    try:
        return checked_pose(values, key)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
