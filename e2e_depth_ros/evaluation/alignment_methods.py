"""The ways from sparse measurements to metric depth that are compared: ours, references, and a floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import align
from e2e_depth_ros.core.errors import MissingDependencyError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import fit_least_squares
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples

_NEIGHBOURS = 8  # of inverse-distance weighting
_AFFINE_NEIGHBOURS = 5

Complete = Callable[[DepthMap, PixelSamples], NDArray[Any]]


@dataclass(frozen=True)
class AlignmentMethod:
    """One way to complete depth.

    Attributes:
        name: What to call it in reports.
        complete: From relative depth and samples to metres (H, W); NaN where it gives none.
        follows_outlines: Whether the metres follow the outlines of the image afterwards, as the node's do.
    """

    name: str
    complete: Complete
    follows_outlines: bool = False


def alignment_methods() -> tuple[AlignmentMethod, ...]:
    """Return all methods; the last two are ours.

    Raises:
        MissingDependencyError: scipy or scikit-learn, which the references need, is not installed.
    """
    try:
        import scipy.spatial  # noqa: PLC0415, F401 - only the references need them
        import sklearn.linear_model  # noqa: PLC0415, F401
    except ImportError as error:
        raise MissingDependencyError(
            f"the reference methods need {error.name}: pip install scipy scikit-learn"
        ) from error
    return (
        AlignmentMethod("least squares", least_squares),
        AlignmentMethod("RANSAC", ransac),
        AlignmentMethod("IDW, no model", inverse_distance),
        AlignmentMethod("5-NN affine", nearest_neighbour_affine),
        AlignmentMethod("scale and shift", scale_and_shift, follows_outlines=True),
        AlignmentMethod("correction", correction, follows_outlines=True),
    )


def scale_and_shift(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """One robust scale and shift."""
    return align(relative, samples.columns, samples.rows, samples.depth_m, correction=False).depth_m


def correction(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """Scale, shift and correction."""
    return align(relative, samples.columns, samples.rows, samples.depth_m, correction=True).depth_m


def least_squares(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """Plain least squares in the space of the relative values."""
    values, measured = _in_space(relative, samples)
    return _from_space(relative, *fit_least_squares(values, measured))


def ransac(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """scikit-learn's RANSAC with its defaults; least squares where it finds no consensus."""
    from sklearn.linear_model import RANSACRegressor  # noqa: PLC0415

    values, measured = _in_space(relative, samples)
    try:
        fitted = RANSACRegressor(random_state=0).fit(values[:, None], measured).estimator_
    except ValueError:
        return least_squares(relative, samples)
    return _from_space(relative, float(fitted.coef_[0]), float(fitted.intercept_))


def inverse_distance(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """Mean of the nearest samples, weighted by the inverse square of their distance; uses no network."""
    distance, nearest = _neighbours(relative.size, samples, _NEIGHBOURS)
    weight = 1 / np.maximum(distance, 0.5) ** 2
    mean = (weight * samples.depth_m[nearest]).sum(axis=1) / weight.sum(axis=1)
    return np.asarray(mean.reshape(relative.size))


def nearest_neighbour_affine(relative: DepthMap, samples: PixelSamples) -> NDArray[Any]:
    """At every pixel a least-squares scale and shift over its five nearest samples, weighted by distance."""
    values, measured = _in_space(relative, samples)
    distance, nearest = _neighbours(relative.size, samples, _AFFINE_NEIGHBOURS)
    weight = 1 / (distance + 1)
    weight /= weight.sum(axis=1, keepdims=True)
    x, y = values[nearest], measured[nearest]
    mean_x, mean_y = (weight * x).sum(axis=1), (weight * y).sum(axis=1)
    across = (weight * (x - mean_x[:, None]) * (y - mean_y[:, None])).sum(axis=1)
    spread = (weight * np.square(x - mean_x[:, None])).sum(axis=1)
    scale = np.divide(across, spread, out=np.zeros_like(across), where=spread > 1e-9)
    fitted = mean_y + scale * (relative.values.reshape(-1) - mean_x)
    return _depth_from_space(relative.kind, fitted.reshape(relative.size))


def affine_floor(relative: DepthMap, truth_m: NDArray[Any]) -> NDArray[Any]:
    """The scale and shift of least AbsRel on the truth itself: no global method can do better.

    By iteratively reweighted least squares.

    Args:
        relative: The network's output.
        truth_m: (H, W), metres; NaN where unknown.
    """
    known = relative.valid & np.isfinite(truth_m)
    x, truth = relative.values[known].astype(np.float64), truth_m[known].astype(np.float64)
    is_disparity = relative.kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    y = 1 / truth if is_disparity else truth
    weight = 1 / y**2
    scale = shift = 0.0
    for _ in range(30):
        total = weight.sum()
        mean_x, mean_y = (weight @ x) / total, (weight @ y) / total
        scale = float(
            (weight * (x - mean_x)) @ (y - mean_y) / max((weight * (x - mean_x)) @ (x - mean_x), 1e-12)
        )
        shift = float(mean_y - scale * mean_x)
        error = np.abs(scale * x + shift - y) / y
        weight = 1 / (y**2 * np.maximum(error, 1e-3))
    return _from_space(relative, scale, shift)


def _in_space(relative: DepthMap, samples: PixelSamples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relative values at the samples, and what was measured there in the space of those values."""
    values = relative.values[samples.rows, samples.columns].astype(np.float64)
    is_disparity = relative.kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    return values, 1 / samples.depth_m if is_disparity else samples.depth_m


def _from_space(relative: DepthMap, scale: float, shift: float) -> NDArray[Any]:
    return _depth_from_space(relative.kind, scale * relative.values + np.float32(shift))


def _depth_from_space(kind: DepthKind, values: NDArray[Any]) -> NDArray[Any]:
    if kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
        return np.asarray(1 / np.maximum(values, 1e-3))
    return values


def _neighbours(
    size: tuple[int, int], samples: PixelSamples, count: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance, pixels, and index of each pixel's nearest samples, (H * W, count)."""
    from scipy.spatial import cKDTree  # noqa: PLC0415

    rows, columns = np.mgrid[: size[0], : size[1]]
    tree = cKDTree(np.stack([samples.columns, samples.rows], axis=1))
    count = min(count, len(samples.depth_m))
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
    distance, nearest = tree.query(pixels, k=list(range(1, count + 1)))
    return distance, nearest
