"""Training images in files of up to a thousand: small, checked, and without pickle.

A shard is one `.npz` of plain arrays. For each image it holds a JPEG (quality 92, 4:4:4), depth as a 16-bit
PNG of log depth, normals as an 8-bit PNG, the focal length, the pose and where the image came from:
about 30 kB at 144 x 192.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.array_file import read_npz
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import CAMERA_FORMATS, decode_pixels

FORMAT = "e2e_depth_ros shard 1"
MAX_SAMPLES = 1000
JPEG_QUALITY = 92
MIN_DEPTH_M = 0.05
MAX_DEPTH_M = 655.0

_FIELDS = (
    "format",
    "image_bytes",
    "image_ends",
    "depth_bytes",
    "depth_ends",
    "normals_bytes",
    "normals_ends",
    "focal_px",
    "world_from_camera",
    "kind",
    "kind_names",
    "scene",
)


_ENCODED = ("image", "depth", "normals")
# Kinds of dtype, and the shape of one entry.
_FORMS: dict[str, tuple[Any, ...]] = {
    **{f"{name}_bytes": ("u",) for name in _ENCODED},
    **{f"{name}_ends": ("iu",) for name in _ENCODED},
    "focal_px": ("f",),
    "world_from_camera": ("f", 4, 4),
    "kind": ("iu",),
    "kind_names": ("U",),
    "scene": ("iu",),
}


class ShardError(InvalidInputError):
    """A file is not a whole shard of this format."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One training image with its exact geometry.

    Convention:
        Camera optical frame: x right, y down, z forward. Pixel (0, 0) is centred at (0, 0); pixels are
        square, the principal point is the image centre ((W - 1) / 2, (H - 1) / 2). Depth is z, not ray
        length. Normals point towards the camera.

    Attributes:
        image: (H, W, 3), uint8, RGB (sRGB).
        depth_m: (H, W), float32, metres; 0 where there is none (sky, or a view through a window).
        normals: (H, W, 3), float32, unit length; 0, 0, 0 where there is none.
        focal_px: Focal length, pixels.
        kind: The kind of scene, say "room".
        scene: Number of the scene; images with the same number show the same scene.
        world_from_camera: (4, 4), float64, pose of the optical frame in a world with z up; None if unknown.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32]
    focal_px: float
    kind: str
    scene: int
    world_from_camera: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        _check("image", self.image, (*size, 3), np.dtype(np.uint8))
        _check("depth_m", self.depth_m, size, np.dtype(np.float32))
        _check("normals", self.normals, (*size, 3), np.dtype(np.float32))
        if not (np.isfinite(self.focal_px) and self.focal_px > 0):
            raise InvalidInputError(f"expected a positive focal length in pixels, got {self.focal_px}")
        if self.world_from_camera is not None and self.world_from_camera.shape != (4, 4):
            raise InvalidInputError(f"expected a pose of shape (4, 4), got {self.world_from_camera.shape}")


class Shard(Sequence[Sample]):
    """The samples of one file, decoded one by one when they are asked for."""

    def __init__(self, path: Path, arrays: dict[str, NDArray[Any]]) -> None:
        self.path = path
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays["focal_px"])

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        arrays = self._arrays
        pose = np.asarray(arrays["world_from_camera"][index], dtype=np.float64)
        return Sample(
            image=self._decode("image", index),
            depth_m=depth_from_code(self._decode("depth", index)),
            normals=normals_from_code(self._decode("normals", index)),
            focal_px=float(arrays["focal_px"][index]),
            kind=str(arrays["kind_names"][int(arrays["kind"][index])]),
            scene=int(arrays["scene"][index]),
            world_from_camera=pose if np.isfinite(pose).all() else None,
        )

    @property
    def scenes(self) -> set[int]:
        """The numbers of the scenes, without decoding a sample."""
        return {int(scene) for scene in self._arrays["scene"]}

    @property
    def origins(self) -> list[tuple[str, int]]:
        """Kind and number of each sample's scene, without decoding one."""
        names = [str(self._arrays["kind_names"][int(kind)]) for kind in self._arrays["kind"]]
        return list(zip(names, map(int, self._arrays["scene"]), strict=True))

    @property
    def kinds(self) -> Counter[str]:
        """How many samples there are of each kind, without decoding one."""
        return Counter(kind for kind, _ in self.origins)

    def _decode(self, name: str, index: int) -> NDArray[Any]:
        ends = self._arrays[f"{name}_ends"]
        begin = int(ends[index - 1]) if index else 0
        encoded = self._arrays[f"{name}_bytes"][begin : int(ends[index])]
        label = f"{name} {index} of {self.path}"
        try:
            decoded = decode_pixels(encoded.tobytes(), label, cv2.IMREAD_UNCHANGED, formats=CAMERA_FORMATS)
        except InvalidInputError as error:
            raise ShardError(str(error)) from error
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if decoded.ndim == 3 else decoded


def write_shard(path: Path, samples: Iterable[Sample]) -> None:
    """Write one shard; a reader sees the whole file or none.

    Depth outside 0.05 m to 655 m is stored as invalid. Depth keeps 7e-5 of its value, normals 0.4 degrees.

    Args:
        path: The file to write, `.npz`.
        samples: 1 to 1,000 samples; their sizes may differ.

    Raises:
        InvalidInputError: There are no samples or too many, or one holds NaN.
    """
    samples = list(samples)
    if not 1 <= len(samples) <= MAX_SAMPLES:
        raise InvalidInputError(f"expected 1 to {MAX_SAMPLES} samples for a shard, got {len(samples)}")
    for index, sample in enumerate(samples):
        if not (np.isfinite(sample.depth_m).all() and np.isfinite(sample.normals).all()):
            raise InvalidInputError(
                f"expected finite depth and normals (0 = invalid), got NaN in sample {index}"
            )
    names = sorted({sample.kind for sample in samples})
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "focal_px": np.array([sample.focal_px for sample in samples], dtype=np.float64),
        "world_from_camera": np.stack([_pose_or_nan(sample) for sample in samples]),
        "kind": np.array([names.index(sample.kind) for sample in samples], dtype=np.uint8),
        "kind_names": np.array(names),
        "scene": np.array([sample.scene for sample in samples], dtype=np.int64),
    }
    encoded = {
        "image": [encode_image(sample.image) for sample in samples],
        "depth": [encode_png(code_from_depth(sample.depth_m)) for sample in samples],
        "normals": [encode_png(code_from_normals(sample.normals)) for sample in samples],
    }
    for name, chunks in encoded.items():
        arrays[f"{name}_bytes"] = np.concatenate(chunks)
        arrays[f"{name}_ends"] = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
    # Written whole under another name first, so that a stopped run leaves no half shard behind.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        np.savez(file, **cast("Any", arrays))
    temporary.replace(path)


def read_shard(path: Path) -> Shard:
    """Read one shard into memory, still encoded.

    Raises:
        ShardError: The file is truncated, corrupt, or of another format.
    """
    try:
        arrays = read_npz(path, _FIELDS)
    except InvalidInputError as error:
        raise ShardError(f"expected a whole shard: {error}") from error
    if str(arrays["format"]) != FORMAT:
        raise ShardError(f"expected format {FORMAT!r} in {path}, got {str(arrays['format'])!r}")
    _check_arrays(path, arrays)
    return Shard(path, arrays)


def find_shards(folder: Path) -> list[Path]:
    """Return the shards of a folder, in the order of their names.

    Raises:
        InvalidInputError: There is none.
    """
    paths = sorted(path for path in Path(folder).glob("*.npz") if not path.name.startswith("."))
    if not paths:
        raise InvalidInputError(f"expected shards (*.npz) in {folder}, found none")
    return paths


def glob_shards(pattern: str) -> list[Path]:
    """Return the shards that a recipe's glob names, by path; `**` is any depth of folders."""
    return sorted(Path(path) for path in glob.glob(pattern, recursive=True))  # noqa: PTH207 - may be absolute


def code_from_depth(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Encode metres as 1..65535, evenly spaced in log depth; 0 is invalid."""
    inside = (depth_m >= MIN_DEPTH_M) & (depth_m <= MAX_DEPTH_M)
    fraction = np.log(np.where(inside, depth_m, 1.0) / MIN_DEPTH_M) / np.log(MAX_DEPTH_M / MIN_DEPTH_M)
    return np.where(inside, np.rint(1 + 65534 * fraction), 0).astype(np.uint16)


def depth_from_code(code: NDArray[Any]) -> NDArray[np.float32]:
    """Decode what `code_from_depth` made: metres, 0 where invalid."""
    return np.asarray(_depth_table()[code])


def code_from_normals(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Encode unit vectors as 128 + 127 n; 0, 0, 0 is invalid."""
    valid = np.abs(normals).sum(axis=-1, keepdims=True) > 0
    return np.where(valid, np.rint(128 + 127 * np.clip(normals, -1, 1)), 0).astype(np.uint8)


def normals_from_code(code: NDArray[Any]) -> NDArray[np.float32]:
    """Decode what `code_from_normals` made: unit vectors, 0 where invalid."""
    vectors = code.astype(np.float32) - 128
    vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return np.where((code == 0).all(axis=-1, keepdims=True), np.float32(0), vectors)


def encode_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Encode RGB as a JPEG, without chroma subsampling where OpenCV knows how (from 4.7 on)."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR"):
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)


def encode_png(code: NDArray[Any]) -> NDArray[np.uint8]:
    """Encode one or three channels as a PNG, the first channel as red."""
    channels = cv2.cvtColor(code, cv2.COLOR_RGB2BGR) if code.ndim == 3 else code
    return _encoded(".png", channels, [cv2.IMWRITE_PNG_COMPRESSION, 6])


@cache
def _depth_table() -> NDArray[np.float32]:
    """Return the metres of each code, (65536,)."""
    steps = np.arange(65536, dtype=np.float64)
    metres = MIN_DEPTH_M * np.exp((steps - 1) / 65534 * np.log(MAX_DEPTH_M / MIN_DEPTH_M))
    metres[0] = 0
    return np.asarray(metres, dtype=np.float32)


def _encoded(suffix: str, image: NDArray[Any], options: list[int]) -> NDArray[np.uint8]:
    done, encoded = cv2.imencode(suffix, image, options)
    if not done:
        raise InvalidInputError(f"expected an image that {suffix} can hold, got {image.shape} {image.dtype}")
    return np.asarray(encoded, dtype=np.uint8).reshape(-1)


def _check(name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if array.shape != shape or array.dtype != dtype or array.size == 0:
        raise InvalidInputError(
            f"expected {name} of shape {shape} and {dtype}, got {array.shape} and {array.dtype}"
        )


def _pose_or_nan(sample: Sample) -> NDArray[np.float64]:
    pose = sample.world_from_camera
    return np.full((4, 4), np.nan) if pose is None else np.asarray(pose, dtype=np.float64)


def _check_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Make sure that every sample can be found in its arrays."""
    count = arrays["focal_px"].size
    if not 1 <= count <= MAX_SAMPLES:
        raise ShardError(f"expected 1 to {MAX_SAMPLES} samples in {path}, got {count}")
    lengths = {name: count for name in _FIELDS if name not in ("format", "kind_names")}
    lengths |= {f"{name}_bytes": arrays[f"{name}_bytes"].size for name in _ENCODED}
    for name, (kinds, *inner) in _FORMS.items():
        array, shape = arrays[name], (lengths.get(name, arrays[name].size), *inner)
        if array.dtype.kind not in kinds or array.shape != shape:
            raise ShardError(
                f"expected {name} of shape {shape} in {path}, got {array.dtype} of shape {array.shape}"
            )
    for name in _ENCODED:
        ends, size = arrays[f"{name}_ends"].astype(np.int64), arrays[f"{name}_bytes"].size
        if int(ends[-1]) != size:
            raise ShardError(f"expected {int(ends[-1])} bytes in {name}_bytes of {path}, got {size}")
        if (np.diff(ends, prepend=0) < 0).any():
            raise ShardError(f"expected {name}_ends in ascending order in {path}")
    kinds_named = arrays["kind_names"].size
    if not (arrays["kind"] < kinds_named).all() or (arrays["kind"] < 0).any():
        raise ShardError(f"expected kinds 0 to {kinds_named - 1} in {path}, got {arrays['kind'].max()}")
