"""Crops of frames: what a network says of an image changes with how it is sampled, by chance.

Of a few frames that chance can be larger than the difference between two networks; of several crops of each
it is several times smaller.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.image_size import MIN_SIDE_PX

MAX_CROPS: Final = 1000
"""Of each frame: by then chance is a thirtieth of what it is with one."""

_SMALLEST: Final = 0.85
"""Share of an edge that a crop keeps at least: it shows the same scene."""


class _Whole:
    """A frame that reads each of its files once."""

    def __init__(self, frame: MeasuredFrame) -> None:
        self.frame = frame

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        return self.frame.read_image()

    @cached_property
    def camera(self) -> Camera | None:
        return self.frame.read_camera()

    @cached_property
    def depth(self) -> NDArray[np.float32] | None:
        return self.frame.read_depth()

    @cached_property
    def points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        return self.frame.read_points()


class _LastWhole:
    """Remembers what was read of one frame: its crops come one after another."""

    def __init__(self) -> None:
        self._whole: _Whole | None = None

    def of(self, frame: MeasuredFrame) -> _Whole:
        if self._whole is None or self._whole.frame is not frame:
            self._whole = _Whole(frame)
        return self._whole


@dataclass(frozen=True)
class Crop:
    """A part of a frame, with its own part of the calibration and of what was measured.

    Attributes:
        frame: The whole.
        number: Tells the crops of a frame apart; the same number is the same crop.
        last: What was read of a frame; crops that share it read theirs once.
    """

    frame: MeasuredFrame
    number: int
    last: _LastWhole = field(default_factory=_LastWhole, repr=False, compare=False)

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
        return self._part(self._whole.image)

    def read_camera(self) -> Camera | None:
        """Return the camera that sees no more than this."""
        camera = self._whole.camera
        return None if camera is None else camera.cropped(*self._place(camera.size))

    def read_depth(self) -> NDArray[np.float32] | None:
        """Read this part of the measured depth, (H, W), metres, NaN where there is none."""
        depth = self._whole.depth
        return None if depth is None else self._part(depth)

    def read_points(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """Read all of the measured points: the camera tells which are seen."""
        return self._whole.points

    def read_pose(self) -> NDArray[np.float64] | None:
        """Read the pose, which cutting leaves as it is."""
        return self.frame.read_pose()

    @property
    def _whole(self) -> _Whole:
        return self.last.of(self.frame)

    def _part(self, whole: NDArray[Any]) -> NDArray[Any]:
        """Return a part of its own, which the caller may write to."""
        top, left, (height, width) = self._place(whole.shape)
        return np.array(whole[top : top + height, left : left + width])

    def _place(self, size: tuple[int, ...]) -> tuple[int, int, tuple[int, int]]:
        """Return top, left and (h, w) in what has the image's size."""
        # Not by the frame's name: that begins with a folder where there are several inputs.
        which = f"{self.frame.group}/{self.frame.name.rpartition('/')[2]}"
        rng = np.random.default_rng([zlib.crc32(which.encode()), self.number])
        share, down, right = rng.uniform([_SMALLEST, 0, 0], 1)
        height, width = (max(min(length, MIN_SIDE_PX), round(share * length)) for length in size[:2])
        return round(down * (size[0] - height)), round(right * (size[1] - width)), (height, width)


def crops_of(frames: Iterable[MeasuredFrame], count: int) -> list[MeasuredFrame]:
    """Return random crops of each frame, the same ones every time.

    Args:
        frames: The frames.
        count: How many of each.

    Raises:
        InvalidInputError: The count is not 1 to `MAX_CROPS`.
    """
    if not 1 <= count <= MAX_CROPS:
        raise InvalidInputError(f"expected 1 to {MAX_CROPS} crops, got {count}")
    last = _LastWhole()
    return [Crop(frame, number, last) for frame in frames for number in range(count)]
