"""The camera of images that say nothing of it, as a user gives it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from e2e_depth_ros.core.calibration_file import read_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError


class GivenCamera:
    """Field of view, intrinsics or a calibration file; or none of them."""

    def __init__(
        self, fov_deg: float | None, intrinsics: Sequence[float] | None, calibration: Path | None
    ) -> None:
        """Take what is given.

        Args:
            fov_deg: Horizontal field of view, degrees, of a pinhole with square pixels.
            intrinsics: fx, fy, cx, cy, pixels.
            calibration: As ROS's camera_calibration writes it.

        Raises:
            InvalidInputError: A value is impossible, or the file can't be read.
        """
        if fov_deg is not None and not 1 <= fov_deg < 180:
            raise InvalidInputError(f"expected --fov of 1 to 180 degrees, got {fov_deg:g}")
        self._fov_deg = fov_deg
        self._intrinsics = intrinsics
        self._calibration = None if calibration is None else read_calibration(calibration)

    def camera(self, size: tuple[int, int]) -> Camera | None:
        """Return the camera of images of a size (H, W); None where nothing is given.

        Convention:
            Pixel (0, 0) is centred at (0, 0), so the middle of W columns is at (W - 1) / 2.

        Raises:
            InvalidInputError: The calibration is of another size.
        """
        if self._calibration is not None:
            if self._calibration.size != size:
                raise InvalidInputError(
                    f"expected images of the calibration's size {self._calibration.size}, got {size}"
                )
            return self._calibration
        height, width = size
        if self._fov_deg is not None:
            focal_px = width / 2 / math.tan(math.radians(self._fov_deg) / 2)
            fx, fy, cx, cy = focal_px, focal_px, (width - 1) / 2, (height - 1) / 2
        elif self._intrinsics is not None:
            fx, fy, cx, cy = self._intrinsics
        else:
            return None
        return Camera(size, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
