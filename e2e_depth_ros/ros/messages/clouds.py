"""PointCloud2 messages to arrays of points, and back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from e2e_depth_ros.ros.messages.refusal import RefusedMessageError

MAX_POINTS: Final = 1 << 24
"""Larger clouds are taken for corrupt."""

_POINT_STEP: Final = 16  # x, y, z, rgb
_MAX_POINT_STEP: Final = 1 << 16
_SHOWN: Final = 16  # names in an error message, and characters of each
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
        RefusedMessageError: The cloud lacks a field or has it twice, has one of a wrong type, fields that
            overlap, or is shorter than it says.
    """
    height, width = int(message.height), int(message.width)
    point_step, row_step = int(message.point_step), int(message.row_step)
    record = _xyz_record(message)
    if height * width > MAX_POINTS:
        raise RefusedMessageError(
            "cloud: size", f"expected up to {MAX_POINTS} points, got height {height} and width {width}"
        )
    if height * width == 0:
        if len(message.data):
            raise RefusedMessageError(
                "cloud: size",
                f"expected points for {len(message.data)} bytes, got height {height} and width {width}",
            )
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
    # One row may have any row_step.
    strides = (row_step if height > 1 else width * point_step, point_step)
    records: NDArray[Any] = np.ndarray((height, width), record, buffer=message.data, strides=strides)
    points_m = np.empty((height, width, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 can't hold becomes infinite
        for axis, name in enumerate("xyz"):
            points_m[..., axis] = records[name]
    return points_m.reshape(-1, 3)


def _xyz_record(message: PointCloud2) -> np.dtype[Any]:
    """Return where x, y and z lie in the bytes of a point.

    A count of 0 means 1, as old writers and PCL have it. What other fields claim doesn't matter here.
    """
    if message.point_step > _MAX_POINT_STEP:
        raise RefusedMessageError(
            "cloud: point step", f"expected up to {_MAX_POINT_STEP} bytes a point, got {message.point_step}"
        )
    order = ">" if message.is_bigendian else "<"
    offsets: dict[str, int] = {}
    formats: dict[str, str] = {}
    ends: dict[str, int] = {}
    for name in "xyz":
        found = [field for field in message.fields if field.name == name]
        if len(found) != 1:
            names = ", ".join(repr(field.name[:_SHOWN]) for field in message.fields[:_SHOWN]) or "none"
            times = "" if not found else f"{len(found)} of {name} among "
            raise RefusedMessageError(
                "cloud: fields", f"expected fields x, y, z, once each, got {times}{names}"
            )
        (field,) = found
        if field.datatype not in _FLOATS or field.count > 1:
            actual = _TYPE_NAMES.get(field.datatype, f"datatype {field.datatype}")
            raise RefusedMessageError(
                "cloud: field type",
                f"expected {name} to be one FLOAT32 or FLOAT64, got {field.count} {actual}",
            )
        offsets[name], formats[name] = int(field.offset), order + _FLOATS[field.datatype]
        ends[name] = offsets[name] + np.dtype(formats[name]).itemsize
        if ends[name] > message.point_step:
            raise RefusedMessageError(
                "cloud: point step",
                f"expected at least {ends[name]} bytes a point for {name}, got {message.point_step}",
            )
    by_offset = sorted("xyz", key=offsets.__getitem__)
    for first, second in pairwise(by_offset):
        if ends[first] > offsets[second]:
            raise RefusedMessageError(
                "cloud: field offset",
                f"expected x, y, z apart from each other, got {first} in bytes {offsets[first]} to "
                f"{ends[first] - 1} of a point and {second} from byte {offsets[second]} on",
            )
    return np.dtype(
        {
            "names": list("xyz"),
            "formats": [formats[name] for name in "xyz"],
            "offsets": [offsets[name] for name in "xyz"],
            "itemsize": int(message.point_step),
        }
    )


def allocate_cloud(rgb: NDArray[np.uint8], header: Any) -> tuple[PointCloud2, NDArray[np.float32]]:
    """Make a coloured organised cloud whose points are still to be written: they are NaN.

    Returns:
        See `cloud_from_coordinates`.
    """
    unknown = np.full(rgb.shape[:2], np.nan, np.float32)
    return cloud_from_coordinates((unknown, unknown, unknown), rgb, header)


def cloud_from_coordinates(
    coordinates_m: Sequence[NDArray[np.float32]], rgb: NDArray[np.uint8], header: Any
) -> tuple[PointCloud2, NDArray[np.float32]]:
    """Make a coloured organised cloud.

    Args:
        coordinates_m: x, y and z of the points, (H, W) each, metres; NaN where unknown.
        rgb: (H, W, 3), uint8, the colour of each point.
        header: Kept by reference; names the frame of the points.

    Returns:
        The message: fields x, y, z (FLOAT32) and rgb (0x00RRGGBB in the bits of a FLOAT32, as PCL and RViz
        read it), 16 bytes a point, `is_dense` False. And a view (H, W, 3), float32, of its x, y, z: what is
        written there is in the message.
    """
    height, width = rgb.shape[:2]
    message = PointCloud2()
    if rgb.size:  # OpenCV refuses none
        colours = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA).view("<u4")[..., 0] & np.uint32(0xFFFFFF)
        records = cv2.merge([*coordinates_m, colours.astype(np.uint32, copy=False).view(np.float32)])
        # Assigning to `data` may copy or even walk through its bytes; growing the array there does not.
        message.data.frombytes(records.data.cast("B"))
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
    return message, np.frombuffer(message.data, np.float32).reshape(height, width, 4)[..., :3]
