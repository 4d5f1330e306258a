"""Images of 16 bits a sample to 8 bits, where the sensor may have fewer bits than the samples.

Sensors measure 10, 12 or 14 bits. Some drivers shift them up, so that white is 65535; others hand them over
as they are, and white is 4095: a sixteenth of the range, nearly black. No message tells which.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

BITS: Final = (8, 10, 12, 14, 16)
"""What `bits_in_use` tells apart."""

_DEFECTIVE: Final = 1e-4  # share of samples that may lie beyond the range: hot pixels


def bits_in_use(samples: NDArray[np.uint16], least: int = BITS[0]) -> int:
    """Return how many bits the samples of an image use, ignoring hot pixels.

    An image alone tells only how many it needs at least: a dark one of 16 bits needs fewer.

    Args:
        samples: Of any shape.
        least: What earlier images of the same camera needed.

    Returns:
        One of `BITS`, or `least`.
    """
    if not samples.size or int(samples.max()) >> least == 0:
        return least  # the usual case, and the quick one
    allowed = _DEFECTIVE * samples.size
    candidates = (least, *(bits for bits in BITS if bits > least))
    return next(bits for bits in candidates if bits >= 16 or np.count_nonzero(samples >> bits) <= allowed)


def eight_bits_from_sixteen(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Scale samples so that the largest number of `bits` bits is 255; what is larger is 255 too."""
    scaled: NDArray[Any] = cv2.convertScaleAbs(samples, alpha=255 / ((1 << bits) - 1))
    return np.asarray(scaled, dtype=np.uint8)
