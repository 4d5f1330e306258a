"""The field: what one scale and shift leave, interpolated between the samples along the network's surfaces.

The log ratio of true to fitted depth is a Gaussian process over image column, image row and log depth: a
Matern-3/2 kernel over the image times one over log depth. Its mean is 0, so it shrinks to nothing where there
is no evidence; distance in log depth keeps it from reaching across depth edges. For a network that explains
little the mean may be a line of negative slope: then it shrinks towards the samples' own depth instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.fitting.gaussian_process import (
    Kernel,
    Points,
    ProcessSettings,
    condition,
    image_distance,
    likeliest_kernel,
    matern,
    merge_points,
    tell_outliers,
    with_noise,
)
from e2e_depth_ros.alignment.fitting.grid import GridLayout
from e2e_depth_ros.alignment.fitting.whitening import whitening
from e2e_depth_ros.core.robust import robust_std
from e2e_depth_ros.core.threads import one_thread


@dataclass(frozen=True)
class FieldSettings:
    """How it is computed, in image widths and log depth. Values are choices where no measurement is told.

    Attributes:
        least_samples: Fewer can't tell the network's error from noise.
        most_points: Of more samples, those in one cell become one point: a Gaussian process costs the cube
            of its points.
        honest: Probability of being an outlier up to which a point may choose the kernel once more.
        log_ratios: The least and the most that it says: a factor of 12.
        reach: Of the fine step, about the distance between samples: over the root of their count,
        reaches: but at least and at most these.
        spacings: Of nodes that the mean is computed at, at least and at most: half that reach.
        layer_step: Log depth between layers of nodes.
        margin: Log depth beyond the range, so that one that breathes from frame to frame still fits.
        open_steps: Of the coarser grid of the variance, over the image and over log depth.
        least_fine: Samples from which there is something left for the fine step.
        fine_depth: Standard deviation of its weights over log depth.
        fine_noise: Standard deviation of log depth at which a sample's doubt halves its weight in it.
        fine_alone: Weight of a sample, of which the fine step keeps half.
    """

    least_samples: int = 8
    most_points: int = 500
    honest: float = 0.05
    log_ratios: tuple[float, float] = (-2.5, 2.5)
    reach: float = 0.8
    reaches: tuple[float, float] = (0.008, 0.07)
    spacings: tuple[float, float] = (0.025, 0.035)
    layer_step: float = 0.1
    margin: float = 0.1
    open_steps: tuple[float, float] = (0.08, 0.3)
    least_fine: int = 150
    fine_depth: float = 0.15
    fine_noise: float = 0.03
    fine_alone: float = 0.3


_SETTINGS = FieldSettings()


@dataclass(frozen=True, eq=False)
class Field:
    """What corrects log depth over a bilateral grid, with its uncertainty.

    Attributes:
        layout: The grid.
        mean: (layers, rows, columns), float32, to be added to the log of the fitted depth.
        kernel: Of the process.
        place: (N, 3), of the points that it is conditioned on.
        noise: (N,), variance of theirs.
    """

    layout: GridLayout
    mean: NDArray[np.float32]
    kernel: Kernel
    place: NDArray[np.float64]
    noise: NDArray[np.float64]

    def log_factor(self, log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the factor that corrects each pixel, (H, W), given the log of the fitted depth."""
        return self.layout.read(self.mean, log_depth)

    def variance(
        self, log_depth: NDArray[np.float32], without: NDArray[np.float32] | float
    ) -> NDArray[np.float32]:
        """Variance of what the field still leaves, (H, W), in log depth squared.

        Args:
            log_depth: (H, W), log of the fitted depth.
            without: Variance, (H, W) or everywhere, of the fit without a field; it is what is left where no
                sample is near.
        """
        noise = self.kernel.variance * self.kernel.noise
        layout, open_share = self._open_share
        left = layout.read(open_share, log_depth)
        left *= np.maximum(np.float32(self.kernel.variance), np.asarray(without, np.float32))
        left += np.float32(noise)
        return left

    @cached_property
    def _open_share(self) -> tuple[GridLayout, NDArray[np.float32]]:
        """Share of the correction's variance that the samples leave open, over a coarser grid."""
        layers = self.layout.log_depth_nodes
        spacing, step = _SETTINGS.open_steps
        layout = GridLayout.covering(self.layout.size, spacing, (layers[0], layers[-1]), step)
        depth, row, column = np.meshgrid(
            layout.log_depth_nodes, layout.row_nodes, layout.column_nodes, indexing="ij"
        )
        nodes = np.stack([column.ravel(), row.ravel(), depth.ravel()], axis=1)
        # Every k-th point, with a k-th of its noise, tells as much about the variance.
        step = -(-len(self.place) // ProcessSettings.most_tuning)
        place, noise = self.place[::step], self.noise[::step] / step
        with one_thread():
            whiten = whitening(with_noise(self.kernel.between(place, place), noise))
            known = np.square(self.kernel.between(nodes, place) @ whiten.T).sum(axis=1)
        share = 1 - known.reshape(layout.shape) / self.kernel.variance
        return layout, np.clip(share, 0, 1).astype(np.float32)

    def blended(self, previous: Field | None, share: float) -> Field:
        """Move only by `share` from an earlier field of the same layout towards this one."""
        if previous is None or share >= 1 or previous.layout != self.layout:
            return self
        return replace(self, mean=previous.mean + np.float32(share) * (self.mean - previous.mean))

    def faded(self, share: float) -> Field:
        """Return the field reduced to a share of itself, as its evidence grows old."""
        return replace(self, mean=self.mean * np.float32(share))


def points_of(
    u_px: NDArray[Any],
    v_px: NDArray[Any],
    log_depth: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    doubt: NDArray[np.float64],
    outlier: NDArray[np.float64],
    width: int,
) -> Points:
    """Take samples as points, in an order of their own, so that the given one can't matter.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the fitted depth there.
        log_ratio: (N,), log(measured / fitted), without gross outliers.
        doubt: (N,), variance of the log ratio that is known beforehand, as `edge_doubt` gives it.
        outlier: (N,), probability that it means nothing, as `gate_samples` gives it.
        width: Of the image, pixels.
    """
    place = np.stack([u_px / width, v_px / width, log_depth], axis=1).astype(np.float64)
    points = Points(place, np.asarray(log_ratio, np.float64), doubt, outlier, np.ones(len(log_ratio)))
    return points.at(np.lexsort((log_ratio, v_px, u_px)))


def fit_field(
    samples: Points,
    size: tuple[int, int],
    log_depth_range: tuple[float, float],
    *,
    like: Field | None = None,
) -> Field | None:
    """Condition the process on samples.

    Many samples are first merged to cell medians. Reach and noise are those of the largest marginal
    likelihood; possible outliers that the others contradict hardly count. Dense samples then add what the
    process left, by a Gaussian-weighted mean over their own spacing.

    Args:
        samples: As `points_of` gives them.
        size: (H, W) of the image.
        log_depth_range: Log of the fitted depth at the ends of the whole map.
        like: An earlier field, whose layout is taken over if it serves, so that the two can be blended.

    Returns:
        The field; None with too few samples.
    """
    count = len(samples.value)
    if count < _SETTINGS.least_samples:
        return None
    points = merge_points(samples, _SETTINGS.most_points)
    kernel, weights, noise = _conditioned(points)
    reach = float(np.clip(_SETTINGS.reach / np.sqrt(count), *_SETTINGS.reaches))
    spacing = float(np.clip(0.5 * reach, *_SETTINGS.spacings))
    layout = _layout(size, min(spacing, max(reach, 0.01)), log_depth_range, like)
    coarse = layout.refined(spacing)
    mean = coarse.moved_to(layout, _mean_at_nodes(coarse, points.place, weights, kernel))
    if count >= _SETTINGS.least_fine:
        mean += _fine_step(layout, mean, samples, reach)
    mean = np.clip(mean, *_SETTINGS.log_ratios)
    return Field(layout, mean.astype(np.float32), kernel, points.place, noise)


def left_out(
    samples: Points, given: NDArray[np.bool_], held: NDArray[np.bool_], kernel: Kernel, most: int
) -> NDArray[np.float64]:
    """What a field of this kernel, through at most so many points, says at the samples held out.

    Args:
        samples: As `points_of` gives them, N.
        given: Mask (N,), of those that it is conditioned on.
        held: Mask (N,), of those held out, M.
        kernel: Of the process.
        most: Points that the given ones are merged to.

    Returns:
        (M,), expected log(measured / fitted).
    """
    points = merge_points(samples.at(np.flatnonzero(given)), most)
    covariance = kernel.between(points.place, points.place)
    noise, _ = tell_outliers(points, kernel, covariance)
    weights = condition(points, kernel, covariance, noise)
    return np.clip(kernel.expected(samples.place[held], points.place, weights), *_SETTINGS.log_ratios)


def _conditioned(points: Points) -> tuple[Kernel, NDArray[np.float64], NDArray[np.float64]]:
    """Choose the kernel, and condition on the points.

    If all looks like noise, it is chosen once more without the outliers that may have blurred it.

    Returns:
        The kernel, the weights (N,) of the points and their noise (N,).
    """
    kernel = likeliest_kernel(points)
    covariance = kernel.between(points.place, points.place)
    noise, outlier = tell_outliers(points, kernel, covariance)
    honest = outlier <= max(_SETTINGS.honest, float(np.median(outlier)))
    if kernel.is_noisiest and not honest.all():
        kernel = likeliest_kernel(replace(points, outlier=outlier).at(np.flatnonzero(honest)))
        covariance = kernel.between(points.place, points.place)
        noise, _ = tell_outliers(points, kernel, covariance)
    return kernel, condition(points, kernel, covariance, noise), noise


def _mean_at_nodes(
    layout: GridLayout, place: NDArray[np.float64], weights: NDArray[np.float64], kernel: Kernel
) -> NDArray[np.float64]:
    """The mean at every node; as a product of kernels it is one matrix product."""
    row, column = np.meshgrid(layout.row_nodes, layout.column_nodes, indexing="ij")
    nodes = np.stack([column.ravel(), row.ravel()], axis=1).astype(np.float32)
    over_image = matern(image_distance(nodes, place.astype(np.float32)) / np.float32(kernel.reach))
    over_depth = matern(np.abs(layout.log_depth_nodes[:, None] - place[:, 2]) / kernel.depth_reach)
    mean = (over_depth * (kernel.variance * weights)).astype(np.float32) @ over_image.T
    line = kernel.mean(layout.log_depth_nodes)
    return np.asarray(mean.reshape(layout.shape) + line[:, None, None], dtype=np.float64)


def _fine_step(
    layout: GridLayout, mean: NDArray[np.float64], samples: Points, reach: float
) -> NDArray[np.float64]:
    """Local mean, over `reach` image widths, of what the mean leaves at the samples."""
    corners = layout.corners(*samples.place.T)
    left = samples.value - layout.interpolated(mean, corners)
    agree = np.abs(left) < 4 * max(robust_std(left), 0.01)
    noise = _SETTINGS.fine_noise**2
    trust = np.where(agree, noise / (noise + samples.doubt), 0.0)
    in_columns = reach / layout.column_nodes[1]
    deviations = (_SETTINGS.fine_depth / layout.layer_step, reach / layout.row_nodes[1], in_columns)
    total = layout.blur(layout.splat(corners, trust * left), deviations)
    weight = layout.blur(layout.splat(corners, trust), deviations)
    return np.asarray(total / (weight + _SETTINGS.fine_alone), dtype=np.float64)


def _layout(
    size: tuple[int, int], spacing: float, log_depth_range: tuple[float, float], like: Field | None
) -> GridLayout:
    first, last = log_depth_range
    if like is not None and like.layout.size == size:
        old = like.layout
        layers = old.log_depth_nodes
        fits = layers[0] <= first and last <= layers[-1] and layers[-1] - layers[0] < last - first + 1
        if fits and 0.7 < old.column_nodes[1] / spacing < 1.4:
            return old
    ends = first - _SETTINGS.margin, last + _SETTINGS.margin
    return GridLayout.covering(size, spacing, ends, _SETTINGS.layer_step)
