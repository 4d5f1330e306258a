"""Whether an image shows anything that a network could tell depth from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_PIXELS = 32  # along the long edge: so many are averaged for each that a sensor's noise is gone
_LEAST_STD = 3.0  # of grey levels, 8 bits: covered lenses 0 to 2, noise alone 2 to 3, white walls 5 and more


def lacks_structure(image: NDArray[np.uint8]) -> bool:
    """Tell a covered lens, darkness, or nothing but noise.

    Args:
        image: (H, W, 3), RGB.
    """
    share = min(1.0, _PIXELS / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    small = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return float(np.std(small)) < _LEAST_STD
