"""Own frames: folders of an image and what was measured there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.core.targets import read_depth_target, smooth_normals
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.folders import FolderViews, without_invalid


class FrameFolderViews(FolderViews):
    """The frame folders in a folder, at any depth: those that `evaluate` reads, too; see `core/frames.py`.

    A frame holds an image, and `depth.npz` of its size or `points.npz`. Normals are made from dense depth
    where a camera is known and surfaces are smooth; points train depth alone.

    Args:
        folder: See above.

    Raises:
        InvalidInputError: There is no frame with measurements.
    """

    def __init__(self, folder: Path) -> None:
        self._frames = [frame for frame in find_frames([folder]) if frame.is_measured]
        if not self._frames:
            raise InvalidInputError(
                "expected frame folders (image.png, camera_info.yaml, depth.npz or points.npz) "
                f"in {folder}, found images without measurements"
            )

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
