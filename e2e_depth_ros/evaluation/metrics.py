"""Errors of depth at pixels where both prediction and target are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError


def abs_rel(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Mean absolute relative error: mean of |prediction - target| / target (Eigen et al. 2014).

    Args:
        prediction: (N,), metres.
        target: (N,), metres, positive.

    Raises:
        InvalidInputError: The shapes differ, nothing is given, or a target is not positive.
    """
    _check(prediction, target)
    return float(np.mean(np.abs(prediction - target) / target, dtype=np.float64))


def delta1(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Share, 0..1, of pixels whose ratio to the target is below 1.25 either way (Eigen et al. 2014).

    Args:
        prediction: (N,), metres; what is not positive counts as wrong.
        target: (N,), metres, positive.

    Raises:
        InvalidInputError: The shapes differ, nothing is given, or a target is not positive.
    """
    _check(prediction, target)
    return float(np.mean((prediction < 1.25 * target) & (target < 1.25 * prediction)))


def _check(prediction: NDArray[Any], target: NDArray[Any]) -> None:
    if prediction.shape != target.shape or prediction.size == 0:
        raise InvalidInputError(
            f"expected two equal shapes, not empty, got {prediction.shape} and {target.shape}"
        )
    if not (target > 0).all():
        raise InvalidInputError(f"expected positive targets, got {float(np.min(target))}")
