"""What `predict` looks at: images, frame folders, RGB-D folders and videos, one image after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import IMAGE_SUFFIXES, Frame, find_frames, holds_results
from e2e_depth_ros.core.stored_depth import MILLIMETRE_M
from e2e_depth_ros.offline.measured_files import SAMPLES_FILE, RgbdPair, find_pairs, read_depth_png
from e2e_depth_ros.offline.videos import DEFAULT_FPS, VIDEO_SUFFIXES, VideoReader

_DIGITS: Final = 6  # of an image's number in a video
_QUIET: Final = frozenset((".npy", ".npz", ".yaml", ".yml", ".json"))  # what lies beside images by design


@dataclass(frozen=True, eq=False)
class SourceImage:
    """One image to look at; the interface of `Frame`, and where it comes from.

    Attributes:
        name: Its folder in the output.
        group: The folder or video that it is one of.
        frame: Its frame, with calibration and measurements; None for an image of a video.
        rgb: (H, W, 3) where it is in memory already, else None.
        pair: Its depth in an RGB-D folder, or None.
        fps: Images a second of its group.
    """

    name: str
    group: str
    frame: Frame
    rgb: NDArray[np.uint8] | None = None
    pair: RgbdPair | None = None
    fps: float = DEFAULT_FPS

    @property
    def image_path(self) -> Path:
        """The file that it is in."""
        return self.frame.image_path

    @property
    def folder(self) -> Path | None:
        """Its frame folder, if it has one."""
        return self.frame.folder

    @property
    def changed_ns(self) -> int:
        """When the image, or what was measured of it, was last changed.

        Raises:
            OSError: It is gone.
        """
        paths = [self.image_path]
        if self.folder is not None:
            paths += [path for path in self.folder.iterdir() if path.is_file()]
        if self.pair is not None:
            paths.append(self.pair.depth_path)
        return max(path.stat().st_mtime_ns for path in paths)

    @property
    def depth_name(self) -> str:
        """What its measured depth is called."""
        if self.pair is not None:
            return self.pair.depth_path.name
        has_array = self.folder is not None and (self.folder / "depth.npz").exists()
        return "depth.npz" if has_array else "depth.png"

    def read_image(self) -> NDArray[np.uint8]:
        """Read it, (H, W, 3), uint8, RGB.

        Raises:
            InvalidInputError: It can't be read whole.
        """
        if self.rgb is not None:
            return self.rgb
        return self.frame.read_image()

    def read_camera(self, size: tuple[int, int]) -> Camera | None:
        """Return its camera; None where none is known."""
        return self.pair.camera(size) if self.pair is not None else self.frame.read_camera()

    def read_depth(self, unit_m: float = MILLIMETRE_M) -> NDArray[np.float32] | None:
        """Read measured depth, (H, W), metres, NaN where unknown; None without any."""
        if self.pair is not None:
            return read_depth_png(self.pair.depth_path, self.pair.unit_m)
        png = None if self.folder is None else self.folder / "depth.png"
        depth = self.frame.read_depth()
        return read_depth_png(png, unit_m) if depth is None and png is not None and png.exists() else depth


@dataclass(frozen=True)
class Source:
    """A group of images that are read one after the other.

    Attributes:
        images: Stills; empty for a video.
        video: The video's path, or None.
        name: Of the video in the output.
        count: About how many images there are.
    """

    images: tuple[SourceImage, ...] = ()
    video: Path | None = None
    name: str = ""
    count: int = 0

    def __iter__(self) -> Iterator[SourceImage]:
        """Yield the images.

        Raises:
            InvalidInputError: The video breaks off.
        """
        if self.video is None:
            yield from self.images
            return
        with VideoReader(self.video) as reader:
            for index, rgb in enumerate(reader.images()):
                name = f"{self.name}/{index:0{_DIGITS}d}"
                frame = Frame(self.video, name, self.name)
                yield SourceImage(name, self.name, frame, rgb, fps=reader.fps)


def find_sources(inputs: Sequence[Path], *, exclude: Path) -> tuple[list[Source], list[str]]:
    """Find what to look at.

    Args:
        inputs: Images, videos, frame folders, RGB-D folders, or folders of them.
        exclude: The output, which is never an input.

    Returns:
        The sources, each image of a name of its own; and what was passed over, in words.

    Raises:
        InvalidInputError: An input does not exist, is the output, or has nothing that can be read.
    """
    videos: list[tuple[Path, str]] = []
    pairs: list[SourceImage] = []
    others: list[Path] = []
    passed: Counter[str] = Counter()
    for given in inputs:
        if given.exists() and exclude.exists() and given.samefile(exclude):
            raise InvalidInputError(
                f"expected results in another folder than the input, got {given} for both"
            )
        if given.is_dir() and (found := find_pairs(given)):
            group = given.resolve().name
            pairs += [
                SourceImage(f"{group}/{one.name}", group, Frame(one.image_path, one.name, group), pair=one)
                for one in found
            ]
        elif given.is_dir():
            inside = _videos_in(given, exclude, passed)
            videos += inside
            if not inside or _has_images(given, exclude):
                others.append(given)
        elif given.suffix.lower() in VIDEO_SUFFIXES:
            videos.append((given, given.stem))
        else:
            others.append(given)
    frames = find_frames(others, exclude=exclude) if others else []
    stills = [SourceImage(frame.name, frame.group, frame) for frame in frames] + pairs
    sources = [Source(images=tuple(stills), count=len(stills))] if stills else []
    taken = {image.name for image in stills}
    for path, name in videos:
        own = name if name not in taken else f"{name}_{path.suffix[1:].lower()}"
        if own in taken:
            raise InvalidInputError(f"expected videos of different names, but {path} would be {own} again")
        taken.add(own)
        with VideoReader(path) as reader:
            sources.append(Source(video=path, name=own, count=reader.count))
    return sources, [f"passed over {count} files, {suffix}" for suffix, count in sorted(passed.items())]


def _files_in(folder: Path, exclude: Path) -> Iterator[Path]:
    """Yield what lies below a folder, but for hidden files and the output of this and of earlier runs."""
    if holds_results(folder) or folder.resolve() == exclude.resolve():
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():  # links may lead in circles
                yield from _files_in(path, exclude)
        elif path.is_file():
            yield path


def _videos_in(folder: Path, exclude: Path, passed: Counter[str]) -> list[tuple[Path, str]]:
    found = []
    for path in _files_in(folder, exclude):
        suffix = path.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            found.append((path, path.relative_to(folder).with_suffix("").as_posix()))
        elif suffix not in IMAGE_SUFFIXES | _QUIET and path.name != SAMPLES_FILE:
            passed[suffix or "without a suffix"] += 1
    return found


def _has_images(folder: Path, exclude: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in _files_in(folder, exclude))
