"""Which part of a camera's sensor an image shows, and in whose pixels its calibration counts.

CameraInfo describes the whole sensor in its full resolution; `roi` and `binning_x/y` say which part of it is
published, and how coarsely. Some drivers give the size of the published image instead, some of them with K
and P of the published image, some with those of the sensor; and some give the size of the sensor with K and P
of the published image. What tells them apart is the principal point, which no lens has far from the middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError

_Pair = tuple[int, int]  # rows, columns

# Of the image's size, from its middle: so near a principal point lies, so far it does not. Of an image that
# is binned by 2, its own principal point would be at 25 % of the sensor, the sensor's at 100 % of the image.
_CENTRED: Final = 0.1
_NOT_CENTRED: Final = 0.15
_SAME_SHARE: Final = 0.15
"""Relative difference of what height and width have in common, where all of the sensor was resized."""


@dataclass(frozen=True)
class SensorPart:
    """A part of the sensor. All pairs are rows, columns.

    Attributes:
        offset: First pixel of the part, in those of the sensor.
        roi: Its size, in pixels of the sensor; None for the whole.
        binning: How many of the sensor's pixels become one.
    """

    offset: _Pair = (0, 0)
    roi: _Pair | None = None
    binning: _Pair = (1, 1)

    @classmethod
    def of(cls, message: Any) -> SensorPart:
        """Read it from a CameraInfo; 0 stands for 1 in binning, and for the whole in the size."""
        binning = max(1, int(message.binning_y)), max(1, int(message.binning_x))
        roi = message.roi
        if not (roi.width and roi.height):
            return cls(binning=binning)
        return cls((int(roi.y_offset), int(roi.x_offset)), (int(roi.height), int(roi.width)), binning)

    @property
    def is_all(self) -> bool:
        """Whether the image is that of the whole sensor in full resolution."""
        return self.roi is None and self.binning == (1, 1)

    def seen_by(self, camera: Camera, image_size: _Pair | None) -> Camera:
        """Find the camera of the published image.

        Args:
            camera: As the message has it: its size, K and P.
            image_size: (H, W) of the published image; None if it isn't known: then the message is taken by
                its definition.

        Returns:
            The camera, of the size that its images must have by the message.

        Raises:
            InvalidInputError: The part reaches out of the sensor, or K and P contradict it, or are those of
                another resolution.
        """
        if self.is_all:
            _check_resolution(camera)
            return camera
        if camera.size == image_size and not self._covers(camera.size):
            if self._is_of_image(camera, camera.size):
                return camera
            raise InvalidInputError(
                f"expected the size of the whole sensor beside {self}, got that of the published image,"
                f" {camera.size}, and {_centres(camera)} do not tell without doubt that K and P are those of"
                f" the published image too"
            )
        if self.binning != (1, 1) and self.roi == camera.size and self.offset != (0, 0):
            # The size is that of the region, which then is binned.
            camera = replace(self, binning=(1, 1)).seen_by(camera, camera.size)
            return SensorPart(binning=self.binning).seen_by(camera, image_size)
        seen = self._cut_and_binned(camera)
        if self._is_of_image(camera, seen.size, sensor_size=camera.size):
            raise InvalidInputError(
                f"expected K and P of the whole sensor, {camera.size}, beside {self}, but {_centres(camera)}"
                f" are in the middle of the published image, {seen.size}"
            )
        return seen

    def __str__(self) -> str:
        parts = [] if self.roi is None else [f"a region of {self.roi} at {self.offset}"]
        if self.binning != (1, 1):
            parts.append(f"binning by {self.binning}")
        return " and ".join(parts)

    def _covers(self, size: _Pair) -> bool:
        """Whether the region is all of a sensor of this size, and nothing is binned."""
        return self.binning == (1, 1) and self.offset == (0, 0) and self.roi == size

    def _cut_and_binned(self, camera: Camera) -> Camera:
        height, width = camera.size if self.roi is None else self.roi
        rows, columns = (length // step for length, step in zip((height, width), self.binning, strict=True))
        # What does not fill a pixel any more is cut off, so that each pixel covers just `binning` others.
        kept = max(rows, 1) * self.binning[0], max(columns, 1) * self.binning[1]
        kept = min(kept[0], height), min(kept[1], width)
        camera = camera.cropped(*self.offset, kept)
        return camera.resized((rows, columns))

    def _is_of_image(self, camera: Camera, image_size: _Pair, sensor_size: _Pair | None = None) -> bool:
        """Whether K and P can only be those of the published image, and not those of the sensor."""
        return all(
            self._is_centred(matrix, image_size, sensor_size, _CENTRED, as_image=True)
            and not self._is_centred(matrix, image_size, sensor_size, _NOT_CENTRED, as_image=False)
            for matrix in (camera.intrinsics, camera.rectified().intrinsics)
        )

    def _is_centred(
        self,
        matrix: NDArray[np.float64],
        image_size: _Pair,
        sensor_size: _Pair | None,
        tolerance: float,
        *,
        as_image: bool,
    ) -> bool:
        """Whether a matrix puts the principal point near the middle of the sensor."""
        for axis in (0, 1):
            offset, binning = self.offset[axis], self.binning[axis]
            centre = float(matrix[1 - axis, 2]) + 0.5
            if as_image:
                centre = offset + binning * centre
            least = offset + binning * image_size[axis]  # the sensor reaches at least to the end of the part
            most: float = least + binning if self.roi is None else np.inf
            if sensor_size is not None:
                least = most = sensor_size[axis]
            if not (0.5 - tolerance) * least <= centre <= (0.5 + tolerance) * most:
                return False
        return True


def _check_resolution(camera: Camera) -> None:
    """Refuse K and P of another resolution: of an image that was resized since, say.

    Their principal point then is off the middle by the same share of height and width.
    """
    height, width = camera.size
    shares = np.array(
        [
            [(matrix[0, 2] + 0.5) / width, (matrix[1, 2] + 0.5) / height]
            for matrix in (camera.intrinsics, camera.rectified().intrinsics)
        ]
    )
    share = float(shares.mean())
    if abs(share - 0.5) > _NOT_CENTRED and np.ptp(shares) < _SAME_SHARE * share:
        like = f"{2 * share * width:.0f}x{2 * share * height:.0f}"
        raise InvalidInputError(
            f"expected K and P of images of {width}x{height}, but {_centres(camera)} are in the middle of "
            f"images of about {like}: was the image resized? Of a crop, roi tells"
        )


def _centres(camera: Camera) -> str:
    k, p = camera.intrinsics, camera.rectified().intrinsics
    return f"the principal points ({k[0, 2]:g}, {k[1, 2]:g}) of K and ({p[0, 2]:g}, {p[1, 2]:g}) of P"
