"""Scores a received metric depth image against the measured depth of its scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels


class HeldOutPoints:
    """The measured points of one scene, less those that were given away as samples.

    Points are compared where they appear in the camera that the node publishes with its depth, so a
    rectified depth image is scored as it is.
    """

    def __init__(self, points_m: NDArray[np.float32], camera: Camera) -> None:
        self._points_m = points_m
        self._camera = camera
        self._pixels = _pixels(points_m, camera)
        self._unused = np.ones(len(points_m), dtype=bool)

    def exclude(self, samples_m: NDArray[np.float32]) -> None:
        """Leave out every point that shares its pixel of the raw image with a sample.

        Args:
            samples_m: (N, 3), metres, optical frame, as received.
        """
        height, width = self._camera.size
        used = np.zeros(height * width, dtype=bool)
        pixels = _pixels(samples_m, self._camera)
        used[pixels[pixels >= 0]] = True
        self._unused &= ~used[self._pixels] & (self._pixels >= 0)

    def pairs(
        self, depth_m: NDArray[np.float32], depth_camera: Camera
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return predicted and measured depth at the points that were not given away.

        Args:
            depth_m: (H, W), metres, NaN where invalid.
            depth_camera: The pinhole camera of this depth image.

        Returns:
            (M,) and (M,), metres: prediction and target where both are known.
        """
        points = self._points_m[self._unused]
        pixels = _pixels(points, depth_camera)
        inside = pixels >= 0
        prediction = depth_m.ravel()[pixels[inside]]
        target = points[inside, 2]
        known = np.isfinite(prediction)
        return prediction[known], target[known]


def _pixels(points_m: NDArray[np.float32], camera: Camera) -> NDArray[np.intp]:
    """Return the flat index of each point's pixel; -1 for points outside of the image."""
    u, v = camera.project(points_m)
    inside = are_inside(u, v, camera.size)
    row, column = nearest_pixels(np.where(inside, u, 0), np.where(inside, v, 0), camera.size)
    return np.where(inside, row * camera.size[1] + column, -1)
