"""Own frames, in folders and in recordings: images and what was measured there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame, find_frames
from e2e_depth_ros.core.targets import EmptyTargetError, read_depth_target, smooth_normals
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.folders import FolderViews, without_invalid


class MeasuredViews(FolderViews):
    """Frames with depth of their size, or points.

    Normals are made from dense depth where a camera is known and surfaces are smooth; points train depth
    alone.

    Args:
        frames: Wherever they are stored.
    """

    def __init__(self, frames: Sequence[MeasuredFrame]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def scenes(self) -> list[str]:
        """Set of each frame: the folder around it."""
        return [frame.group for frame in self._frames]

    def __getitem__(self, index: int) -> View:
        frame = self._frames[index]
        image = frame.read_image()
        target = read_depth_target(frame, (image.shape[0], image.shape[1]))
        dense = target.dense()
        camera = frame.read_camera() if dense is not None else None
        if dense is not None and camera is not None:
            return view_from_depth(image, dense, camera)
        depth_m = np.zeros(image.shape[:2], dtype=np.float32)
        depth_m[target.row, target.column] = target.depth_m
        return View(image, depth_m, np.zeros((*depth_m.shape, 3), dtype=np.float32))


class FrameFolderViews(MeasuredViews):
    """The frame folders in a folder, at any depth: those that `evaluate` reads, too; see `core/frames.py`.

    A frame holds an image, and `depth.npz` of its size or `points.npz`.

    Args:
        folder: See above.

    Raises:
        InvalidInputError: There is no frame with measurements.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__([frame for frame in find_frames([folder]) if frame.is_measured])
        if not len(self):
            raise InvalidInputError(
                "expected frame folders (image.png, camera_info.yaml, depth.npz or points.npz) "
                f"in {folder}, found images without measurements"
            )


class BagViews(MeasuredViews):
    """The images of a recording that have depth or points within 0.02 s; see `BagFrames`.

    Where nothing was measured in front of the camera all depth is unknown: a LiDAR may see the sky.

    Args:
        path: See `BagReader`.
        topics: By input, as `e2e-depth bag` names them; empty for those that are looked for.
        every_s: At least so many seconds lie between two images.

    Raises:
        InvalidInputError: The recording can't be read, or holds no such image.
        ModuleNotFoundError: rosbags or ROS 2 is not installed.
    """

    def __init__(self, path: Path, topics: Mapping[str, str], every_s: float) -> None:
        from e2e_depth_ros.ros.recordings.bag_frames import BagFrames  # noqa: PLC0415 - only bags need ROS

        given = {name: topic for name, topic in topics.items() if topic}
        super().__init__(BagFrames(path, given, every_s))

    def __getitem__(self, index: int) -> View:
        try:
            return super().__getitem__(index)
        except EmptyTargetError:
            image = self._frames[index].read_image()
            unknown = np.zeros((*image.shape[:2], 3), dtype=np.float32)
            return View(image, unknown[..., 0], unknown)


def view_from_depth(image: NDArray[np.uint8], depth_m: NDArray[Any], camera: Camera) -> View:
    """Join an image and its dense depth, and make normals where surfaces are smooth.

    Args:
        image: (H, W, 3), RGB.
        depth_m: (H, W), metres; NaN or 0 where unknown.
        camera: The raw camera of both.

    Raises:
        InvalidInputError: Depth and camera are not of one size.
    """
    normals = smooth_normals(depth_m, camera).values
    return View(image, *without_invalid(depth_m, normals, MAX_DEPTH_M))
