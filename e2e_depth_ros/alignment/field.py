"""Local correction: what one scale and shift leave, interpolated between the samples.

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
import torch
from numpy.typing import NDArray

from e2e_depth_ros.alignment.grid import GridLayout

MIN_SAMPLES = 8
"""Fewer samples than this can't tell a local error from noise."""

_MAX_PSEUDO = 500  # a Gaussian process costs the cube of its points
_MAX_TUNING = 120  # points that choose the kernel
_ROUNDS = 2  # of raising the noise of contradicted points
_MIN_FINE = 150  # samples from which there is something left for the fine step
_CELL = (0.04, 0.15)  # smallest cell that samples are merged in: image widths, log depth
_REACHES = (0.06, 0.12, 0.2, 0.35)  # of the kernel over the image, image widths
_SLOPES = {
    0.0: 0.6,
    -0.5: 1.3,
    -1.0: 6.0,
}  # of the mean with log depth, and a depth reach for each
_WEAK_SCATTER = 0.1  # of the log ratios, from which slopes other than 0 are tried
_DEPTH_REACHES = (0.6, 0.25, 1.3, 6.0)  # of the kernel over log depth
_NOISES = (0.005, 0.04, 0.3)  # variance of the noise over that of the field
_JITTER = 1e-4  # 1 % noise of the sensor
_LAYER_STEP = 0.1
_SPACING = 0.025
_TREND_OFFSET = 0.3  # variance of the global part over that of the field, at the samples' mean log depth
_TREND_SLOPE = 0.1  # and of its slope with log depth
_FINE_NOISE = 0.03**2  # variance at which a sample's doubt halves its weight in the fine step
_MOST = 2.5  # of the log ratio: a factor of 12


@dataclass(frozen=True, eq=False)
class _Points:
    """Places and log ratios that the process is conditioned on.

    Attributes:
        place: (N, 3), column and row in image widths, log depth.
        value: (N,), log(measured / fitted).
        doubt: (N,), variance of the value that is known beforehand.
        count: (N,), how many samples each stands for.
    """

    place: NDArray[np.float64]
    value: NDArray[np.float64]
    doubt: NDArray[np.float64]
    count: NDArray[np.float64]

    def at(self, chosen: NDArray[np.intp]) -> _Points:
        """Select some of the points."""
        return _Points(self.place[chosen], self.value[chosen], self.doubt[chosen], self.count[chosen])


@dataclass(frozen=True)
class _Kernel:
    """variance * matern(image distance / reach) * matern(log depth distance / depth_reach), about a line.

    Attributes:
        variance: Of the field.
        reach: Over the image, image widths.
        depth_reach: Over log depth.
        noise: Variance of the noise over that of the field.
        middle: Mean log depth of the samples.
        slope: Of the mean with log depth: 0 believes the network, -1 puts one depth in its place.
        level: Of the mean at the middle.
    """

    variance: float
    reach: float
    depth_reach: float
    noise: float
    middle: float
    slope: float = 0.0
    level: float = 0.0

    def mean(self, log_depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the field where nothing is known."""
        return np.asarray(self.level + self.slope * (log_depth - self.middle), dtype=np.float64)

    def between(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of the field at N and M places, (N, M)."""
        over_image = _matern(_image_distance(a, b) / self.reach)
        over_depth = _matern(np.abs(a[:, 2:] - b[:, 2]) / self.depth_reach)
        return np.asarray(self.variance * over_image * over_depth + self.trend(a[:, 2], b[:, 2]), np.float64)

    def trend(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of the global part, which is linear in log depth: the error of scale and shift."""
        offset, slope = self.variance * _TREND_OFFSET, self.variance * _TREND_SLOPE
        return np.asarray(offset + slope * np.multiply.outer(a - self.middle, b - self.middle), np.float64)

    def prior_variance(self, log_depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of the field where nothing is known."""
        around = np.square(log_depth - self.middle)
        return np.asarray(self.variance * (1 + _TREND_OFFSET + _TREND_SLOPE * around), dtype=np.float64)

    def noise_of(self, points: _Points) -> NDArray[np.float64]:
        """Variance of the noise of each point."""
        return (self.variance * self.noise + points.doubt) / np.minimum(points.count, 4) + _JITTER


@dataclass(frozen=True, eq=False)
class LocalField:
    """A correction of log depth over a bilateral grid, with its uncertainty.

    Attributes:
        layout: The grid.
        mean: (layers, rows, columns), float32, to be added to the log of the fitted depth.
    """

    layout: GridLayout
    mean: NDArray[np.float32]
    _kernel: _Kernel
    _place: NDArray[np.float64]
    _noise: NDArray[np.float64]

    def correction(self, log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the factor that corrects each pixel, (H, W), given the log of the fitted depth."""
        return self.layout.read(self.mean, log_depth)

    def variance(self, log_depth: NDArray[np.float32], without: float) -> NDArray[np.float32]:
        """Variance of what the correction still leaves, (H, W), in log depth squared.

        Args:
            log_depth: (H, W), log of the fitted depth.
            without: Variance of the fit without correction; it is what is left where no sample is near.
        """
        noise = self._kernel.variance * self._kernel.noise
        layout, open_share = self._open_share
        left = layout.read(open_share, log_depth)
        left *= np.float32(max(without, self._kernel.variance))
        left += np.float32(noise)
        return left

    @cached_property
    def _open_share(self) -> tuple[GridLayout, NDArray[np.float32]]:
        """Share of the field's variance that the samples leave open, over a coarser grid."""
        layers = self.layout.log_depth_nodes
        layout = GridLayout.covering(self.layout.size, 0.08, (layers[0], layers[-1]), 0.3)
        depth, row, column = np.meshgrid(
            layout.log_depth_nodes, layout.row_nodes, layout.column_nodes, indexing="ij"
        )
        nodes = np.stack([column.ravel(), row.ravel(), depth.ravel()], axis=1)
        # Every k-th point, with a k-th of its noise, tells as much about the variance.
        step = -(-len(self._place) // _MAX_TUNING)
        place, noise = self._place[::step], self._noise[::step] / step
        precision = _inverse(self._kernel.between(place, place), noise)
        covariance = self._kernel.between(nodes, place)
        known = np.einsum("ij,ij->i", covariance @ precision, covariance)
        own = self._kernel.prior_variance(layout.log_depth_nodes)[:, None, None]
        return layout, np.clip(1 - known.reshape(layout.shape) / own, 0, 1).astype(np.float32)

    def blended(self, previous: LocalField | None, share: float) -> LocalField:
        """Move only by `share` from an earlier field of the same layout towards this one."""
        if previous is None or share >= 1 or previous.layout != self.layout:
            return self
        return replace(self, mean=previous.mean + np.float32(share) * (self.mean - previous.mean))

    def faded(self, share: float) -> LocalField:
        """Return the correction reduced to a share of itself, as its evidence grows old."""
        return replace(self, mean=self.mean * np.float32(share))


def fit_field(
    u_px: NDArray[Any],
    v_px: NDArray[Any],
    log_depth: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    doubt: NDArray[np.float64],
    size: tuple[int, int],
    log_depth_range: tuple[float, float],
    *,
    like: LocalField | None = None,
) -> LocalField | None:
    """Condition the process on samples.

    Many samples are first merged to cell medians. Reach and noise are those of the largest marginal
    likelihood; samples that the others contradict (by leave-one-out residual) have their noise raised.
    Dense samples then add what the process left, by a Gaussian-weighted mean over their own spacing.

    Args:
        u_px: (N,), columns.
        v_px: (N,), rows.
        log_depth: (N,), log of the fitted depth there.
        log_ratio: (N,), log(measured / fitted), without gross outliers.
        doubt: (N,), variance of the log ratio that is known beforehand, as `edge_doubt` gives it.
        size: (H, W) of the image.
        log_depth_range: Log of the fitted depth at the ends of the whole map.
        like: An earlier field, whose layout is taken over if it serves, so that the two can be blended.

    Returns:
        The field; None with fewer than `MIN_SAMPLES` samples.
    """
    if len(log_ratio) < MIN_SAMPLES:
        return None
    order = np.lexsort((log_ratio, v_px, u_px))  # so that the order of the samples can't matter
    place = np.stack([u_px / size[1], v_px / size[1], log_depth], axis=1, dtype=np.float64)[order]
    samples = _Points(place, log_ratio[order].astype(np.float64), doubt[order], np.ones(len(order)))
    points = _merged(samples, _MAX_PSEUDO)
    kernel = _likeliest_kernel(points)
    weights, noise = _conditioned(points, kernel)
    reach = float(np.clip(0.8 / np.sqrt(len(order)), 0.008, 0.07))  # about the distance between samples
    layout = _layout(size, min(_SPACING, max(reach, 0.01)), log_depth_range, like)
    coarse = layout.refined(_SPACING)
    mean = coarse.moved_to(layout, _mean_at_nodes(coarse, points.place, weights, kernel))
    if len(order) >= _MIN_FINE:
        mean += _fine_step(layout, mean, samples, reach)
    return LocalField(layout, np.clip(mean, -_MOST, _MOST).astype(np.float32), kernel, points.place, noise)


def _merged(samples: _Points, most: int) -> _Points:
    """Replace samples by the medians of cells, large enough that at most `most` are left."""
    image_cell, depth_cell = _CELL
    if len(samples.value) <= most:
        return samples
    while True:
        cell = np.floor(samples.place / [image_cell, image_cell, depth_cell]).astype(np.int64)
        cell -= cell.min(axis=0)
        key = (cell[:, 0] * 4096 + cell[:, 1]) * 4096 + cell[:, 2]
        _, group, count = np.unique(key, return_inverse=True, return_counts=True)
        if len(count) <= most:
            break
        image_cell, depth_cell = image_cell * 1.2, depth_cell * 1.1
    group = group.reshape(-1)
    order = np.lexsort((samples.value, group))
    first = np.cumsum(count) - count
    ranked = samples.value[order]
    median = 0.5 * (ranked[first + (count - 1) // 2] + ranked[first + count // 2])
    place = np.stack([np.bincount(group, samples.place[:, axis]) / count for axis in range(3)], axis=1)
    doubt = np.bincount(group, samples.doubt) / count
    return _Points(place, median, doubt, count.astype(np.float64))


def _likeliest_kernel(points: _Points) -> _Kernel:
    """Choose reach, noise and mean by marginal likelihood, with weak priors on the reaches.

    Where the network explains little, the likeliest mean takes part or all of its log depth away: the field
    then interpolates the measured depth itself, and the network only says where depth jumps.
    """
    if len(points.value) > _MAX_TUNING:  # merged points lie in the order of their cells
        chosen = np.linspace(0, len(points.value) - 1, _MAX_TUNING).astype(int)
        points = points.at(chosen)
    log_depth = points.place[:, 2]
    middle = float(np.mean(log_depth))
    image_distance = _image_distance(points.place, points.place)
    over_image = {reach: _matern(image_distance / reach) for reach in _REACHES}
    depth_distance = np.abs(log_depth[:, None] - log_depth)
    over_depth = {reach: _matern(depth_distance / reach) for reach in _DEPTH_REACHES}

    def likelihood(kernel: _Kernel) -> float:
        # The last row of the factor of [[K, y], [y', c]] is the whitened y, so that one factor gives both
        # terms of the likelihood.
        bordered = np.empty((len(points.value) + 1, len(points.value) + 1))
        np.multiply(over_image[kernel.reach], over_depth[kernel.depth_reach], out=bordered[:-1, :-1])
        bordered[:-1, :-1] *= kernel.variance
        bordered[:-1, :-1] += kernel.trend(log_depth, log_depth)
        np.einsum("ii->i", bordered)[:-1] += kernel.noise_of(points)
        bordered[-1, :-1] = bordered[:-1, -1] = points.value - kernel.mean(log_depth)
        bordered[-1, -1] = 1e12
        factor = torch.linalg.cholesky(torch.from_numpy(bordered)).numpy()
        whitened = factor[-1, :-1]
        fit = -0.5 * whitened @ whitened - np.log(np.diag(factor)[:-1]).sum()
        prior = (np.log(kernel.reach / 0.3) / 0.7) ** 2 + (np.log(kernel.depth_reach / 0.8) / 0.8) ** 2
        return float(fit - 0.5 * prior)

    def likeliest(kernels: list[_Kernel]) -> tuple[float, _Kernel]:
        scores = [likelihood(kernel) for kernel in kernels]
        best = int(np.argmax(scores))
        return scores[best], kernels[best]

    score, best = -np.inf, _Kernel(0.02**2, _REACHES[0], _DEPTH_REACHES[0], _NOISES[0], middle)
    for slope, depth_reach in _SLOPES.items():
        level = float(np.median(points.value - slope * (log_depth - middle))) if slope else 0.0
        left = points.value - level - slope * (log_depth - middle)
        scatter = 1.4826 * float(np.median(np.abs(left)))
        limit = 3 * max(scatter, 0.01)
        variance = max(float(np.mean(np.square(np.clip(left, -limit, limit)))), 0.02**2)
        own_score, own = likeliest(
            [
                _Kernel(variance, reach, depth_reach, noise, middle, slope, level)
                for reach in _REACHES
                for noise in _NOISES
            ]
        )
        if own_score > score:
            score, best = own_score, own
        if slope == 0 and scatter < _WEAK_SCATTER:
            break
    others = [replace(best, depth_reach=reach) for reach in _DEPTH_REACHES]
    return likeliest(others)[1]


def _conditioned(points: _Points, kernel: _Kernel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Condition the field on points, with the noise of contradicted ones raised.

    Returns:
        The weights (N,) that the field's mean is a sum of kernels with, and the noise (N,) in the end.
    """
    value = points.value - kernel.mean(points.place[:, 2])
    covariance = kernel.between(points.place, points.place)
    noise = kernel.noise_of(points)
    inflation = np.ones(len(noise))
    for _ in range(_ROUNDS):
        precision = _inverse(covariance, noise * inflation)
        # The residual of each point if it were left out (Rasmussen and Williams, 2006, eq. 5.12).
        left_out = (precision @ value) / np.diag(precision)
        scatter = max(1.4826 * float(np.median(np.abs(left_out))), 0.01)
        inflation = np.clip(0.5 * np.square(1 + np.square(left_out / (2 * scatter))), 1, 1e4)
    noise = noise * inflation
    np.einsum("ii->i", covariance)[:] += noise
    factor = torch.linalg.cholesky(torch.from_numpy(covariance))
    weights = torch.cholesky_solve(torch.from_numpy(value)[:, None], factor)
    return weights[:, 0].numpy(), noise


def _inverse(covariance: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a covariance (N, N) with noise (N,) added."""
    noisy = torch.from_numpy(covariance + np.diag(noise))
    inverse: NDArray[np.float64] = torch.cholesky_inverse(torch.linalg.cholesky(noisy)).numpy()
    return inverse


def _mean_at_nodes(
    layout: GridLayout, place: NDArray[np.float64], weights: NDArray[np.float64], kernel: _Kernel
) -> NDArray[np.float64]:
    """The field's mean at every node; as a product of kernels it is one matrix product."""
    row, column = np.meshgrid(layout.row_nodes, layout.column_nodes, indexing="ij")
    nodes = np.stack([column.ravel(), row.ravel()], axis=1).astype(np.float32)
    over_image = _matern(_image_distance(nodes, place.astype(np.float32)) / np.float32(kernel.reach))
    over_depth = _matern(np.abs(layout.log_depth_nodes[:, None] - place[:, 2]) / kernel.depth_reach)
    mean = (over_depth * (kernel.variance * weights)).astype(np.float32) @ over_image.T
    trend = kernel.trend(layout.log_depth_nodes, place[:, 2]) @ weights + kernel.mean(layout.log_depth_nodes)
    return np.asarray(mean.reshape(layout.shape) + trend[:, None, None], dtype=np.float64)


def _fine_step(
    layout: GridLayout, mean: NDArray[np.float64], samples: _Points, reach: float
) -> NDArray[np.float64]:
    """Local mean, over `reach` image widths, of what the field's mean leaves at the samples."""
    corners = layout.corners(*samples.place.T)
    left = samples.value - layout.interpolated(mean, corners)
    agree = np.abs(left) < 4 * max(1.4826 * float(np.median(np.abs(left))), 0.01)
    trust = np.where(agree, _FINE_NOISE / (_FINE_NOISE + samples.doubt), 0.0)
    in_columns = reach / layout.column_nodes[1]
    deviations = (0.15 / layout.layer_step, reach / layout.row_nodes[1], in_columns)
    total = layout.blur(layout.splat(corners, trust * left), deviations)
    weight = layout.blur(layout.splat(corners, trust), deviations)
    return np.asarray(total / (weight + 0.3), dtype=np.float64)


def _layout(
    size: tuple[int, int], spacing: float, log_depth_range: tuple[float, float], like: LocalField | None
) -> GridLayout:
    first, last = log_depth_range
    if like is not None and like.layout.size == size:
        old = like.layout
        layers = old.log_depth_nodes
        fits = layers[0] <= first and last <= layers[-1] and layers[-1] - layers[0] < last - first + 1
        if fits and 0.7 < old.column_nodes[1] / spacing < 1.4:
            return old
    # A margin, so that a range that breathes from frame to frame still fits.
    return GridLayout.covering(size, spacing, (first - 0.1, last + 0.1), _LAYER_STEP)


def _matern(distance: NDArray[Any]) -> NDArray[Any]:
    """Matern kernel of smoothness 3/2 at a distance over its reach; of the type of its input."""
    scaled = distance * distance.dtype.type(-np.sqrt(3.0))
    result: NDArray[Any] = np.exp(scaled)
    np.subtract(1, scaled, out=scaled)
    result *= scaled
    return result


def _image_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    column, row = a[:, :1] - b[:, 0], a[:, 1:2] - b[:, 1]
    column *= column
    row *= row
    column += row
    result: NDArray[Any] = np.sqrt(column, out=column)
    return result
