"""A Gaussian process over image and log depth: its points, its kernel, and conditioning one on the other.

After Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.edges import EdgeSettings
from e2e_depth_ros.alignment.evidence.gate import bulk_of, outlier_width
from e2e_depth_ros.alignment.fitting.whitening import whitening
from e2e_depth_ros.core.robust import robust_std

_AMPLE = 1e12  # for the last pivot, which isn't looked at, to be positive


@dataclass(frozen=True)
class ProcessSettings:
    """Kernels that are tried, points that are heard. Values are choices where no measurement is told.

    Attributes:
        cell: Smallest that samples are merged in: image widths, log depth.
        most_merged: Samples of one cell that count as that many.
        sensor_variance: Of log depth: 1 % noise of the sensor.
        most_tuning: Points that choose the kernel.
        reaches: Of the kernel over the image, image widths,
        usual_reach: with their log-normal prior: median and standard deviation of the log.
        depth_reaches: Of the kernel over log depth,
        usual_depth_reach: with theirs.
        noises: Variance of the noise over that of the process.
        slopes: Of the mean with log depth, each with one of `depth_reaches` to try it with.
        slope_log_prior: For a slope of -1, as against 0: the network is believed unless many object.
        weak_scatter: Of the log ratios, from which slopes other than 0 are tried.
        least_std: Of the process, log depth.
        least_outlier: Probability below which it isn't worth the while to tell outliers.
        trusted: That up to which a point has a say before the others are asked,
        least_trusted: if there are so many.
        rounds: Of telling outliers.
        no_say: Noise over the variance of the process, with which a point counts for nothing.
    """

    cell: tuple[float, float] = (0.04, 0.15)
    most_merged: int = 4
    sensor_variance: float = 1e-4
    most_tuning: int = 120
    reaches: tuple[float, ...] = (0.06, 0.12, 0.2, 0.35)
    usual_reach: tuple[float, float] = (0.3, 0.7)
    depth_reaches: tuple[float, ...] = (0.6, 0.25, 1.3, 6.0)
    usual_depth_reach: tuple[float, float] = (0.8, 0.8)
    noises: tuple[float, ...] = (0.005, 0.04, 0.3)
    slopes: tuple[tuple[float, float], ...] = ((0.0, 0.6), (-0.5, 1.3), (-1.0, 6.0))
    slope_log_prior: float = 30.0
    weak_scatter: float = 0.1
    least_std: float = 0.02
    least_outlier: float = 0.002
    trusted: float = 0.3
    least_trusted: int = 8
    rounds: int = 2
    no_say: float = 1e4


_SETTINGS = ProcessSettings()


@dataclass(frozen=True, eq=False)
class Points:
    """Places and log ratios that the process is conditioned on.

    Attributes:
        place: (N, 3), column and row in image widths, log depth.
        value: (N,), log(measured / fitted).
        doubt: (N,), variance of the value that is known beforehand.
        outlier: (N,), probability that the value means nothing, before the other points are asked.
        count: (N,), how many samples each stands for.
    """

    place: NDArray[np.float64]
    value: NDArray[np.float64]
    doubt: NDArray[np.float64]
    outlier: NDArray[np.float64]
    count: NDArray[np.float64]

    def pixels(self, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Columns and rows, (N,) each, in pixels of an image of this width."""
        column, row = (self.place[:, :2].T * width).astype(np.float32)
        return column, row

    def at(self, chosen: NDArray[np.intp]) -> Points:
        """Select some of the points."""
        every = (self.place, self.value, self.doubt, self.outlier, self.count)
        return Points(*(values[chosen] for values in every))


@dataclass(frozen=True)
class Kernel:
    """variance * matern(image distance / reach) * matern(log depth distance / depth_reach), about a line.

    Attributes:
        variance: Of the process.
        reach: Over the image, image widths.
        depth_reach: Over log depth.
        noise: Variance of the noise over that of the process.
        middle: Mean log depth of the samples.
        slope: Of the mean with log depth: 0 believes the network, -1 puts one depth in its place.
        level: Of the mean at the middle.
        ends: Log depths between which there are many samples. Beyond, the mean goes on level: it is a line
            because samples say so.
    """

    variance: float
    reach: float
    depth_reach: float
    noise: float
    middle: float
    slope: float = 0.0
    level: float = 0.0
    ends: tuple[float, float] = (-np.inf, np.inf)

    @property
    def is_noisiest(self) -> bool:
        """Whether its noise is the largest that is tried."""
        return self.noise >= _SETTINGS.noises[-1]

    def mean(self, log_depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the process where nothing is known."""
        return np.asarray(
            self.level + self.slope * (np.clip(log_depth, *self.ends) - self.middle), dtype=np.float64
        )

    def between(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float32]:
        """Covariance of the process at N and M places, (N, M); the noise added to it is ample for float32."""
        a, b = a.astype(np.float32), b.astype(np.float32)
        covariance = matern(image_distance(a, b) / np.float32(self.reach))
        covariance *= matern(np.abs(a[:, 2:] - b[:, 2]) / np.float32(self.depth_reach))
        covariance *= np.float32(self.variance)
        return covariance

    def expected(
        self, at: NDArray[np.float64], place: NDArray[np.float64], weights: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Mean of the process at places (M, 3), given the weights (N,) of points at places (N, 3)."""
        return np.asarray(self.mean(at[:, 2]) + self.between(at, place) @ weights, dtype=np.float64)

    def noise_of(self, points: Points) -> NDArray[np.float64]:
        """Variance of the noise of each point."""
        worth = np.minimum(points.count, _SETTINGS.most_merged)
        return (self.variance * self.noise + points.doubt) / worth + _SETTINGS.sensor_variance


def merge_points(samples: Points, most: int) -> Points:
    """Replace samples by the medians of cells, large enough that at most `most` are left."""
    image_cell, depth_cell = _SETTINGS.cell
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
    outlier = np.bincount(group, samples.outlier) / count
    return Points(place, median, doubt, outlier, count.astype(np.float64))


def likeliest_kernel(points: Points) -> Kernel:
    """Choose reach, noise and mean by marginal likelihood; the prior is weak on reaches, strong on the mean.

    Where the network explains little, the likeliest mean takes part or all of its log depth away: the process
    then interpolates the measured depth itself, and the network only says where depth jumps.
    """
    trusted = (points.outlier <= _SETTINGS.trusted) & (points.doubt <= EdgeSettings.certain_doubt)
    if np.count_nonzero(trusted) >= EdgeSettings.enough_certain:
        # Outliers and depth edges make any network look poor.
        points = points.at(np.flatnonzero(trusted))
    if len(points.value) > _SETTINGS.most_tuning:  # merged points lie in the order of their cells
        chosen = np.linspace(0, len(points.value) - 1, _SETTINGS.most_tuning).astype(int)
        points = points.at(chosen)
    evidence = _Evidence.of(points)
    log_depth = points.place[:, 2]
    middle = float(np.mean(log_depth))
    least = _SETTINGS.least_std**2
    reaches, depth_reaches, noises = _SETTINGS.reaches, _SETTINGS.depth_reaches, _SETTINGS.noises
    best = Kernel(least, reaches[0], depth_reaches[0], noises[0], middle, ends=bulk_of(log_depth))
    score, start = -np.inf, best
    for slope, depth_reach in _SETTINGS.slopes:
        level = float(np.median(points.value - slope * (log_depth - middle))) if slope else 0.0
        left = points.value - level - slope * (log_depth - middle)
        scatter = robust_std(left)
        variance = max(float(np.mean(np.square(_without_tails(left)))), least)
        own = replace(start, variance=variance, slope=slope, level=level)
        own_score, own = evidence.likeliest(own, reaches, (depth_reach,), noises)
        own_score += _SETTINGS.slope_log_prior * slope
        if own_score > score:
            score, best = own_score, own
        if slope == 0 and scatter < _SETTINGS.weak_scatter:
            break
    return evidence.likeliest(best, (best.reach,), depth_reaches, (best.noise,))[1]


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Points that judge kernels, with what all the kernels share."""

    points: Points
    over_image: dict[float, NDArray[np.float32]]  # by reach, as is the next
    over_depth: dict[float, NDArray[np.float32]]

    @classmethod
    def of(cls, points: Points) -> _Evidence:
        place = points.place.astype(np.float32)
        in_image, in_depth = image_distance(place, place), np.abs(place[:, 2:] - place[:, 2])
        return cls(
            points,
            {reach: matern(in_image / np.float32(reach)) for reach in _SETTINGS.reaches},
            {reach: matern(in_depth / np.float32(reach)) for reach in _SETTINGS.depth_reaches},
        )

    def likeliest(
        self,
        kernel: Kernel,
        reaches: tuple[float, ...],
        depth_reaches: tuple[float, ...],
        noises: tuple[float, ...],
    ) -> tuple[float, Kernel]:
        """Best of a kernel's variants, by the log of marginal likelihood and prior, and its score.

        All are factored in one call, in single precision and in units of the kernel's variance: for few
        points the calls cost more than the sums.
        """
        points, count = self.points, len(self.points.value)
        over_image = np.stack([self.over_image[reach] for reach in reaches])
        over_depth = np.stack([self.over_depth[reach] for reach in depth_reaches])
        log_depth = points.place[:, 2]
        noise = [replace(kernel, noise=each).noise_of(points) / kernel.variance for each in noises]
        left = points.value - kernel.mean(log_depth)
        if points.outlier.max() > _SETTINGS.least_outlier:
            left = _without_tails(left)
        # The last row of the factor of [[K, y], [y', c]] is the whitened y, so that one factor gives both
        # terms of the likelihood.
        shape = (len(reaches), len(depth_reaches), len(noises))
        bordered = np.empty((*shape, count + 1, count + 1), dtype=np.float32)
        bordered[..., :-1, :-1] = (over_image[:, None] * over_depth)[:, :, None]
        np.einsum("...ii->...i", bordered)[..., :-1] += np.array(noise)
        bordered[..., -1, :-1] = bordered[..., :-1, -1] = left / np.sqrt(kernel.variance)
        bordered[..., -1, -1] = _AMPLE
        factor = np.linalg.cholesky(bordered)
        whitened = factor[..., -1, :-1]
        diagonal = np.einsum("...ii->...i", factor)[..., :-1]
        fit = -0.5 * np.square(whitened).sum(axis=-1) - np.log(diagonal).sum(axis=-1)
        usual, log_std = _SETTINGS.usual_reach
        fit -= 0.5 * np.square(np.log(np.array(reaches) / usual) / log_std)[:, None, None]
        usual, log_std = _SETTINGS.usual_depth_reach
        fit -= 0.5 * np.square(np.log(np.array(depth_reaches) / usual) / log_std)[:, None]
        reach, depth_reach, own_noise = (int(at) for at in np.unravel_index(int(np.argmax(fit)), shape))
        best = replace(
            kernel, reach=reaches[reach], depth_reach=depth_reaches[depth_reach], noise=noises[own_noise]
        )
        return float(fit.max()) - 0.5 * count * float(np.log(kernel.variance)), best


def _without_tails(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip at three robust standard deviations about 0."""
    limit = 3 * max(robust_std(value), 0.01)
    return np.asarray(np.clip(value, -limit, limit), dtype=np.float64)


def tell_outliers(
    points: Points, kernel: Kernel, covariance: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ask of each point what the others, of this covariance (N, N), expect at its place.

    A point's residual, if it were left out, has a normal distribution if it is honest and a wide one if it
    is an outlier. Noise is added by the odds of the latter, in units of the variance of the former.

    Returns:
        The noise (N,) to condition the process with, and the probability (N,) of being an outlier.
    """
    own = kernel.noise_of(points)
    if points.outlier.max() <= _SETTINGS.least_outlier:
        return own, points.outlier
    value = points.value - kernel.mean(points.place[:, 2])
    trusted = points.outlier <= _SETTINGS.trusted
    if np.count_nonzero(trusted) < _SETTINGS.least_trusted:
        trusted[:] = True
    width = outlier_width(points.place[:, 2] + points.value)
    # Doubtful points start without a say, so that two that agree by chance can't vouch for each other.
    noise = np.where(trusted, own, own + _SETTINGS.no_say * kernel.variance)
    odds = np.zeros(len(own))
    for _ in range(_SETTINGS.rounds):
        whiten = whitening(with_noise(covariance, noise))
        # Rasmussen and Williams, 2006, eq. 5.12. Without what was added to the point's own noise.
        left_out = 1 / np.square(whiten).sum(axis=0).astype(np.float64)
        residual = (whiten.T @ (whiten @ value.astype(np.float32))) * left_out
        variance = np.maximum(left_out - noise, 0) + own
        # The kernel may promise more than it keeps. 0.455 is the median of chi squared.
        variance *= max(1.0, float(np.median((np.square(residual) / variance)[trusted])) / 0.455)
        honest = np.exp(-0.5 * np.square(residual) / variance) / np.sqrt(2 * np.pi * variance)
        odds = points.outlier / width / np.maximum((1 - points.outlier) * honest, 1e-12)
        noise = own + variance * np.minimum(odds, _SETTINGS.no_say)
    return noise, odds / (1 + odds)


def condition(
    points: Points, kernel: Kernel, covariance: NDArray[np.float32], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Condition the process on points of this covariance (N, N) with noise (N,).

    Returns:
        The weights (N,) that the process's mean is a sum of kernels with.
    """
    value = points.value - kernel.mean(points.place[:, 2])
    whiten = whitening(with_noise(covariance, noise))
    weights = whiten.T @ (whiten @ value.astype(np.float32))
    return np.asarray(weights, dtype=np.float64)


def with_noise(covariance: NDArray[np.float32], noise: NDArray[np.float64]) -> NDArray[np.float32]:
    """Add noise (N,) to a covariance (N, N)."""
    noisy: NDArray[np.float32] = covariance.copy()
    np.einsum("ii->i", noisy)[:] += noise
    return noisy


def matern(distance: NDArray[Any]) -> NDArray[Any]:
    """Matern kernel of smoothness 3/2 at a distance over its reach; of the type of its input."""
    scaled = distance * distance.dtype.type(-np.sqrt(3.0))
    result: NDArray[Any] = np.exp(scaled)
    np.subtract(1, scaled, out=scaled)
    result *= scaled
    return result


def image_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Distance over the image alone between N and M places, (N, M)."""
    column, row = a[:, :1] - b[:, 0], a[:, 1:2] - b[:, 1]
    column *= column
    row *= row
    column += row
    result: NDArray[Any] = np.sqrt(column, out=column)
    return result
