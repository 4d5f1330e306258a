"""What the network gets to see of a frame: the image of a pinhole, and that pinhole's calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.rectifier import Rectifier
from e2e_depth_ros.ros.camera_info import camera_from_message, same_calibration
from e2e_depth_ros.ros.refusal import RefusedMessageError


@dataclass(frozen=True, eq=False)
class View:
    """A frame as all outputs show it.

    Attributes:
        rgb: (H, W, 3), uint8, RGB.
        camera: The pinhole that took it; None without a usable calibration, then it may be distorted.
        valid: (H, W), False where rectification found nothing to show; None where all is valid.
        raw_camera: The camera of the image as it arrived, where it was rectified here; else None.
        rectifier: What rectified it here; else None.
        masked: (H, W), True on what is to be left out as the parameters say; None where nothing is.
        refusal: Why the camera_info that came is of no use; None where it is, or where none came.
    """

    rgb: NDArray[np.uint8]
    camera: Camera | None = None
    valid: NDArray[np.bool_] | None = None
    raw_camera: Camera | None = None
    rectifier: Rectifier | None = None
    masked: NDArray[np.bool_] | None = None
    refusal: RefusedMessageError | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), pixels."""
        height, width = self.rgb.shape[:2]
        return height, width

    def mask_from_raw(self, masked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Move a mask (H, W) from the pixels of the image as it arrived to those of this view."""
        if self.rectifier is None:
            return masked
        return np.asarray(self.rectifier.nearest(masked.astype(np.float32)) > 0.5)

    def without_masked(self, samples: Samples) -> Samples:
        """Leave out the samples on masked pixels; without a mask all, as any of them might lie on one."""
        if len(samples) == 0:
            return samples
        if self.masked is None:
            return samples.select(np.zeros(len(samples), bool), "no_mask")
        columns = np.clip(np.rint(samples.u_px), 0, self.size[1] - 1).astype(np.intp)
        rows = np.clip(np.rint(samples.v_px), 0, self.size[0] - 1).astype(np.intp)
        return samples.select(~self.masked[rows, columns], "masked")

    def from_raw(self, samples: Samples) -> Samples:
        """Move samples from the pixels of the image as it arrived to those of this view."""
        raw = self.raw_camera
        if raw is None or self.camera is None or len(samples) == 0:
            return samples
        columns = np.clip(np.rint(samples.u_px), 0, raw.size[1] - 1).astype(np.intp)
        rows = np.clip(np.rint(samples.v_px), 0, raw.size[0] - 1).astype(np.intp)
        grid_x, grid_y = np.broadcast_arrays(*raw.normalized_grid)
        # Within a pixel the ray moves as it does at the image's centre, nearly.
        x = grid_x[rows, columns] + (samples.u_px - columns) / raw.fx
        y = grid_y[rows, columns] + (samples.v_px - rows) / raw.fy
        ray = np.stack([x, y, np.ones_like(x)], axis=-1) @ raw.rectification.T
        z = ray[:, 2]
        seen = z > 0  # NaN, where the lens model ends, is not
        with np.errstate(invalid="ignore", divide="ignore"):
            u = self.camera.fx * ray[:, 0] / z + self.camera.cx
            v = self.camera.fy * ray[:, 1] / z + self.camera.cy
            seen &= (np.abs(u - (self.size[1] - 1) / 2) < self.size[1] / 2) & (
                np.abs(v - (self.size[0] - 1) / 2) < self.size[0] / 2
            )
        moved = Samples(u, v, samples.depth_m * z, samples.dropped, samples.source)
        return moved.select(seen, "outside_image")


class ViewFinder:
    """Makes views, and keeps what depends on the calibration only: rectification maps and rays."""

    def __init__(self) -> None:
        self._message: Any = None
        self._camera: Camera | None = None
        # Rays are cached in a camera, so these are kept too.
        self._raw_pinhole: Camera | None = None
        self._rectified: Camera | None = None
        self._rectifier: Rectifier | None = None
        self._valid: NDArray[np.bool_] | None = None

    def view(self, rgb: NDArray[np.uint8], camera_info: Any, *, rectify: bool) -> View:
        """Rectify an image if need be.

        Args:
            rgb: (H, W, 3), uint8.
            camera_info: CameraInfo of its camera.
            rectify: Whether to remove distortion; False says that the image is already rectified.

        Raises:
            RefusedMessageError: The calibration is impossible or for another size.
        """
        camera = self._read(camera_info)
        if camera.size != rgb.shape[:2]:
            raise RefusedMessageError(
                "camera_info: size", f"expected the image's size {rgb.shape[:2]} (H, W), got {camera.size}"
            )
        bends = camera.is_distorted or not np.array_equal(camera.rectification, np.eye(3))
        if rectify and bends:
            if self._rectifier is None:
                self._rectifier = Rectifier(camera)
                self._valid = None if self._rectifier.valid.all() else self._rectifier.valid
            rectifier = self._rectifier
            return View(rectifier(rgb), rectifier.camera, self._valid, camera, rectifier)
        # A rectified image shows what P describes. A pinhole's raw image is K's: to resample it to P would
        # only blur it.
        return View(rgb, self._raw_pinhole if rectify else self._rectified)

    def reset(self) -> None:
        """Forget the calibration."""
        self._message = self._camera = self._raw_pinhole = self._rectified = self._rectifier = None

    def _read(self, message: Any) -> Camera:
        if self._camera is None or not same_calibration(message, self._message):
            self.reset()
            camera = camera_from_message(message)
            self._raw_pinhole = Camera(camera.size, camera.intrinsics)
            self._rectified = camera.rectified()
            self._message, self._camera = message, camera
        return self._camera
