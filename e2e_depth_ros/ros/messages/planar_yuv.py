"""YUV images that keep brightness and colour in planes of their own: nv12, nv21, nv24, i420 and their kin.

`height`, `width` and `step` describe the plane of brightness (Y); those of colour follow it in `data`. So
camera_ros hands over the buffers of libcamera, whose rows the hardware pads. Their rows are padded as much:
to `step` bytes where U and V take turns at half the width, to twice that in nv24, to half of it where U and V
are apart (Linux, V4L2 planar YUV formats). depthai_ros knows no padding and gives as `step` the bytes of all
planes by the height.

ITU-R BT.601 in studio range, as OpenCV and cv_bridge convert YUV; no encoding says otherwise.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.image_files import check_size
from e2e_depth_ros.ros.messages.pixels import PIXEL_LIMIT, check_step, data_of, rows_of
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, refused_as


class _Layout(NamedTuple):
    """Where colour lies.

    Attributes:
        planes: Of colour, one after the other.
        halved: Whether there is one colour for two by two pixels.
        conversion: OpenCV's, of the planes without padding; None where it has none.
    """

    planes: int
    halved: bool
    conversion: int | None


_I420: Final = _Layout(2, True, cv2.COLOR_YUV2RGB_I420)
_LAYOUTS: Final = {
    "nv12": _Layout(1, True, cv2.COLOR_YUV2RGB_NV12),
    "nv21": _Layout(1, True, cv2.COLOR_YUV2RGB_NV21),
    "nv24": _Layout(1, False, None),
    "i420": _I420,
    "yuv420": _I420,
    "YUV420": _I420,  # as depthai_ros writes it
    "yv12": _Layout(2, True, cv2.COLOR_YUV2RGB_YV12),
}
ENCODINGS: Final = tuple(_LAYOUTS)

# Rows: R, G, B; columns: Y, U, V and what is added.
_RGB_FROM_YUV: Final = np.array(
    [
        [1.164, 0.0, 1.596, -1.164 * 16 - 1.596 * 128],
        [1.164, -0.391, -0.813, -1.164 * 16 + (0.391 + 0.813) * 128],
        [1.164, 2.018, 0.0, -1.164 * 16 - 2.018 * 128],
    ]
)


def rgb_from_planes(message: Any, *, max_pixels: int) -> NDArray[np.uint8]:
    """Read an image of one of `ENCODINGS`.

    Args:
        message: Image.
        max_pixels: More are refused.

    Returns:
        (H, W, 3), uint8, RGB.

    Raises:
        RefusedMessageError: The message is empty, too large, truncated, or of a size that can't be halved.
    """
    layout = _LAYOUTS[message.encoding]
    height, width = int(message.height), int(message.width)
    with refused_as("image: size"):
        check_size(height, width, max_pixels=max_pixels, limit=PIXEL_LIMIT)
    if layout.halved and (height % 2 or width % 2):
        raise RefusedMessageError(
            "image: size",
            f"expected an even height and width, as {message.encoding!r} has one colour for 2 x 2 pixels,"
            f" got height {height} and width {width}",
        )
    check_step("image", message, width)
    if message.step % layout.planes:
        raise RefusedMessageError(
            "image: step", f"expected an even step for {message.encoding!r}, got {message.step}"
        )
    luma, colour = _planes(message, layout)
    if layout.conversion is None:
        yuv = np.dstack([luma, colour.reshape(height, width, 2)])
        return np.asarray(cv2.transform(yuv, _RGB_FROM_YUV), dtype=np.uint8)
    packed = np.concatenate([luma.ravel(), colour.ravel()]).reshape(height * 3 // 2, width)
    return np.asarray(cv2.cvtColor(packed, layout.conversion), dtype=np.uint8)


def _planes(message: Any, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Take the padding off the plane of brightness, and off those of colour together."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    rows = height // 2 * layout.planes if layout.halved else height
    row = width // layout.planes if layout.halved else 2 * width
    packed = height * width + rows * row
    if step * height == packed == len(message.data):
        step = width
    stride = step // layout.planes if layout.halved else 2 * step
    padding = stride - row  # of the last row, which some drivers leave out
    total = height * step + rows * stride
    described = f"{height} rows of {step} bytes and {rows} of colour of {stride} bytes = {total}"
    data = data_of("image", message, total - padding, described)
    luma = rows_of(data[: height * step], height, width, step)
    return luma, rows_of(data[height * step :], rows, row, stride)
