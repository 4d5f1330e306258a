"""From the raw image of a lens to that of a pinhole."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError

_Image = NDArray[Any]


class Rectifier:
    """Removes distortion and turns the image into that of `camera`, a pinhole. The maps are made once.

    Attributes:
        camera: The rectified camera.
        valid: (H, W), bool; False where the rectified image shows what the raw one does not contain.
    """

    camera: Camera
    valid: NDArray[np.bool_]

    def __init__(self, camera: Camera) -> None:
        self.camera = camera.rectified()
        self._unchanged = camera.is_rectified
        if self._unchanged:
            self.valid = np.ones(camera.size, dtype=np.bool_)
            return
        u, v = _raw_from_rectified(camera)
        height, width = camera.size
        slack = 1 / 64  # half a step of the fixed-point maps
        with np.errstate(invalid="ignore"):
            inside_u = (u > -slack) & (u < width - 1 + slack)
            self.valid = inside_u & (v > -slack) & (v < height - 1 + slack)
            # Far outside and NaN alike become "outside"; pixels beside the border still blend with it.
            outside = ~((u > -2) & (u < width + 1) & (v > -2) & (v < height + 1))
        u[outside], v[outside] = -2, -2
        self._maps = cv2.convertMaps(u, v, cv2.CV_16SC2)
        # Of those, OpenCV 4.5 takes the next pixel to the left and above for the nearest one.
        nearest, _ = cv2.convertMaps(u, v, cv2.CV_16SC2, nninterpolation=True)
        self._nearest_maps = nearest, np.empty((0, 0), dtype=np.uint16)

    def __call__(self, image: _Image) -> _Image:
        """Rectify an image, bilinearly. Black where the raw image shows nothing.

        Args:
            image: (H, W) or (H, W, C), uint8, uint16 or float32 without NaN.

        Returns:
            Likewise; the image itself where nothing is to be done.

        Raises:
            InvalidInputError: The image is not of the camera's size.
        """
        self._check(image)
        if self._unchanged:
            return image
        rectified: _Image = cv2.remap(image, *self._maps, cv2.INTER_LINEAR)
        return rectified

    def nearest(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rectify measurements that must not be mixed, such as depth.

        Depth stays that of the raw optical frame: exact where R is the identity, as for single cameras.

        Args:
            values: (H, W), float32; NaN where unknown.

        Returns:
            Likewise, each the value of the nearest raw pixel; NaN where the raw image shows nothing.

        Raises:
            InvalidInputError: The values are not of the camera's size.
        """
        self._check(values)
        if self._unchanged:
            return values
        rectified = cv2.remap(values, *self._nearest_maps, cv2.INTER_NEAREST, borderValue=float("nan"))
        return np.asarray(rectified, dtype=np.float32)

    def _check(self, image: _Image) -> None:
        if image.shape[:2] != self.camera.size:
            raise InvalidInputError(f"expected an image of size {self.camera.size}, got {image.shape}")


def _raw_from_rectified(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return column and row (H, W) of the raw image for each rectified pixel; NaN where there is none."""
    rectified = camera.rectified()
    x, y = np.broadcast_arrays(*rectified.normalized_grid)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float64)
    u, v = camera.project(rays @ camera.rectification)  # row vectors: R^T takes rectified to raw
    with np.errstate(over="ignore"):  # far outside of the image
        return u.reshape(camera.size).astype(np.float32), v.reshape(camera.size).astype(np.float32)
