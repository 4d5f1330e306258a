"""What the network gets to see of a frame: the image of a pinhole, and that pinhole's calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels
from e2e_depth_ros.core.rectifier import Rectifier
from e2e_depth_ros.ros.messages.camera_info import camera_from_message, same_calibration
from e2e_depth_ros.ros.messages.frames import check_frame
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

NO_CAMERA_INFO: Final = "camera_info: missing"
"""Why a view has no camera where no CameraInfo came."""

_HARMLESS_SKEW_PX: Final = 0.5  # at the border: what calibrations are wrong by anyway
_LEAST_SHOWN: Final = 0.01


@dataclass(frozen=True, eq=False)
class FrameView:
    """A frame as all outputs show it.

    Attributes:
        rgb: (H, W, 3), uint8, RGB.
        camera: The pinhole that took it; None without a usable calibration.
        valid: (H, W), False where rectification found nothing to show; None where all is valid.
        raw_camera: The camera of the image as it arrived, where it was rectified here; else None.
        rectifier: What rectified it here; else None.
        masked: (H, W), True on what is to be left out as the parameters say; None where nothing is.
        refusal: Why there is no camera; None with one.
        may_be_distorted: Whether the image should have been rectified and could not be. Nothing in metres
            may come of it: its pixels are not those that outputs speak of.
    """

    rgb: NDArray[np.uint8]
    camera: Camera | None = None
    valid: NDArray[np.bool_] | None = None
    raw_camera: Camera | None = None
    rectifier: Rectifier | None = None
    masked: NDArray[np.bool_] | None = None
    refusal: RefusedMessageError | None = None
    may_be_distorted: bool = False

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
        rows, columns = nearest_pixels(samples.u_px, samples.v_px, self.size)
        return samples.select(~self.masked[rows, columns], "masked")

    def from_raw(self, samples: Samples) -> Samples:
        """Move samples from the pixels of the image as it arrived to those of this view."""
        raw = self.raw_camera
        if raw is None or self.camera is None or len(samples) == 0:
            return samples
        rows, columns = nearest_pixels(samples.u_px, samples.v_px, raw.size)
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
            seen &= are_inside(u, v, self.size)
        moved = replace(samples, u_px=u, v_px=v, depth_m=samples.depth_m * z)
        return moved.select(seen, "outside_image")


class ViewFinder:
    """Makes views, and keeps what depends on the calibration only: rectification maps and rays."""

    def __init__(self) -> None:
        self._usable: _Calibration | None = None

    def view(
        self, rgb: NDArray[np.uint8], header: Any, camera_info: Any | None, *, rectify: bool
    ) -> FrameView:
        """Rectify an image if need be.

        Args:
            rgb: (H, W, 3), uint8.
            header: The image's.
            camera_info: CameraInfo of its camera, or None.
            rectify: Whether to remove distortion; False says that the image is already rectified.

        Returns:
            The view. It has no camera, and a `refusal` that says why, without a CameraInfo or with one that
            is of another frame or size, or impossible. An earlier one does not serve in its place: nothing
            tells that the camera is still the same.
        """
        try:
            return self._view(rgb, header, camera_info, rectify=rectify)
        except RefusedMessageError as refusal:
            # Kept without its traceback, which would keep the image.
            return FrameView(rgb, refusal=refusal.with_traceback(None), may_be_distorted=rectify)

    def _view(
        self, rgb: NDArray[np.uint8], header: Any, camera_info: Any | None, *, rectify: bool
    ) -> FrameView:
        if camera_info is None:
            raise RefusedMessageError(
                NO_CAMERA_INFO,
                "expected the image's calibration, got none yet; if images come without distortion, say so"
                " with the parameter rectify",
            )
        check_frame("camera_info", camera_info.header, header)
        calibration = self._calibration(camera_info, (rgb.shape[0], rgb.shape[1]))
        if rectify and calibration.bends:
            rectifier = calibration.rectifier
            return FrameView(
                rectifier(rgb),
                rectifier.camera,
                valid=calibration.valid,
                raw_camera=calibration.camera,
                rectifier=rectifier,
            )
        # A rectified image shows what P describes. A pinhole's raw image is K's: to resample it to P would
        # only blur it.
        return FrameView(rgb, calibration.raw_pinhole if rectify else calibration.rectified)

    def _calibration(self, message: Any, size: tuple[int, int]) -> _Calibration:
        """Read a message; what follows from the last usable one is kept while another can't be used."""
        usable = self._usable
        if usable is None or usable.size != size or not same_calibration(message, usable.message):
            self._usable = usable = _Calibration(message, size)
        return usable


class _Calibration:
    """What follows from a CameraInfo for images of a size; made when it is first asked for, and kept."""

    def __init__(self, message: Any, size: tuple[int, int]) -> None:
        """Read it.

        Raises:
            RefusedMessageError: The calibration is impossible or for another size.
        """
        self.message = message
        self.size = size
        self.camera = camera_from_message(message, size)
        if self.camera.size != size:
            raise RefusedMessageError(
                "camera_info: size", f"expected the image's size {size} (H, W), got {self.camera.size}"
            )

    @cached_property
    def bends(self) -> bool:
        """Whether a raw image is not that of a pinhole that looks along the rectified axes."""
        return self.camera.is_distorted or not np.array_equal(self.camera.rectification, np.eye(3))

    @cached_property
    def raw_pinhole(self) -> Camera:
        """What a raw image shows that does not bend."""
        return Camera(self.size, self.camera.intrinsics)

    @cached_property
    def rectified(self) -> Camera:
        """What an image shows that comes rectified.

        Raises:
            RefusedMessageError: It is that of no pinhole.
        """
        if self.camera.rectified_skew_px > _HARMLESS_SKEW_PX:
            raise RefusedMessageError(
                "camera_info: calibration",
                f"expected a rectified image without skew, but that of P moves pixels at the border by"
                f" {self.camera.rectified_skew_px:.1f}",
            )
        return self.camera.rectified()

    @property
    def rectifier(self) -> Rectifier:
        """What makes a raw image that of a pinhole.

        Raises:
            RefusedMessageError: Next to nothing of it would be left.
        """
        if self._shown < _LEAST_SHOWN:
            raise RefusedMessageError(
                "camera_info: calibration",
                f"expected one that leaves at least {_LEAST_SHOWN:.0%} of the rectified image, got"
                f" {self._shown:.2%}: D, R or P are not those of this camera",
            )
        return self._maps

    @cached_property
    def valid(self) -> NDArray[np.bool_] | None:
        """(H, W), where the rectified image shows something; None where it does so everywhere."""
        return None if self._maps.valid.all() else self._maps.valid

    @cached_property
    def _maps(self) -> Rectifier:
        return Rectifier(self.camera)

    @cached_property
    def _shown(self) -> float:
        return float(self._maps.valid.mean())
