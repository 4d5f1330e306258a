"""A Gaussian process over image and log depth: its points, its kernel, and conditioning one on the other.

After Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.edges import EdgeSettings
from e2e_depth_ros.alignment.evidence.gate import outlier_width
from e2e_depth_ros.alignment.fitting.whitening import whitening
from e2e_depth_ros.core.robust import robust_std

_BLOCK = 64  # rows of a covariance at a time, as many as the cache holds
_AMPLE = 1e12  # for the last pivot, which isn't looked at, to be positive


@dataclass(frozen=True)
class ProcessSettings:
    """Kernels that are tried, points that are heard. Values are choices where no measurement is told."""

    cell: tuple[float, float] = (0.04, 0.15)  # smallest that samples are merged in: image widths, log depth
    most_merged: int = 4  # samples of one cell that count as that many
    sensor_variance: float = 1e-4  # of log depth: 1 % noise of the sensor
    most_tuning: int = 120  # points that choose the kernel
    reaches: tuple[float, ...] = (0.06, 0.12, 0.2, 0.35)  # of the kernel over the image, image widths,
    # With their log-normal prior: median and standard deviation of the log:
    usual_reach: tuple[float, float] = (0.3, 0.7)
    depth_reaches: tuple[float, ...] = (0.6, 0.25, 1.3, 6.0)  # of the kernel over log depth,
    usual_depth_reach: tuple[float, float] = (0.8, 0.8)  # with theirs
    noises: tuple[float, ...] = (0.005, 0.04, 0.3)  # variance of the noise over that of the process
    least_std: float = 0.02  # of the process, log depth
    # Probability of being an outlier up to which a point has a say before the others are asked,
    trusted: float = 0.3
    least_trusted: int = 8  # if there are so many
    most_pillars: int = 150  # places whose sum of kernels tells outliers
    rounds: int = 2  # of telling them
    no_say: float = 1e4  # noise over the variance of the process, with which a point counts for nothing


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

    def at(self, chosen: NDArray[Any] | slice) -> Points:
        """Select some of the points, by index, mask or slice."""
        every = (self.place, self.value, self.doubt, self.outlier, self.count)
        return Points(*(values[chosen] for values in every))


@dataclass(frozen=True)
class Kernel:
    """variance * matern(image distance / reach) * matern(log depth distance / depth_reach).

    Attributes:
        variance: Of the process.
        reach: Over the image, image widths.
        depth_reach: Over log depth.
        noise: Variance of the noise over that of the process.
    """

    variance: float
    reach: float
    depth_reach: float
    noise: float

    def between(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float32]:
        """Covariance of the process at N and M places, (N, M); the noise added to it is ample for float32."""
        scale = np.sqrt(3.0) / np.array([self.reach, self.reach, self.depth_reach])
        a, b = (a * scale).astype(np.float32), (b * scale).astype(np.float32)
        covariance = np.empty((len(a), len(b)), np.float32)
        for first in range(0, len(a), _BLOCK):
            rows = slice(first, first + _BLOCK)
            image, depth = image_distance(a[rows], b), np.abs(a[rows, 2:] - b[:, 2])
            # As `matern` of both, with one exponential.
            sinks = np.exp(np.negative(image + depth))
            image += 1
            depth += 1
            image *= depth
            image *= np.float32(self.variance)
            np.multiply(image, sinks, out=covariance[rows])
        return covariance

    def noise_of(self, points: Points) -> NDArray[np.float64]:
        """Variance of the noise of each point."""
        worth = np.minimum(points.count, _SETTINGS.most_merged)
        return (self.variance * self.noise + points.doubt) / worth + _SETTINGS.sensor_variance


@dataclass(frozen=True, eq=False)
class Process:
    """A Gaussian process of mean 0, conditioned on points.

    Attributes:
        kernel: Of it.
        place: (N, 3), of the points.
        noise: (N,), variance of theirs.
        weights: (N,), by which its mean is a sum of kernels.
        whiten: (N, N), W, so that W' W is the inverse of the points' covariance.
        outlier: (N,), probability that a point means nothing, after the others were asked.
    """

    kernel: Kernel
    place: NDArray[np.float64]
    noise: NDArray[np.float64]
    weights: NDArray[np.float32]
    whiten: NDArray[np.float32]
    outlier: NDArray[np.float64]

    def foretold(
        self,
        at: NDArray[np.float64],
        part: NDArray[np.intp],
        value: NDArray[np.float64],
        own_part: NDArray[np.intp],
        group: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """What the process would expect at places if it had not seen the samples of their own part.

        Rasmussen and Williams, equation 5.12, for a block: what inverts the covariance of the other points
        follows from the inverse of all, and nothing is factored again but the block. In whitened terms that
        takes from the values what the held out columns of the factor explain.

        Args:
            at: (M, 3), places.
            part: (M,), the part of each.
            value: (S,), of the samples that the process was conditioned on.
            own_part: (S,), the part of each.
            group: (S,), the point that each was merged to.
        """
        parts = np.unique(part)
        left = [medians_of(value[own_part != one], group[own_part != one], len(self.place)) for one in parts]
        held = np.isnan(left)
        whitened = np.where(held, 0, left).astype(np.float32) @ self.whiten.T
        for index, hidden in enumerate(held):
            own = self.whiten[:, hidden]
            whitened[index] -= own @ np.linalg.solve(own.T @ own, own.T @ whitened[index])
        weights = whitened @ self.whiten
        weights[held] = 0
        foretold = self.kernel.between(at, self.place) @ weights.T  # by each part
        expected: NDArray[np.float32] = foretold[np.arange(len(at)), np.searchsorted(parts, part)]
        return expected


def merge_points(samples: Points, most: int) -> tuple[Points, NDArray[np.intp]]:
    """Replace samples by the medians of cells, large enough that at most `most` are left.

    Returns:
        The points, and the index of the point, (N,), that each sample became part of.
    """
    image_cell, depth_cell = _SETTINGS.cell
    if len(samples.value) <= most:
        return samples, np.arange(len(samples.value))
    place = samples.place - [0, 0, samples.place[:, 2].min()]  # so that the unit of depth doesn't matter
    while True:
        cell = np.floor(place / [image_cell, image_cell, depth_cell]).astype(np.int64)
        key = (cell[:, 0] * 4096 + cell[:, 1]) * 4096 + cell[:, 2]
        _, group, count = np.unique(key, return_inverse=True, return_counts=True)
        if len(count) <= most:
            break
        image_cell, depth_cell = image_cell * 1.2, depth_cell * 1.1
    group = group.reshape(-1)
    place = np.stack([np.bincount(group, samples.place[:, axis]) / count for axis in range(3)], axis=1)
    doubt = np.bincount(group, samples.doubt) / count
    outlier = np.bincount(group, samples.outlier) / count
    value = medians_of(samples.value, group, len(count))
    return Points(place, value, doubt, outlier, count.astype(np.float64)), group


def medians_of(value: NDArray[np.float64], group: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    """Median of the values (N,) of each group; NaN of those without."""
    count = np.bincount(group, minlength=groups)
    first = np.cumsum(count) - count
    ranked = np.append(value[np.lexsort((value, group))], np.nan)
    lower, upper = first + np.maximum(count - 1, 0) // 2, first + count // 2
    return np.where(count > 0, 0.5 * (ranked[lower] + ranked[upper]), np.nan)


def likeliest_kernel(points: Points) -> Kernel:
    """Choose reaches and noise by marginal likelihood, with a weak prior on the reaches."""
    trusted = (points.outlier <= _SETTINGS.trusted) & (points.doubt <= EdgeSettings.certain_doubt)
    if np.count_nonzero(trusted) >= EdgeSettings.enough_certain:
        points = points.at(trusted)  # outliers and depth edges make any network look poor
    if len(points.value) > _SETTINGS.most_tuning:  # merged points lie in the order of their cells
        chosen = np.linspace(0, len(points.value) - 1, _SETTINGS.most_tuning).astype(int)
        points = points.at(chosen)
    # Clipped at three robust standard deviations.
    limit = 3 * max(robust_std(points.value), 0.01)
    value = np.clip(points.value, -limit, limit)
    variance = max(float(np.mean(np.square(value))), _SETTINGS.least_std**2)
    if points.outlier.max() > 0:
        points = replace(points, value=value)
    depth_reach, noises = _SETTINGS.depth_reaches[0], _SETTINGS.noises
    likelihood = [
        _log_likelihoods(points, Kernel(variance, reach, depth_reach, 0), noises)
        for reach in _SETTINGS.reaches
    ]
    best, at = divmod(int(np.argmax(likelihood)), len(noises))
    reach, noise = _SETTINGS.reaches[best], noises[at]
    likelihood = [
        _log_likelihoods(points, Kernel(variance, reach, depth_reach, 0), (noise,))
        for depth_reach in _SETTINGS.depth_reaches
    ]
    return Kernel(variance, reach, _SETTINGS.depth_reaches[int(np.argmax(likelihood))], noise)


def _log_likelihoods(points: Points, kernel: Kernel, noises: tuple[float, ...]) -> NDArray[np.float64]:
    """Log of marginal likelihood and prior of a kernel, with each of some noises.

    In single precision and in units of the kernel's variance.
    """
    count = len(points.value)
    # The last row of the factor of [[K, y], [y', c]] is the whitened y, so that one factor gives both terms
    # of the likelihood.
    bordered = np.empty((len(noises), count + 1, count + 1), dtype=np.float32)
    bordered[:, :-1, :-1] = kernel.between(points.place, points.place) / np.float32(kernel.variance)
    diagonal = np.einsum("nii->ni", bordered)
    diagonal[:, :-1] += [replace(kernel, noise=noise).noise_of(points) / kernel.variance for noise in noises]
    bordered[:, -1, :-1] = bordered[:, :-1, -1] = points.value / np.sqrt(kernel.variance)
    bordered[:, -1, -1] = _AMPLE
    factor = np.linalg.cholesky(bordered)
    fit = -0.5 * np.square(factor[:, -1, :-1]).sum(axis=1)
    fit -= np.log(np.einsum("nii->ni", factor)[:, :-1]).sum(axis=1)
    for (usual, log_std), own in (
        (_SETTINGS.usual_reach, kernel.reach),
        (_SETTINGS.usual_depth_reach, kernel.depth_reach),
    ):
        fit -= 0.5 * (np.log(own / usual) / log_std) ** 2
    return np.asarray(fit)


def condition(points: Points, kernel: Kernel) -> Process:
    """Condition the process on points; those that the others contradict hardly count."""
    own, outlier = kernel.noise_of(points), points.outlier
    noise = own
    if outlier.max() > 0:
        noise, outlier = _told_by_others(points, kernel, own)
    whiten = whitening(with_noise(kernel.between(points.place, points.place), noise))
    weights = whiten.T @ (whiten @ points.value.astype(np.float32))
    return Process(kernel, points.place, noise, weights, whiten, outlier)


def _told_by_others(
    points: Points, kernel: Kernel, own: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise, and probability of being an outlier, (N,) each, by what the others expect at a point's place.

    A point's residual, if it were left out, has a normal distribution if it is honest and a wide one if it
    is an outlier. Noise is added by the odds of the latter, in units of the variance of the former.

    Here the process is a sum over a few pillars, and what they don't tell of a point counts as noise of its
    own: the approximation called FITC (Quinonero-Candela and Rasmussen, "A unifying view of sparse
    approximate Gaussian process regression", 2005). It tells outliers as well, in a tenth of the time.
    """
    pillars = merge_points(points, _SETTINGS.most_pillars)[0].place
    among = with_noise(kernel.between(pillars, pillars), np.full(len(pillars), 1e-4 * kernel.variance))
    features = kernel.between(points.place, pillars) @ whitening(among).T
    untold = np.maximum(kernel.variance - np.square(features).sum(axis=1), 0)
    value, width = points.value.astype(np.float32), outlier_width(points.place[:, 2] + points.value)
    trusted = points.outlier <= _SETTINGS.trusted
    if np.count_nonzero(trusted) < _SETTINGS.least_trusted:
        trusted[:] = True
    # Doubtful points start without a say, so that two that agree by chance can't vouch for each other.
    noise, outlier = np.where(trusted, own, own + _SETTINGS.no_say * kernel.variance), points.outlier
    for _ in range(_SETTINGS.rounds):
        total = (noise + untold).astype(np.float32)
        scaled = features / total[:, None]
        told = scaled @ whitening(with_noise(features.T @ scaled, np.ones(len(pillars)))).T
        # Rasmussen and Williams, 2006, eq. 5.12. Without what was added to the point's own noise.
        left_out = 1 / (1 / total.astype(np.float64) - np.square(told).sum(axis=1))
        residual = (value / total - told @ (value @ told)) * left_out
        variance = np.maximum(left_out - noise, 0) + own
        # The kernel may promise more than it keeps. 0.455 is the median of chi squared.
        variance *= max(1.0, float(np.median((np.square(residual) / variance)[trusted])) / 0.455)
        honest = np.exp(-0.5 * np.square(residual) / variance) / np.sqrt(2 * np.pi * variance)
        odds = points.outlier / width / np.maximum((1 - points.outlier) * honest, 1e-12)
        noise, outlier = own + variance * np.minimum(odds, _SETTINGS.no_say), odds / (1 + odds)
    return noise, outlier


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
