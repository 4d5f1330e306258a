"""From the bytes of a data set's files to arrays."""

from __future__ import annotations

import os
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.array_file import npy_from_bytes
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.image_files import decode_pixels

_VECTOR_FORMATS: Final = ("PNG", "OpenEXR")


def decode_depth_png(data: bytes, name: str, units_per_metre: float) -> NDArray[np.float32]:
    """Decode depth that is kept as 16-bit integers, (H, W), metres.

    Raises:
        InvalidInputError: It is no such image.
    """
    image = decode_pixels(data, name, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype != np.uint16:
        raise InvalidInputError(
            f"expected depth of one channel of uint16 in {name}, got {image.dtype} {image.shape}"
        )
    return (image / units_per_metre).astype(np.float32)


def decode_vectors(data: bytes, name: str) -> NDArray[np.float32]:
    """Decode an image of three numbers a pixel, (H, W, 3), float32: bytes as 0..255, floats as they are.

    Args:
        data: A PNG, OpenEXR or NumPy file.
        name: What to call it in errors; its suffix tells the format.

    Raises:
        InvalidInputError: It is no such image.
    """
    if name.endswith(".npy"):
        vectors = npy_from_bytes(data, name)
    else:
        # OpenCV reads OpenEXR only where it is told to.
        os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
        vectors = decode_pixels(data, name, cv2.IMREAD_UNCHANGED, formats=_VECTOR_FORMATS)[
            ..., ::-1
        ]  # from BGR
    if vectors.ndim != 3 or vectors.shape[2] != 3:
        raise InvalidInputError(f"expected three channels in {name}, got shape {vectors.shape}")
    return vectors.astype(np.float32)
