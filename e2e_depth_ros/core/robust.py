"""How widely errors scatter when some of them are gross."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STD_OF_MEDIAN_DEVIATION: Final = 1.4826
"""Standard deviation of a normal distribution over the median of its absolute deviations."""

_TUKEY: Final = 4.685  # tuning constant of Tukey's biweight: 95 % efficiency on normal errors


def robust_std(deviation: NDArray[Any]) -> float:
    """Return the standard deviation about 0 of deviations (N,); fewer than half of them may be gross."""
    return STD_OF_MEDIAN_DEVIATION * float(np.median(np.abs(deviation)))


def biweight(error: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Tukey's weight, 0..1, of errors (N,) whose standard deviation is sigma; that of gross ones is 0."""
    weight: NDArray[Any] = np.square(np.maximum(0.0, 1 - np.square(error / (_TUKEY * sigma))))
    return weight
