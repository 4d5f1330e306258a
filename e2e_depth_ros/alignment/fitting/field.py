"""The field: what one scale and shift leave, interpolated between the samples along the network's surfaces.

The log ratio of true to fitted depth is a Gaussian process over image column, image row and log depth: a
Matern-3/2 kernel over the image times one over log depth. Its mean is 0, so it shrinks to nothing where there
is no evidence; distance in log depth keeps it from reaching across depth edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.fitting.gaussian_process import (
    Kernel,
    Points,
    Process,
    ProcessSettings,
    condition,
    likeliest_kernel,
    matern,
    with_noise,
)
from e2e_depth_ros.alignment.fitting.grid import GridLayout
from e2e_depth_ros.alignment.fitting.whitening import whitening
from e2e_depth_ros.core.robust import robust_std
from e2e_depth_ros.core.threads import one_thread


@dataclass(frozen=True)
class FieldSettings:
    """How it is computed, in image widths and log depth. Values are choices where no measurement is told."""

    least_points: int = 8  # fewer can't tell the network's error from noise
    # Probability of being an outlier up to which a point may choose the kernel once more:
    honest: float = 0.05
    log_ratios: tuple[float, float] = (-2.5, 2.5)  # the least and the most that it says: a factor of 12
    reach: float = 0.8  # of the fine step, about the distance between samples: over the root of their count,
    reaches: tuple[float, float] = (0.008, 0.07)  # but at least and at most these
    spacings: tuple[float, float] = (0.02, 0.03)  # of nodes over the image, at least and at most: that reach
    layer_step: float = 0.1  # log depth between layers of nodes
    least_fine: int = 150  # samples from which there is something left for the fine step,
    most_fine: int = 3000  # and that take part in it
    fine_depth: float = 0.15  # standard deviation of its weights over log depth
    # Standard deviation of log depth at which a sample's doubt halves its weight in it:
    fine_noise: float = 0.03
    fine_alone: float = 0.3  # weight of a sample, of which the fine step keeps half
    # Of the coarser grid of the variance, over the image and over log depth:
    open_steps: tuple[float, float] = (0.08, 0.3)
    # Log depth beyond the range, so that one that breathes from frame to frame still fits:
    margin: float = 0.1


_SETTINGS = FieldSettings()


@dataclass(frozen=True, eq=False)
class Field:
    """What corrects log depth over a bilateral grid, with its uncertainty.

    Attributes:
        layout: The grid.
        mean: (layers, rows, columns), float32, to be added to the log of the fitted depth.
        process: That it was read from.
    """

    layout: GridLayout
    mean: NDArray[np.float32]
    process: Process

    def log_factor(self, log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the factor that corrects each pixel, given the log of the fitted depth: (H, W), any size."""
        return self.layout.read(self.mean, log_depth)

    def variance(
        self, log_depth: NDArray[np.float32], without: NDArray[np.float32] | float
    ) -> NDArray[np.float32]:
        """Variance of what the field still leaves, (H, W), in log depth squared.

        Args:
            log_depth: (H, W), log of the fitted depth, of any size.
            without: Variance, (H, W) or everywhere, of the fit without a field; it is what is left where no
                sample is near.
        """
        kernel = self.process.kernel
        layout, open_share = self._open_share
        left = layout.read(open_share, log_depth)
        left *= np.maximum(np.float32(kernel.variance), np.asarray(without, np.float32))
        left += np.float32(kernel.variance * kernel.noise)
        return left

    @cached_property
    def _open_share(self) -> tuple[GridLayout, NDArray[np.float32]]:
        """Share of the correction's variance that the samples leave open, over a coarser grid."""
        layers = self.layout.log_depth_nodes
        spacing, step = _SETTINGS.open_steps
        layout = GridLayout.covering(self.layout.size, spacing, (layers[0], layers[-1]), step)
        # Every k-th point, with a k-th of its noise, tells as much about the variance.
        kernel, every = self.process.kernel, -(-len(self.process.place) // ProcessSettings.most_tuning)
        place, noise = self.process.place[::every], self.process.noise[::every] / every
        with one_thread():
            whiten = whitening(with_noise(kernel.between(place, place), noise))
            over_depth, rows = _over_grid(kernel, layout, place)
            known = [np.square((over_depth[:, None] * row) @ whiten.T).sum(axis=2) for row in rows]
        share = 1 - np.stack(known, axis=1) / kernel.variance
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
    """Take samples as points.

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
    return Points(place, np.asarray(log_ratio, np.float64), doubt, outlier, np.ones(len(log_ratio)))


def fit_field(
    points: Points,
    samples: Points,
    size: tuple[int, int],
    log_depth_range: tuple[float, float],
    *,
    like: Field | None = None,
) -> Field | None:
    """Condition the process on points.

    Reach and noise are those of the largest marginal likelihood; possible outliers that the others contradict
    hardly count. Dense samples then add what the process left, by a Gaussian-weighted mean over their own
    spacing.

    Args:
        points: The samples, many of them merged.
        samples: As `points_of` gives them.
        size: (H, W) of the image.
        log_depth_range: Log of the fitted depth at the ends of the whole map.
        like: An earlier field, whose layout is taken over if it serves, so that the two can be blended.

    Returns:
        The field; None with too few points.
    """
    if len(points.value) < _SETTINGS.least_points:
        return None
    process = _conditioned(points)
    reach = float(np.clip(_SETTINGS.reach / np.sqrt(len(samples.value)), *_SETTINGS.reaches))
    layout = _layout(size, float(np.clip(reach, *_SETTINGS.spacings)), log_depth_range, like)
    mean = _mean_at_nodes(layout, process)
    if len(samples.value) >= _SETTINGS.least_fine:
        mean += _fine_step(layout, mean, samples, reach)
    return Field(layout, np.clip(mean, *_SETTINGS.log_ratios), process)


def _conditioned(points: Points) -> Process:
    """Choose the kernel, and condition on the points.

    If all looks like noise, it is chosen once more without the outliers that may have blurred it.
    """
    process = condition(points, likeliest_kernel(points))
    honest = process.outlier <= max(_SETTINGS.honest, float(np.median(process.outlier)))
    if process.kernel.noise >= ProcessSettings.noises[-1] and not honest.all():
        process = condition(points, likeliest_kernel(replace(points, outlier=process.outlier).at(honest)))
    return process


def _mean_at_nodes(layout: GridLayout, process: Process) -> NDArray[np.float32]:
    """The mean at every node."""
    over_depth, rows = _over_grid(process.kernel, layout, process.place)
    over_depth *= process.weights
    return np.stack([over_depth @ row.T for row in rows], axis=1)


def _over_grid(
    kernel: Kernel, layout: GridLayout, place: NDArray[np.float64]
) -> tuple[NDArray[np.float32], Iterator[NDArray[np.float32]]]:
    """Factors of the covariance of nodes and N places: (layers, N), and (columns, N) for each row."""
    column, row, log_depth = place.T.astype(np.float32)
    columns, rows, layers = (
        nodes.astype(np.float32)[:, None]
        for nodes in (layout.column_nodes, layout.row_nodes, layout.log_depth_nodes)
    )
    over_depth = matern(np.abs(layers - log_depth) / np.float32(kernel.depth_reach))
    across = np.square(columns - column)
    over_rows = (
        matern(np.sqrt(across + down) / np.float32(kernel.reach)) for down in np.square(rows - row)
    )  # one at a time: as much as the cache holds
    return over_depth * np.float32(kernel.variance), over_rows


def _fine_step(
    layout: GridLayout, mean: NDArray[np.float32], samples: Points, reach: float
) -> NDArray[np.float32]:
    """Local mean, over `reach` image widths, of what the mean leaves at the samples."""
    samples = samples.at(slice(None, None, -(-len(samples.value) // _SETTINGS.most_fine)))
    left = samples.value - layout.at(mean, samples.place)
    noise = _SETTINGS.fine_noise**2
    trust = noise / (noise + samples.doubt) * (np.abs(left) < 4 * max(robust_std(left), 0.01))
    axes = (layout.column_nodes, reach), (layout.row_nodes, reach)
    # A Gaussian is a product over the axes.
    columns, rows, layers = (
        np.exp(-0.5 * np.square((nodes[:, None] - own) / deviation)).astype(np.float32)
        for (nodes, deviation), own in zip(
            (*axes, (layout.log_depth_nodes, _SETTINGS.fine_depth)), samples.place.T, strict=True
        )
    )

    def total(values: NDArray[np.float64]) -> NDArray[np.float32]:
        weighted = (layers * values.astype(np.float32))[:, None] * rows
        return np.asarray(weighted @ columns.T)

    return np.asarray(total(trust * left) / (total(trust) + np.float32(_SETTINGS.fine_alone)))


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
