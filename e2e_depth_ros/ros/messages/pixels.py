"""The memory of an Image message as pixels, and how many of them are taken."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.image_files import check_size
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError, refused_as

PIXEL_LIMIT: Final = "max_image_pixels"
"""The parameter that says how many pixels an image may have."""
DEFAULT_MAX_PIXELS: Final = 25_000_000
"""What it is by default: usual industrial cameras have up to 24.6 megapixels."""


def pixels_from_message(
    message: Any, what: str, dtype: np.dtype[Any], channels: int, *, max_pixels: int
) -> NDArray[Any]:
    """View the message's data as pixels, without row padding, in native byte order.

    Args:
        message: Image.
        what: What refusals call it.
        dtype: Of a sample, in native byte order.
        channels: Samples of a pixel.
        max_pixels: More are refused.

    Returns:
        (H, W) for one channel, else (H, W, C). Possibly a read-only view of the message's memory.

    Raises:
        RefusedMessageError: The message is empty, too large, truncated or inconsistent.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    with refused_as(f"{what}: size"):
        check_size(height, width, max_pixels=max_pixels, limit=PIXEL_LIMIT)
    row = width * channels * dtype.itemsize
    check_step(what, message, row)
    # Some drivers leave the padding of the last row out.
    data = data_of(
        what, message, (height - 1) * step + row, f"{height} rows of {step} bytes = {height * step}"
    )
    pixels = rows_of(data, height, row, step).view(dtype)
    pixels = pixels.reshape((height, width) if channels == 1 else (height, width, channels))
    if dtype.itemsize > 1 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        pixels = pixels.byteswap()
    return pixels


def check_step(what: str, message: Any, row: int) -> None:
    """Refuse a message whose rows are shorter than its pixels need, `row` bytes.

    Raises:
        RefusedMessageError: Names both.
    """
    if message.step < row:
        raise RefusedMessageError(
            f"{what}: step",
            f"expected at least {row} bytes a row for {message.width} pixels of {message.encoding!r},"
            f" got {message.step}",
        )


def data_of(what: str, message: Any, needed: int, described: str) -> NDArray[np.uint8]:
    """View the message's data as bytes.

    Args:
        what: What refusals call it.
        message: Image.
        needed: How many bytes there must be.
        described: How many, in words.

    Raises:
        RefusedMessageError: There are fewer.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size < needed:
        raise RefusedMessageError(f"{what}: data length", f"expected {described}, got {data.size}")
    return data


def rows_of(data: NDArray[np.uint8], count: int, row: int, step: int) -> NDArray[np.uint8]:
    """Take the padding off: `count` rows of `row` bytes, one each `step` bytes, as (count, row)."""
    if step == row:
        return data[: count * row].reshape(count, row)
    padded = np.lib.stride_tricks.as_strided(data, (count, row), (step, 1), writeable=False)
    return np.ascontiguousarray(padded)
