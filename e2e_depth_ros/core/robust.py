"""How widely errors scatter when some of them are gross."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STD_OF_MEDIAN_DEVIATION: Final = 1.4826
"""Standard deviation of a normal distribution over the median of its absolute deviations."""


def robust_std(deviation: NDArray[Any]) -> float:
    """Return the standard deviation about 0 of deviations (N,); fewer than half of them may be gross."""
    return STD_OF_MEDIAN_DEVIATION * float(np.median(np.abs(deviation)))
