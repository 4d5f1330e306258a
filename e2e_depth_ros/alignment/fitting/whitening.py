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
    left, result = covariance.copy(), np.zeros_like(covariance)
    _whiten(left, result)
    return result


def _whiten(left: NDArray[Any], result: NDArray[Any]) -> None:
    """Write what whitens `left`, which is used up, into `result`, which is 0."""
    if len(left) <= _SMALL:
        result[:] = np.linalg.inv(np.linalg.cholesky(left))
        return
    half = len(left) // 2
    first, last = result[:half, :half], result[half:, half:]
    _whiten(left[:half, :half], first)
    across = left[half:, :half] @ first.T
    left[half:, half:] -= across @ across.T
    _whiten(left[half:, half:], last)
    np.matmul(last, across @ -first, out=result[half:, :half])
