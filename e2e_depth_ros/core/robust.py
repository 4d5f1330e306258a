"""How widely errors scatter, some of them being gross."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STD_OF_MEDIAN_DEVIATION: Final = 1.4826
"""Standard deviation of a normal distribution over the median of its absolute deviations."""


def robust_std(deviation: NDArray[Any]) -> float:
    """Standard deviation of deviations (N,) about 0, of which fewer than half are gross."""
    return STD_OF_MEDIAN_DEVIATION * float(np.median(np.abs(deviation)))
