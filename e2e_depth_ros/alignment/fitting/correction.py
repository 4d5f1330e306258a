"""The correction: what one scale and shift leave, by the network's surfaces, by the image, or by both.

Between samples a *field* along the network's own surfaces serves a good network best, *local planes* along
the image's outlines a weak one. Samples held out decide for each frame which of the two is believed, and how
far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.fitting.field import Field, fit_field
from e2e_depth_ros.alignment.fitting.gaussian_process import Points, merge_points
from e2e_depth_ros.alignment.fitting.planes import Guide, LocalPlanes
from e2e_depth_ros.core.neighbours import nearest_samples

_STD_OF_MEAN_DEVIATION = 1.2533  # of a normal distribution


@dataclass(frozen=True)
class ChoiceSettings:
    """How samples that are held out decide. Values marked * were compared on a few frames."""

    # Of more samples, those in one cell become one point of the field, whose time grows with the cube of its
    # points:
    most_points: int = 500
    parts: int = 5  # into which samples are divided; one at a time is held out
    cell: float = 0.5  # edge of the cells, each held out or not, in mean distances between samples
    least_judges: int = 30  # supported samples, fewer than which can't decide,
    most_judges: int = 300  # and of more every k-th does
    most_error: float = 0.3  # of log depth, that one of them counts: more is an outlier's
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the planes, that are tried
    # Share of the error of planes through all samples, from which those through the supported alone serve:
    # one that is held out can't tell what it would have been worth at its own place. *
    fewer: float = 0.9
    # By how much the error of planes through the supported counts more: these judge themselves too kindly. *
    own_judges: float = 0.08
    crowd_judges: float = 0.2  # The same for all planes in a crowd; with 0.1, outliers on streets did harm. *
    # Distances between samples, up to which the planes are as exact as at samples held out,
    near: float = 1.0
    far: float = 2.5  # and from which nobody has judged them
    # Samples that must be so near in a crowd: one alone outside of it is no crowd.
    in_crowd: int = 3
    # Distance between samples over that of evenly spread ones, below which they judge their crowd and not the
    # image: then the planes serve near them alone. On ten real frames random samples had 0.75 to 1, lines of
    # a LiDAR 0.8, corners 0.45 to 0.65. On streets, whose sky has none, any samples crowd. *
    crowded: float = 0.7
    averaged: int = 8  # neighbours over which distances between samples are averaged,
    most_asked: int = 100  # and the samples whose neighbours are asked


_SETTINGS = ChoiceSettings()


@dataclass(frozen=True, eq=False)
class Outlined:
    """How local planes change what the field says, over a grid.

    Attributes:
        log_ratio: (h, w), float32, to be added to the log depth.
        share: (h, w), float32, share of the planes, 0..1, less where no sample near could vouch for them.
        variance: Of what they leave, in log depth squared, as samples held out say; None where these speak
            for a crowd alone: then they leave no less than the field.
    """

    log_ratio: NDArray[np.float32]
    share: NDArray[np.float32]
    variance: float | None

    def faded(self, share: float) -> Outlined:
        """Return the planes reduced to a share of themselves."""
        factor = np.float32(share)
        return replace(self, log_ratio=self.log_ratio * factor, share=self.share * factor)


@dataclass(frozen=True, eq=False)
class Correction:
    """What corrects log depth at each pixel, with its uncertainty.

    Attributes:
        field: Along the network's surfaces.
        outlined: Along the image's outlines; None where the field alone is believed.
    """

    field: Field
    outlined: Outlined | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.field.layout.size

    def log_factor(self, log_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of the factor that corrects each pixel, (H, W), given the log of the fitted depth."""
        factor = self.field.log_factor(log_depth)
        if self.outlined is not None:
            factor += _enlarged(self.outlined.log_ratio, log_depth.shape)
        return factor

    def variance(
        self, log_depth: NDArray[np.float32], without: NDArray[np.float32] | float
    ) -> NDArray[np.float32]:
        """Variance of what the correction still leaves, (H, W), in log depth squared.

        Args:
            log_depth: (H, W), log of the fitted depth.
            without: Variance, (H, W) or everywhere, of the fit without correction; it is what is left where
                no sample is near.
        """
        variance = self.field.variance(log_depth, without)
        if self.outlined is not None and self.outlined.variance is not None:
            share = _enlarged(self.outlined.share, log_depth.shape)
            variance += share * (np.float32(self.outlined.variance) - variance)
        return variance

    def outlined_share(self) -> NDArray[np.float32] | None:
        """Share, 0..1, of each pixel (H, W) that follows the image's outlines; None where none does."""
        return None if self.outlined is None else _enlarged(self.outlined.share, self.size)

    def blended(self, previous: Correction | None, share: float) -> Correction:
        """Move only by `share` from an earlier correction towards this one."""
        if previous is None or share >= 1:
            return self
        return Correction(self.field.blended(previous.field, share), self._blended_planes(previous, share))

    def _blended_planes(self, previous: Correction, share: float) -> Outlined | None:
        """Planes that come and go from frame to frame do so by a share, too."""
        before, now = previous.outlined, self.outlined
        if now is None:
            return before and before.faded(1 - share)
        if before is None:
            return now.faded(share)
        if before.share.shape != now.share.shape:
            return now
        change = now.log_ratio - before.log_ratio
        return replace(now, log_ratio=before.log_ratio + np.float32(share) * change)

    def faded(self, share: float) -> Correction:
        """Return the correction reduced to a share of itself, as its evidence grows old."""
        return Correction(self.field.faded(share), self.outlined and self.outlined.faded(share))


def fit_correction(
    samples: Points,
    supported: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    log_depth: NDArray[np.float32],
    log_depth_range: tuple[float, float],
    *,
    image: NDArray[np.uint8] | None = None,
    like: Correction | None = None,
) -> Correction | None:
    """Correct the fitted depth of a frame by samples.

    Args:
        samples: As `points_of` gives them; the field is fitted to those that may be honest.
        supported: (N,), whether neighbours support them. Planes are laid through all samples, or, if that
            lets those held out be foretold better, as it does where some are outliers, through these alone.
        seen: (N,), whether the network lets them be of what the camera sees. The others only judge: if the
            network is wrong, it is so where they are.
        log_depth: (H, W), log of the fitted depth; NaN where there is none.
        log_depth_range: At the ends of the whole map.
        image: (H, W, 3), RGB; without it only the field serves.
        like: An earlier correction, to be blended with.

    Returns:
        The correction; None with too few samples for one.
    """
    size = log_depth.shape[0], log_depth.shape[1]
    believed, count = samples.outlier < 1, len(samples.value)
    honest = samples.at(believed)
    points, group = merge_points(honest, _SETTINGS.most_points)
    field = fit_field(points, honest, size, log_depth_range, like=None if like is None else like.field)
    if field is None:
        return None
    if image is None or np.count_nonzero(supported) < _SETTINGS.least_judges:
        return Correction(field)
    is_crowd = are_a_crowd(samples.place[supported], size)
    # Cell by cell: in a crowd those beside a judge would foretell it too well.
    part = _parts(samples.place, _SETTINGS.cell * float(np.sqrt(size[0] / size[1] / count)))
    # There only the supported judge: outliers, which nothing foretells, would hide what planes are worth.
    judges = np.flatnonzero(supported) if is_crowd else np.arange(count)
    judges = judges[:: -(-len(judges) // _SETTINGS.most_judges)]
    measured = samples.place[:, 2] + samples.value

    def error(foretold: NDArray[Any]) -> float:
        return float(np.minimum(np.abs(foretold - measured[judges]), _SETTINGS.most_error).mean())

    at = samples.place[judges]
    by_field = at[:, 2] + field.process.foretold(at, part[judges], honest.value, part[believed], group)
    guide, (u, v) = Guide.of(image, log_depth), samples.pixels(size[1])

    def foretold_by(planes: LocalPlanes, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        return planes.at(u[judges], v[judges], part[judges], part[chosen])

    planes = LocalPlanes.through(guide, u[seen], v[seen], measured[seen])
    by_planes, surcharge = foretold_by(planes, seen), _SETTINGS.crowd_judges if is_crowd else 0.0
    if (seen & ~supported).any():
        fewer = LocalPlanes.through(guide, u[supported], v[supported], measured[supported])
        if error(foretold_by(fewer, supported)) < _SETTINGS.fewer * error(by_planes):
            planes = fewer.doubted()  # some are outliers, so that some of the supported may be, too
            by_planes, surcharge = foretold_by(planes, supported), surcharge + _SETTINGS.own_judges
    errors = [error(by_field + share * (by_planes - by_field)) for share in _SETTINGS.shares]
    best = int(np.argmin((1 + surcharge * np.array(_SETTINGS.shares)) * errors))
    if best == 0:
        return Correction(field)
    variance = None if is_crowd else (_STD_OF_MEAN_DEVIATION * errors[best]) ** 2
    return Correction(field, _outlined(field, planes, _SETTINGS.shares[best], variance))


def _parts(place: NDArray[np.float64], edge: float) -> NDArray[np.intp]:
    """Part, (N,), that each place (N, 3) is held out with: one for each cell, at random."""
    column, row = np.floor(place[:, :2].T / edge).astype(np.intp)
    cells = int(row.max()) + 1, int(column.max()) + 1
    return np.asarray(np.random.default_rng(0).integers(_SETTINGS.parts, size=cells)[row, column])


def _outlined(field: Field, planes: LocalPlanes, share: float, variance: float | None) -> Outlined:
    """Evaluate planes over the grid, less what the field says there; far from samples none vouches for it.

    Those of a crowd, without a variance of their own, end there.
    """
    guide = planes.guide
    log_depth, distance = planes.everywhere(_SETTINGS.in_crowd if variance is None else 1)
    fitted = guide.base(*guide.places())
    spacing = max(_spacing(planes.place), 1.0)
    nearness = (_SETTINGS.far * spacing - distance) / np.float32((_SETTINGS.far - _SETTINGS.near) * spacing)
    shares = np.float32(share) * np.clip(nearness, 0, 1)
    log_ratio = log_depth - fitted - field.log_factor(fitted)
    log_ratio *= shares if variance is None else np.float32(share)
    return Outlined(log_ratio, shares, variance)


def _enlarged(plane: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Bring a plane to another size."""
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _spacing(place: NDArray[Any]) -> float:
    """Usual distance between samples at places (N, 2); where they crowd, that within the crowd.

    Of samples at random, n to the area, the eighth nearest is at the root of 8 / (pi n) on average.
    """
    count = min(_SETTINGS.averaged, len(place) - 1)
    place = np.asarray(place, np.float32)
    _, distance = nearest_samples(place, place[:: -(-len(place) // _SETTINGS.most_asked)], count + 1)
    return float(np.median(distance[:, count])) * float(np.sqrt(np.pi / max(count, 1)))


def are_a_crowd(place: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """Whether samples at places (N, 2 or more), in image widths, tell of a part of the image (H, W) only."""
    return len(place) > _SETTINGS.averaged and crowding(place, size) < _SETTINGS.crowded


def crowding(place: NDArray[np.float64], size: tuple[int, int]) -> float:
    """Distance between samples over that of as many, evenly spread: 1 at random, less in a crowd."""
    even = np.sqrt(size[0] / size[1] / len(place))
    return _spacing(place[:, :2]) / float(even)
