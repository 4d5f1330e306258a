"""CameraInfo messages to `Camera`, and back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sensor_msgs.msg import CameraInfo

from e2e_depth_ros.core.camera import Camera, DistortionModel
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, refused_as
from e2e_depth_ros.ros.messages.sensor_part import SensorPart

_MAX_SIDE: Final = 1 << 16
_CALIBRATION: Final = tuple(name for name in CameraInfo.get_fields_and_field_types() if name != "header")


def camera_from_message(message: CameraInfo, image_size: tuple[int, int] | None = None) -> Camera:
    """Read the calibration of the image as it is published: after region of interest and binning.

    Args:
        message: CameraInfo of the full sensor, as REP 104 defines it; `roi` and `binning_x/y` say which
            part of it is published, and how coarsely. What else drivers make of it: see `sensor_part`.
        image_size: (H, W) of the image, where there is one.

    Returns:
        The camera, of the size that its images must have.

    Raises:
        RefusedMessageError: K is zero or not finite (an uncalibrated camera), or another value is missing
            or impossible.
    """
    full_size = int(message.height), int(message.width)
    if max(full_size) > _MAX_SIDE:
        raise RefusedMessageError("camera_info: size", f"expected up to {_MAX_SIDE} a side, got {full_size}")
    with refused_as("camera_info: calibration"):
        camera = Camera.from_calibration(
            full_size, message.k, message.distortion_model, message.d, message.r, message.p
        )
        return SensorPart.of(message).seen_by(camera, image_size)


def message_from_camera(camera: Camera, header: Any) -> CameraInfo:
    """Describe a camera as a message.

    Args:
        camera: Say the rectified camera of a published depth image.
        header: Copied by reference.

    Returns:
        The message. A pinhole is written as plumb_bob with zero coefficients, which every reader knows.
    """
    message = CameraInfo()
    message.header = header
    message.height, message.width = camera.size
    if camera.distortion_model is DistortionModel.NONE:
        message.distortion_model, message.d = DistortionModel.PLUMB_BOB.value, [0.0] * 5
    else:
        message.distortion_model, message.d = camera.distortion_model.value, list(camera.distortion)
    projection = camera.intrinsics if camera.projection is None else camera.projection
    message.k = camera.intrinsics.ravel()
    message.r = camera.rectification.ravel()
    message.p = np.hstack([projection, np.zeros((3, 1))]).ravel()
    return message


def same_calibration(first: CameraInfo, second: CameraInfo) -> bool:
    """Tell whether two messages describe one camera, whatever their stamps."""
    return first is second or all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in _CALIBRATION
    )
