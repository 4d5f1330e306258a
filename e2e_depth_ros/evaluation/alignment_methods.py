"""The ways from sparse measurements to metric depth that are compared: ours, others, and a floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment.evidence.neighbours import are_supported
from e2e_depth_ros.alignment.fitting.planes import Guide, LocalPlanes
from e2e_depth_ros.core.errors import MissingDependencyError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import fit_least_squares
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples

_NEAREST = 8  # samples that inverse-distance weighting takes
_OF_MEDIAN = 16
_LEAST_M = 0.05  # outliers may be at 0


@dataclass(frozen=True, eq=False)
class Seen:
    """What a method is given of a frame, beside the samples.

    Attributes:
        relative: The network's output, smooth.
        image: (H, W, 3), uint8, RGB.
        outlines: What metric depth is to follow afterwards, as the node's does; None for nothing.
    """

    relative: DepthMap
    image: NDArray[np.uint8]
    outlines: Outlines | None = None


@dataclass(frozen=True, eq=False)
class Completed:
    """Metric depth of a method.

    Attributes:
        depth_m: (H, W), metres; NaN where it gives none.
        log_std: (H, W), standard deviation of its log; None if it tells none.
    """

    depth_m: NDArray[Any]
    log_std: NDArray[Any] | None = None


Complete = Callable[[Seen, PixelSamples], Completed]


@dataclass(frozen=True)
class AlignmentMethod:
    """One way to complete depth.

    Attributes:
        name: What to call it in reports.
        complete: From what is seen and samples to metres.
    """

    name: str
    complete: Complete


def alignment_methods() -> tuple[AlignmentMethod, ...]:
    """Return all methods: two global fits, four that ask no network, and the two that are ours.

    Raises:
        MissingDependencyError: scipy or scikit-learn, which the others need, is not installed.
    """
    try:
        import scipy.spatial  # noqa: PLC0415, F401 - only the others need them
        import sklearn.linear_model  # noqa: PLC0415, F401
    except ImportError as error:
        raise MissingDependencyError(
            f"the reference methods need {error.name}: pip install scipy scikit-learn"
        ) from error
    return (
        AlignmentMethod("least squares", least_squares),
        AlignmentMethod("RANSAC", ransac),
        AlignmentMethod("inverse distance", inverse_distance),
        AlignmentMethod("median of 16", median_of_nearest),
        AlignmentMethod("Delaunay", delaunay),
        AlignmentMethod("image planes", image_planes),
        AlignmentMethod("scale and shift", scale_and_shift),
        AlignmentMethod("correction", correction),
    )


def scale_and_shift(seen: Seen, samples: PixelSamples) -> Completed:
    """One robust scale and shift."""
    return _aligned(seen, samples, correction=False)


def correction(seen: Seen, samples: PixelSamples) -> Completed:
    """Scale, shift and correction."""
    return _aligned(seen, samples, correction=True)


def _aligned(seen: Seen, samples: PixelSamples, *, correction: bool) -> Completed:
    pixels = samples.columns, samples.rows, samples.depth_m
    alignment = align(seen.relative, *pixels, image=seen.image, correction=correction)
    if seen.outlines is not None:
        alignment = alignment.following(seen.outlines)
    return Completed(alignment.depth_m, alignment.log_std)


def least_squares(seen: Seen, samples: PixelSamples) -> Completed:
    """Plain least squares in the space of the relative values."""
    values, measured = _in_space(seen.relative, samples)
    return Completed(_from_space(seen.relative, *fit_least_squares(values, measured)))


def ransac(seen: Seen, samples: PixelSamples) -> Completed:
    """scikit-learn's RANSAC with its defaults; least squares where it finds no consensus."""
    from sklearn.linear_model import RANSACRegressor  # noqa: PLC0415

    values, measured = _in_space(seen.relative, samples)
    try:
        fitted = RANSACRegressor(random_state=0).fit(values[:, None], measured).estimator_
    except ValueError:
        return least_squares(seen, samples)
    return Completed(_from_space(seen.relative, float(fitted.coef_[0]), float(fitted.intercept_)))


def inverse_distance(seen: Seen, samples: PixelSamples) -> Completed:
    """Mean of the eight nearest samples, weighted by the inverse square of their distance."""
    distance, nearest = _neighbours(seen.relative.size, samples, _NEAREST)
    weight = 1 / np.maximum(distance, 0.5) ** 2
    mean = (weight * samples.depth_m[nearest]).sum(axis=1) / weight.sum(axis=1)
    return Completed(mean.reshape(seen.relative.size))


def median_of_nearest(seen: Seen, samples: PixelSamples) -> Completed:
    """Median of the sixteen nearest samples."""
    _, nearest = _neighbours(seen.relative.size, samples, _OF_MEDIAN)
    return Completed(np.median(samples.depth_m[nearest], axis=1).reshape(seen.relative.size))


def delaunay(seen: Seen, samples: PixelSamples) -> Completed:
    """Log depth, linear over the triangles of a Delaunay triangulation; beyond them that of the nearest."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator  # noqa: PLC0415
    from scipy.spatial import QhullError  # noqa: PLC0415

    place = np.stack([samples.columns, samples.rows], axis=1).astype(np.float64)
    log_depth = np.log(np.maximum(samples.depth_m, _LEAST_M))
    rows, columns = np.mgrid[: seen.relative.size[0], : seen.relative.size[1]]
    completed = NearestNDInterpolator(place, log_depth)(columns, rows)
    try:
        inside = LinearNDInterpolator(place, log_depth)(columns, rows)
    except QhullError:  # too few samples, or all on a line
        return Completed(np.exp(completed))
    return Completed(np.exp(np.where(np.isnan(inside), completed, inside)))


def image_planes(seen: Seen, samples: PixelSamples) -> Completed:
    """Joint bilateral planes through the samples that neighbours support, guided by colours alone."""
    import cv2  # noqa: PLC0415

    u, v = samples.columns.astype(np.float32), samples.rows.astype(np.float32)
    log_depth = np.log(np.maximum(samples.depth_m, _LEAST_M))
    keep = are_supported(u, v, log_depth)
    if not keep.any():
        keep[:] = True
    planes = LocalPlanes.through(Guide.of(seen.image), u[keep], v[keep], log_depth[keep])
    height, width = seen.relative.size
    return Completed(np.exp(cv2.resize(planes.everywhere()[0], (width, height))))


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
