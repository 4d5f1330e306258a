"""Frames to score: frame folders, recordings, and shards of renders, which hold the truth with each image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import Frame, MeasuredFrame, find_frames, is_recording, shards_in
from e2e_depth_ros.training.shards import Sample, Shard, read_shard

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """One image of a shard; its set is the kind of its scene.

    Attributes:
        shard: The shard, in memory, still encoded.
        index: Number of the image in it.
        name: Folder, shard and index.
        group: Kind of the scene.
        sequence: Folder and number of the scene.
    """

    shard: Shard
    index: int
    name: str
    group: str
    sequence: str

    def read_image(self) -> NDArray[np.uint8]:
        """Return the image, (H, W, 3), uint8, RGB."""
        return self._sample().image

    def read_camera(self) -> Camera:
        """Return the pinhole camera; its principal point is the middle of the image."""
        sample = self._sample()
        height, width = sample.depth_m.shape
        focal_px = sample.focal_px
        intrinsics = [[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]]
        return Camera((height, width), np.array(intrinsics))

    def read_depth(self) -> NDArray[np.float32]:
        """Return true depth, (H, W), metres, NaN in the sky and in windows' views."""
        depth_m = self._sample().depth_m
        return np.where(depth_m > 0, depth_m, np.float32(np.nan))

    def read_points(self) -> None:
        """Return None: depth is dense."""

    def read_pose(self) -> NDArray[np.float64] | None:
        """Return `world_from_camera`, (4, 4); None if the shard does not know it."""
        return self._sample().world_from_camera

    def _sample(self) -> Sample:
        return self.shard[self.index]


def find_measured_frames(
    inputs: Iterable[Path],
    console: Console,
    exclude: Path | None = None,
    topics: Mapping[str, str] | None = None,
) -> Sequence[MeasuredFrame]:
    """Find frame folders and the images of shards and bags; plain images are left out.

    Args:
        inputs: Frame folders, folders of them, shards, folders with shards, or bags.
        console: Where it is told what is left out.
        exclude: A folder to leave out.
        topics: Of bags, by input, as `BagFrames` takes them.

    Raises:
        InvalidInputError: An input does not exist, holds nothing to score, or names are not unique; or topics
            are given and no bag.
    """
    found = find_all_frames(inputs, exclude, topics, lambda words: console.print(words, markup=False))
    frames = [frame for frame in found if not (isinstance(frame, Frame) and frame.folder is None)]
    if not frames:
        raise InvalidInputError(f"expected frame folders with measurements, found {len(found)} plain images")
    if len(frames) < len(found):
        console.print(f"{len(found) - len(frames)} plain images without measurements are left out")
    return frames


def find_all_frames(
    inputs: Iterable[Path],
    exclude: Path | None = None,
    topics: Mapping[str, str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Sequence[MeasuredFrame]:
    """Find images, frame folders, and the images of shards and bags; those of shards and bags come first.

    Args:
        inputs: See `find_measured_frames`, as for the others; and images.
        exclude: A folder to leave out.
        topics: Of bags.
        tell: Told what is left out of bags.

    Raises:
        InvalidInputError: An input does not exist, holds no image, or names are not unique; or topics are
            given and no bag.
    """
    inputs = list(inputs)
    if topics and not any(map(is_recording, inputs)):
        named = ", ".join(f"--{name.replace('_', '-')}" for name in topics)
        raise InvalidInputError(f"expected a bag with {named}, got {', '.join(map(str, inputs))}")
    frames: list[MeasuredFrame] = []
    folders: list[Path] = []
    for given in inputs:
        shards = shards_in(given)
        if is_recording(given):
            frames += _frames_of_bag(given, topics or {}, tell)
        elif not shards:
            folders.append(given)
        for path in shards:
            frames += _frames_of_shard(path)
    if len({frame.name for frame in frames}) < len(frames):
        raise InvalidInputError("expected bags and folders of shards of different names, got two of one name")
    return [*frames, *(find_frames(folders, exclude=exclude) if folders else [])]


def _frames_of_bag(
    path: Path, topics: Mapping[str, str], tell: Callable[[str], None] | None
) -> Sequence[MeasuredFrame]:
    from e2e_depth_ros.ros.recordings.bag_frames import BagFrames  # noqa: PLC0415 - only bags need ROS

    frames = BagFrames(path, topics)
    if tell and frames.left_out:
        of = frames.left_out + len(frames)
        tell(f"{frames.left_out} of {of} images of {frames.name} are left out{frames.why}")
    return frames


def _frames_of_shard(path: Path) -> list[RenderedFrame]:
    shard = read_shard(path)
    folder = path.resolve().parent.name
    return [
        RenderedFrame(shard, index, f"{folder}/{path.stem}/{index:04d}", kind, f"{folder}/{scene}")
        for index, (kind, scene) in enumerate(shard.origins)
    ]
