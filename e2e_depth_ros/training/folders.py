"""Published data sets as they are unpacked: each image is read when it is drawn.

A folder that isn't the data set is refused when it is opened, with what is missing, not when a file of it is
first drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.augmentation import View

MIN_DEPTH_M = 1e-5


class FolderViews(ABC):
    """The views of a data set in a folder."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of views."""

    @abstractmethod
    def __getitem__(self, index: int) -> View:
        """Read one view.

        Raises:
            InvalidInputError: A file of it is missing or broken.
        """

    @property
    @abstractmethod
    def scenes(self) -> list[str]:
        """Scene of each view."""


def without_invalid(
    depth_m: NDArray[Any], normals: NDArray[Any], far_m: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Set depth outside `MIN_DEPTH_M` .. far_m and not finite to 0, and the normals there and where unknown.

    Args:
        depth_m: (H, W), metres.
        normals: (H, W, 3), of any length; not finite or about 0 where unknown.
        far_m: Depth from here on isn't used.

    Returns:
        Depth, and normals of unit length.
    """
    with np.errstate(invalid="ignore"):
        valid = np.isfinite(depth_m) & (depth_m > MIN_DEPTH_M) & (depth_m < far_m)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        known = valid[..., None] & np.isfinite(length) & (length > 0.1)
        unit = np.where(known, normals / np.where(known, length, 1), 0)
    return np.where(valid, depth_m, 0).astype(np.float32), unit.astype(np.float32)


def check_same_size(image: NDArray[Any], others: Sequence[tuple[Path, NDArray[Any]]]) -> None:
    """Refuse maps that don't fit their image.

    Raises:
        InvalidInputError: Names the file and both sizes.
    """
    for path, other in others:
        if other.shape[:2] != image.shape[:2]:
            raise InvalidInputError(
                f"expected {image.shape[0]} x {image.shape[1]} as its image in {path}, "
                f"got {' x '.join(map(str, other.shape[:2]))}"
            )
