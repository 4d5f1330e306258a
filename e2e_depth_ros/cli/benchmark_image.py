"""What the benchmarks' camera sees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def camera_image(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Make an image with structure of every scale, (H, W, 3), uint8: the same each time."""
    random = np.random.default_rng(0)
    image = np.zeros((*size, 3), np.float32)
    for cells in (4, 16, 64):
        image += cv2.resize(random.uniform(0, 85, (cells, cells, 3)).astype(np.float32), (size[1], size[0]))
    return image.astype(np.uint8)
