"""Whether an image shows anything: of a covered lens a network invents depth all the same."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_COARSE = 8  # pixels, each way, whose mean is looked at
_LEAST_CONTRAST = 2.0  # standard deviation of those means, of 255
_LEAST_SHARE = 0.35  # of it in that of single pixels. Noise: an eighth, 0.3 after JPEG; things: 0.85 to 1
_LEAST_PX = 4 * _COARSE  # of a side: smaller images have too few means


def shows_nothing(image: NDArray[np.uint8]) -> bool:
    """Whether an image is of one colour, or noise: what is left of it when it is seen coarsely is nothing.

    Noise of single pixels averages out over an area, things do not. Too small an image is given the benefit
    of the doubt.

    Args:
        image: (H, W, 3).
    """
    height, width = image.shape[:2]
    if min(height, width) < _LEAST_PX:
        return False
    coarse = cv2.resize(image, (width // _COARSE, height // _COARSE), interpolation=cv2.INTER_AREA)
    fine = np.ascontiguousarray(image[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE])
    fine_std = float(np.max(cv2.meanStdDev(fine)[1]))
    coarse_std = float(np.max(cv2.meanStdDev(coarse)[1]))
    return coarse_std < max(_LEAST_CONTRAST, _LEAST_SHARE * fine_std)
