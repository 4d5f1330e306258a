"""Crops of frames: what a network says of an image changes with how it is sampled, by chance.

Of a few frames that chance can be larger than the difference between two networks; of several crops of each
it is several times smaller.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame

_SMALLEST = 0.85
"""Share of an edge that a crop keeps at least: it shows the same scene."""


@dataclass(frozen=True)
class Crop:
    """A part of a frame, with its own part of the calibration and of what was measured.

    Attributes:
        frame: The whole.
        number: Tells the crops of a frame apart; the same number is the same crop.
    """

    frame: MeasuredFrame
    number: int

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.frame.name} crop {self.number}"

    @property
    def group(self) -> str:
        """The set of the frame."""
        return self.frame.group

    @property
    def sequence(self) -> str:
        """That of the frame."""
        return self.frame.sequence

    def read_image(self) -> NDArray[np.uint8]:
        """Read this part of the image, (H, W, 3), uint8, RGB."""
        image = self.frame.read_image()
        return np.ascontiguousarray(image[self._within(image.shape)])

    def read_camera(self) -> Camera | None:
        """Return the camera that sees no more than this."""
        camera = self.frame.read_camera()
        if camera is None:
            return None
        rows, columns = self._within(camera.size)
        return camera.cropped(
            rows.start, columns.start, (rows.stop - rows.start, columns.stop - columns.start)
        )

    def read_depth(self) -> NDArray[np.float32] | None:
        """Read this part of the measured depth, (H, W), metres, NaN where there is none."""
        depth = self.frame.read_depth()
        return None if depth is None else depth[self._within(depth.shape)]

    def read_points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Read all of the measured points: the camera tells which are seen."""
        return self.frame.read_points()

    def read_pose(self) -> NDArray[np.float64] | None:
        """Read the pose, which cutting leaves as it is."""
        return self.frame.read_pose()

    def _within(self, size: tuple[int, ...]) -> tuple[slice, slice]:
        """Return rows and columns in what has the image's size."""
        rng = np.random.default_rng([zlib.crc32(self.frame.name.encode()), self.number])
        share, *places = rng.uniform([_SMALLEST, 0, 0], 1)
        lengths = [max(1, round(share * length)) for length in size[:2]]
        starts = [
            round(place * (length - kept))
            for place, length, kept in zip(places, size[:2], lengths, strict=True)
        ]
        rows, columns = (slice(start, start + kept) for start, kept in zip(starts, lengths, strict=True))
        return rows, columns


def crops_of(frames: Iterable[MeasuredFrame], count: int) -> list[MeasuredFrame]:
    """Return random crops of each frame, the same ones every time.

    Args:
        frames: The frames.
        count: How many of each.

    Raises:
        InvalidInputError: The count is not positive.
    """
    if count < 1:
        raise InvalidInputError(f"expected at least 1 crop, got {count}")
    return [Crop(frame, number) for frame in frames for number in range(count)]
