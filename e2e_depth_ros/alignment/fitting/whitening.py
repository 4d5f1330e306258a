"""The inverse of a Cholesky factor, by NumPy alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SMALL: Final = 32  # matrices that aren't halved any further


def whitening(covariance: NDArray[Any]) -> NDArray[Any]:
    """What makes white noise of values with this covariance.

    It is computed by halves: so nearly all of the work is products of matrices, which take a fraction of the
    time of NumPy's own `cholesky` and `inv`, as the latter does not know triangles.

    Args:
        covariance: (N, N), symmetric and positive definite, float32 or float64.

    Returns:
        W, (N, N), of the same type: the inverse of the Cholesky factor. It is lower triangular, and W' W is
        the inverse of the covariance.

    Raises:
        numpy.linalg.LinAlgError: The covariance is not positive definite.
    """
    if len(covariance) <= _SMALL:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))
    half = len(covariance) // 2
    result = np.zeros_like(covariance)
    first = result[:half, :half] = whitening(covariance[:half, :half])
    across = covariance[half:, :half] @ first.T
    last = result[half:, half:] = whitening(covariance[half:, half:] - across @ across.T)
    result[half:, :half] = -last @ (across @ first)
    return result
