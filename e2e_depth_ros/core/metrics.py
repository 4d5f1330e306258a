"""Errors of depth and normals at pixels where both prediction and target are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError


def abs_rel(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Mean absolute relative error, the mean of ``|prediction - target| / target`` (Eigen et al. 2014).

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


@dataclass(frozen=True)
class DepthScores:
    """How good the depth of one image is.

    Attributes:
        abs_rel: Mean of ``|prediction - target| / target``.
        delta1: Share, 0..1, of pixels whose ratio to the target is below 1.25 either way.
        delta2: The same below 1.25 ** 2.
        delta3: The same below 1.25 ** 3.
        rmse_m: Root of the mean squared difference, metres.
        log10: Mean of ``|log10 prediction - log10 target|``.
        silog: 100 times the standard deviation of ln prediction - ln target: what no scale would mend
            (Eigen et al. 2014).
        pixels: How many pixels count.
    """

    abs_rel: float
    delta1: float
    delta2: float
    delta3: float
    rmse_m: float
    log10: float
    silog: float
    pixels: int


def score_depth(prediction: NDArray[Any], target: NDArray[Any]) -> DepthScores:
    """Compare depth in metres.

    Args:
        prediction: (N,), metres, positive.
        target: (N,), metres, positive.

    Raises:
        InvalidInputError: The shapes differ, nothing is given, or a value is not positive.
    """
    _check(prediction, target)
    if not (prediction > 0).all():
        raise InvalidInputError(f"expected positive predictions, got {float(np.min(prediction))}")
    prediction, target = prediction.astype(np.float64), target.astype(np.float64)
    ratio = np.maximum(prediction / target, target / prediction)
    delta1_, delta2, delta3 = (float(np.mean(ratio < 1.25**power)) for power in (1, 2, 3))
    return DepthScores(
        abs_rel=abs_rel(prediction, target),
        delta1=delta1_,
        delta2=delta2,
        delta3=delta3,
        rmse_m=float(np.sqrt(np.mean((prediction - target) ** 2))),
        log10=float(np.mean(np.abs(np.log10(prediction / target)))),
        silog=100 * float(np.std(np.log(prediction / target))),
        pixels=prediction.size,
    )


def fit_least_squares(prediction: NDArray[Any], target: NDArray[Any]) -> tuple[float, float]:
    """Find the scale and shift that bring a relative prediction closest to its target.

    This is the protocol of affine-invariant depth (MiDaS, Ranftl et al. 2020): plain least squares, one
    scale and one shift an image. A sensor has no such fit; see the alignment for that.

    Args:
        prediction: (N,).
        target: (N,).

    Returns:
        Scale and shift: scale * prediction + shift is the fit. A constant prediction has scale 0.

    Raises:
        InvalidInputError: The shapes differ, nothing is given, or something is not finite.
    """
    if prediction.shape != target.shape or prediction.size == 0:
        raise InvalidInputError(
            f"expected two equal shapes, not empty, got {prediction.shape} and {target.shape}"
        )
    x, y = prediction.astype(np.float64), target.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInputError("expected finite numbers to fit, got NaN or infinity")
    mean_x, mean_y = x.mean(), y.mean()
    spread = ((x - mean_x) ** 2).sum()
    if spread <= 1e-12 * x.size * max(1e-12, float(mean_x**2)):
        return 0.0, float(mean_y)
    scale = float(((x - mean_x) * (y - mean_y)).sum() / spread)
    return scale, float(mean_y - scale * mean_x)


@dataclass(frozen=True)
class NormalScores:
    """How good normals are, over all pixels of a set (the DSINE protocol, Bae and Davison 2024).

    Attributes:
        mean_deg: Mean angle to the target, degrees.
        median_deg: Median angle, degrees.
        rmse_deg: Root of the mean squared angle, degrees.
        within: Share, 0..1, of pixels below each of `NormalErrors.LIMITS_DEG`.
        pixels: How many pixels count.
    """

    mean_deg: float
    median_deg: float
    rmse_deg: float
    within: tuple[float, ...]
    pixels: int


@dataclass(eq=False)
class NormalErrors:
    """Angles of any number of pixels, kept as a histogram of hundredths of a degree.

    Attributes:
        counts: (18001,), int64, pixels of each hundredth of a degree.
        sum_deg: Sum of the angles, degrees.
        sum_deg2: Sum of their squares, degrees squared.
    """

    LIMITS_DEG = (5.0, 7.5, 11.25, 22.5, 30.0)
    STEPS = 100  # a degree

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(180 * 100 + 1, np.int64))
    sum_deg: float = 0.0
    sum_deg2: float = 0.0

    def add(self, prediction: NDArray[Any], target: NDArray[Any]) -> None:
        """Count the pixels of an image.

        Args:
            prediction: (N, 3), unit vectors.
            target: (N, 3), unit vectors.

        Raises:
            InvalidInputError: The shapes differ or something is not finite.
        """
        if prediction.shape != target.shape or prediction.ndim != 2 or prediction.shape[1] != 3:
            raise InvalidInputError(
                f"expected two arrays of normals (N, 3), got {prediction.shape} and {target.shape}"
            )
        angle = angle_deg(prediction, target)
        if not np.isfinite(angle).all():
            raise InvalidInputError("expected finite normals, got NaN or infinity")
        self.counts += np.bincount((angle * self.STEPS).astype(np.int64), minlength=len(self.counts))
        self.sum_deg += float(angle.sum())
        self.sum_deg2 += float((angle**2).sum())

    def merge(self, other: NormalErrors) -> None:
        """Count the pixels that another has counted, too."""
        self.counts += other.counts
        self.sum_deg += other.sum_deg
        self.sum_deg2 += other.sum_deg2

    def scores(self) -> NormalScores | None:
        """Summarise; None where no pixel was counted."""
        pixels = int(self.counts.sum())
        if pixels == 0:
            return None
        below = np.cumsum(self.counts) / pixels
        median = (np.searchsorted(below, 0.5) + 0.5) / self.STEPS
        within = tuple(float(below[round(limit * self.STEPS) - 1]) for limit in self.LIMITS_DEG)
        rmse = float(np.sqrt(self.sum_deg2 / pixels))
        return NormalScores(self.sum_deg / pixels, float(median), rmse, within, pixels)


def angle_deg(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Angle between vectors (..., 3), degrees, by atan2: exact for small angles and any length."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    across = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.rad2deg(np.arctan2(across, (a * b).sum(axis=-1))))


def _check(prediction: NDArray[Any], target: NDArray[Any]) -> None:
    if prediction.shape != target.shape or prediction.size == 0:
        raise InvalidInputError(
            f"expected two equal shapes, not empty, got {prediction.shape} and {target.shape}"
        )
    if not (target > 0).all():
        raise InvalidInputError(f"expected positive targets, got {float(np.min(target))}")
