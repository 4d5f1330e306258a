"""Which images are worth a network's time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError

MIN_SIDE_PX: Final = 8
MAX_ASPECT: Final = 32


def check_image_size(size: tuple[int, ...], path: Path | None = None) -> None:
    """Refuse an image in which a network sees nothing: a strip, or a few pixels; mostly a broken file.

    Args:
        size: (H, W), and whatever else an array's shape has.
        path: Where it was read from.

    Raises:
        InvalidInputError: It is smaller than 8 x 8, or one side is more than 32 times the other.
    """
    height, width = size[:2]
    if min(height, width) < MIN_SIDE_PX or max(height, width) > MAX_ASPECT * min(height, width):
        where = "" if path is None else f" in {path}"
        raise InvalidInputError(
            f"expected an image of at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels, its longer side up to "
            f"{MAX_ASPECT} times the shorter, got {height} x {width}{where}"
        )
