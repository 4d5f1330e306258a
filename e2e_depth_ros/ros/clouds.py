"""PointCloud2 messages to arrays of points, and back."""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from e2e_depth_ros.ros.refusal import RefusedMessageError

MAX_POINTS: Final = 1 << 24
"""Larger clouds are taken for corrupt."""

_POINT_STEP: Final = 16  # x, y, z, rgb
_FLOATS: Final = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}
_TYPE_NAMES: Final = {
    getattr(PointField, name): name
    for name in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "FLOAT32", "FLOAT64")
}


def points_from_message(message: PointCloud2) -> NDArray[np.float32]:
    """Read x, y, z of every point, wherever they lie in the message.

    Args:
        message: Cloud with float fields x, y, z in metres; organised or not, padded or not, of either byte
            order.

    Returns:
        (N, 3), float32, in the message's frame and order; NaN points are kept. (0, 3) for an empty cloud.

    Raises:
        RefusedMessageError: The cloud lacks a field, has one of a wrong type, or is shorter than it says.
    """
    height, width = int(message.height), int(message.width)
    point_step, row_step = int(message.point_step), int(message.row_step)
    order = ">" if message.is_bigendian else "<"
    fields = {field.name: field for field in message.fields}
    formats, offsets = [], []
    for name in "xyz":
        field = fields.get(name)
        if field is None:
            raise RefusedMessageError(
                "cloud: fields", f"expected fields x, y, z, got {', '.join(fields) or 'none'}"
            )
        if field.datatype not in _FLOATS or field.count > 1:
            actual = _TYPE_NAMES.get(field.datatype, f"datatype {field.datatype}")
            raise RefusedMessageError(
                "cloud: field type",
                f"expected {name} to be one FLOAT32 or FLOAT64, got {field.count} {actual}",
            )
        formats.append(order + _FLOATS[field.datatype])
        offsets.append(int(field.offset))
        end = offsets[-1] + np.dtype(formats[-1]).itemsize
        if end > point_step:
            raise RefusedMessageError(
                "cloud: point step", f"expected at least {end} bytes a point for {name}, got {point_step}"
            )
    if height * width > MAX_POINTS:
        raise RefusedMessageError(
            "cloud: size", f"expected up to {MAX_POINTS} points, got height {height} and width {width}"
        )
    if height * width == 0:
        return np.empty((0, 3), np.float32)
    if height > 1 and row_step < width * point_step:
        raise RefusedMessageError(
            "cloud: row step", f"expected at least {width * point_step} bytes a row, got {row_step}"
        )
    expected = (height - 1) * row_step + width * point_step
    if len(message.data) < expected:
        raise RefusedMessageError(
            "cloud: data length",
            f"expected {height} rows of {row_step} bytes, at least {expected}, got {len(message.data)}",
        )
    records = np.ndarray(
        (height, width),
        np.dtype({"names": list("xyz"), "formats": formats, "offsets": offsets, "itemsize": point_step}),
        buffer=message.data,
        strides=(row_step, point_step),
    )
    points_m = np.empty((height, width, 3), np.float32)
    for axis, name in enumerate("xyz"):
        points_m[..., axis] = records[name]
    return points_m.reshape(-1, 3)


def allocate_cloud(rgb: NDArray[np.uint8], header: Any) -> tuple[PointCloud2, NDArray[np.float32]]:
    """Make a coloured organised cloud whose points are still to be written.

    Writing them in place spares a copy: a cloud of 640 x 480 points has 5 MB.

    Args:
        rgb: (H, W, 3), uint8, the colour of each point.
        header: Kept by reference; names the frame of the points.

    Returns:
        The message: fields x, y, z (FLOAT32) and rgb (0x00RRGGBB in the bits of a FLOAT32, as PCL and RViz
        read it), 16 bytes a point, `is_dense` False. And a view (H, W, 3), float32, of its x, y, z: write
        metres there, NaN where unknown.
    """
    height, width = rgb.shape[:2]
    message = PointCloud2()
    # An array of bytes is taken as it is; all else would be copied, or even walked through.
    message.data = array("B", b"\0") * (height * width * _POINT_STEP)
    octets = np.frombuffer(message.data, np.uint8).reshape(height, width, _POINT_STEP)
    blue, green, red = (12, 13, 14) if sys.byteorder == "little" else (15, 14, 13)
    cv2.mixChannels([np.ascontiguousarray(rgb)], [octets], [0, red, 1, green, 2, blue])

    message.header = header
    message.height, message.width = height, width
    message.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(("x", "y", "z", "rgb"))
    ]
    message.is_bigendian = sys.byteorder == "big"
    message.point_step = _POINT_STEP
    message.row_step = width * _POINT_STEP
    message.is_dense = False
    return message, octets.view(np.float32)[..., :3]
