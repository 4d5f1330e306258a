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

from e2e_depth_ros.alignment.fitting.field import Field, FieldSettings, fit_field, left_out
from e2e_depth_ros.alignment.fitting.gaussian_process import Points
from e2e_depth_ros.alignment.fitting.planes import Guide, LocalPlanes
from e2e_depth_ros.core.neighbours import nearest_samples

_STD_OF_MEAN_DEVIATION = 1.2533  # of a normal distribution


@dataclass(frozen=True)
class ChoiceSettings:
    """How samples that are held out decide. Values marked * were compared on a few frames.

    Attributes:
        parts: Into which samples are divided; one at a time is held out.
        few: Samples, up to which every part judges; of more two parts are enough,
        many: and from this many on one.
        cell: Edge of the cells, each held out or not, in mean distances between samples.
        least_judges: Samples held out one time or another, fewer than which can't decide.
        most_error: Of log depth, that one of them counts: more is an outlier's.
        shares: Of the planes, that are tried.
        better: Share of the field's error, above which another way is no better: a good network must not be
            harmed. *
        near: Distances between samples, up to which the planes are as exact as at samples held out,
        far: and from which nobody has judged them.
        crowded: Distance between samples over that of evenly spread ones, below which they judge their crowd
            and not the image: then the field alone serves. On ten real frames random samples had 0.75 to 1,
            lines of a LiDAR 0.8, corners 0.45 to 0.65. *
        averaged: Neighbours over which distances between samples are averaged.
    """

    parts: int = 5
    few: int = 250
    many: int = 1000
    cell: float = 0.5
    least_judges: int = 30
    most_error: float = 0.3
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    better: float = 0.97
    near: float = 1.0
    far: float = 2.5
    crowded: float = 0.7
    averaged: int = 8


_SETTINGS = ChoiceSettings()


@dataclass(frozen=True, eq=False)
class Outlined:
    """How local planes change what the field says, over a grid.

    Attributes:
        size: (H, W) of the image.
        log_ratio: (h, w), float32, to be added to the log depth.
        share: (h, w), float32, share of the planes, 0..1, less where no sample near could vouch for them.
        variance: Of what they leave, in log depth squared, as samples held out say.
    """

    size: tuple[int, int]
    log_ratio: NDArray[np.float32]
    share: NDArray[np.float32]
    variance: float

    def enlarged(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring one of its planes to the image's size."""
        return np.asarray(cv2.resize(plane, self.size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


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
            factor += self.outlined.enlarged(self.outlined.log_ratio)
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
        if self.outlined is not None:
            share = self.outlined.enlarged(self.outlined.share)
            variance += share * (np.float32(self.outlined.variance) - variance)
        return variance

    def outlined_share(self) -> NDArray[np.float32] | None:
        """Share, 0..1, of each pixel (H, W) that follows the image's outlines; None where none does."""
        return None if self.outlined is None else self.outlined.enlarged(self.outlined.share)

    def blended(self, previous: Correction | None, share: float) -> Correction:
        """Move only by `share` from an earlier correction towards this one."""
        if previous is None or share >= 1:
            return self
        before, now = previous.outlined, self.outlined
        if before is not None and now is not None and before.size == now.size:
            ratio = before.log_ratio + np.float32(share) * (now.log_ratio - before.log_ratio)
            now = replace(now, log_ratio=ratio)
        return Correction(self.field.blended(previous.field, share), now)

    def faded(self, share: float) -> Correction:
        """Return the correction reduced to a share of itself, as its evidence grows old."""
        outlined = self.outlined
        if outlined is not None:
            ratio, planes = outlined.log_ratio * np.float32(share), outlined.share * np.float32(share)
            outlined = replace(outlined, log_ratio=ratio, share=planes)
        return Correction(self.field.faded(share), outlined)


def fit_correction(
    samples: Points,
    believed: NDArray[np.bool_],
    supported: NDArray[np.bool_],
    log_depth: NDArray[np.float32],
    log_depth_range: tuple[float, float],
    *,
    image: NDArray[np.uint8] | None = None,
    like: Correction | None = None,
) -> Correction | None:
    """Correct the fitted depth of a frame by samples.

    Args:
        samples: As `points_of` gives them.
        believed: (N,), whether they agree with the network; the field is fitted to these.
        supported: (N,), whether neighbours support them. Planes are laid through all samples, or, if that
            lets those held out be foretold better, as it does where some are outliers, through these alone.
        log_depth: (H, W), log of the fitted depth; NaN where there is none.
        log_depth_range: At the ends of the whole map.
        image: (H, W, 3), RGB; without it only the field serves.
        like: An earlier correction, to be blended with.

    Returns:
        The correction; None with too few samples for one.
    """
    size = log_depth.shape[0], log_depth.shape[1]
    layout = None if like is None else like.field

    def field_of(points: Points) -> Field | None:
        return fit_field(points, size, log_depth_range, like=layout)

    field = field_of(samples.at(np.flatnonzero(believed)))
    if field is None:
        return None
    folds = _folds(samples, size)
    judges = [np.count_nonzero(fold) for fold in folds]
    is_judged = sum(judges) >= _SETTINGS.least_judges and max(judges) < 0.5 * len(supported)
    if image is None or not is_judged or _crowding(samples.place[supported], size) < _SETTINGS.crowded:
        return Correction(field)
    judge = _Judge.of(Guide.of(image, log_depth), samples, folds)
    chosen, doubt = np.ones_like(supported), False
    by_planes = judge.by_planes(chosen)
    by_field = judge.by_field(field, believed)
    by_supported = by_planes if supported.all() else judge.by_planes(supported, doubt=True)
    if judge.error(by_supported) < judge.error(by_planes):
        # Some are outliers: they have no say any more.
        judge = judge.among(believed | supported)
        chosen, doubt, by_planes = supported, True, by_supported
        both = believed & supported
        if np.count_nonzero(both) >= FieldSettings.least_samples:
            by_both = judge.by_field(field, both)
            if judge.error(by_both) < _SETTINGS.better * judge.error(by_field):
                field, by_field = field_of(samples.at(np.flatnonzero(both))) or field, by_both
    share, error = judge.share(by_field, by_planes)
    if share == 0:
        return Correction(field)
    planes, variance = judge.planes(chosen, doubt=doubt), (_STD_OF_MEAN_DEVIATION * error) ** 2
    return Correction(field, _outlined(field, planes, share, variance))


@dataclass(frozen=True, eq=False)
class _Judge:
    """Lets samples that are held out judge what is made of the others.

    Attributes:
        guide: The image, and what the network says of it.
        samples: All of them, N.
        folds: Masks (N,): those held out at a time. Together they are the M judges.
        weight: (M,), 0 or 1, whether a judge has a say.
    """

    guide: Guide
    samples: Points
    folds: list[NDArray[np.bool_]]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, guide: Guide, samples: Points, folds: list[NDArray[np.bool_]]) -> _Judge:
        """Give every judge a say."""
        return cls(guide, samples, folds, np.ones(sum(np.count_nonzero(fold) for fold in folds)))

    def among(self, heard: NDArray[np.bool_]) -> _Judge:
        """Leave a say to these samples (N,) alone."""
        return replace(self, weight=self._in_order(heard).astype(np.float64))

    @property
    def measured(self) -> NDArray[np.float64]:
        """Log of the measured depth, (N,)."""
        return self.samples.place[:, 2] + self.samples.value

    def planes(self, chosen: NDArray[np.bool_], *, doubt: bool = False) -> LocalPlanes:
        """Lay planes through some samples; where many others are outliers, some of these may be, too."""
        u, v = self.samples.pixels(self.guide.size[1])
        planes = LocalPlanes.through(self.guide, u[chosen], v[chosen], self.measured[chosen])
        return planes.doubted() if doubt else planes

    def by_planes(self, chosen: NDArray[np.bool_], *, doubt: bool = False) -> NDArray[np.float32]:
        """What planes through the chosen ones of the others say, log depth (M,)."""
        u, v = self.samples.pixels(self.guide.size[1])
        return np.concatenate(
            [self.planes(chosen & ~held, doubt=doubt).at(u[held], v[held]) for held in self.folds]
        )

    def by_field(self, field: Field, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What a field through the chosen ones of the others says, log depth (M,)."""
        most = FieldSettings.most_points // min(len(self.folds), 2)  # to save time
        expected = [left_out(self.samples, chosen & ~held, held, field.kernel, most) for held in self.folds]
        foretold: NDArray[np.float64] = np.concatenate(expected) + self._in_order(self.samples.place[:, 2])
        return foretold

    def error(self, foretold: NDArray[Any]) -> float:
        """Mean error of log depth (M,); that of outliers counts little."""
        errors = np.minimum(np.abs(foretold - self._in_order(self.measured)), _SETTINGS.most_error)
        return float(errors @ self.weight / self.weight.sum())

    def share(self, by_field: NDArray[Any], by_planes: NDArray[Any]) -> tuple[float, float]:
        """Share of the planes in the best mixture with the field, and its error."""
        errors = [self.error(by_field + share * (by_planes - by_field)) for share in _SETTINGS.shares]
        best = int(np.argmin(errors))
        if errors[best] > _SETTINGS.better * errors[0]:
            best = 0
        return _SETTINGS.shares[best], errors[best]

    def _in_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (N,) of the samples at the judges, (M,)."""
        return np.concatenate([values[held] for held in self.folds])


def _folds(samples: Points, size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """Choose judges, masks (N,), cell by cell: in a crowd those beside a judge would foretell it too well.

    Of few samples each judges once; of many, some are enough.
    """
    edge = _SETTINGS.cell * np.sqrt(size[0] / size[1] / len(samples.value))  # image widths
    _, cell = np.unique(np.floor(samples.place[:, :2] / edge), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    part = np.random.default_rng(0).integers(_SETTINGS.parts, size=int(cell.max()) + 1)[cell]
    count = _SETTINGS.parts if len(part) <= _SETTINGS.few else 2 if len(part) < _SETTINGS.many else 1
    return [fold for fold in (part == one for one in range(count)) if fold.any()]


def _outlined(field: Field, planes: LocalPlanes, share: float, variance: float) -> Outlined:
    """Evaluate planes over the grid, less what the field says there; far from samples none vouches for it."""
    guide = planes.guide
    log_depth, distance = planes.everywhere()
    fitted = guide.base(*guide.places())
    layout = replace(field.layout, size=guide.grid)
    spacing = max(_spacing(planes.place), 1.0)
    nearness = (_SETTINGS.far * spacing - distance) / np.float32((_SETTINGS.far - _SETTINGS.near) * spacing)
    log_ratio = np.float32(share) * (log_depth - fitted - layout.read(field.mean, fitted))
    return Outlined(guide.size, log_ratio, np.float32(share) * np.clip(nearness, 0, 1), variance)


def _spacing(place: NDArray[Any]) -> float:
    """Usual distance between samples at places (N, 2); where they crowd, that within the crowd.

    Of samples at random, n to the area, the eighth nearest is at the root of 8 / (pi n) on average.
    """
    count = min(_SETTINGS.averaged, len(place) - 1)
    place = np.asarray(place, np.float32)
    _, distance = nearest_samples(place, place, count + 1)
    return float(np.median(distance[:, count])) * float(np.sqrt(np.pi / max(count, 1)))


def _crowding(place: NDArray[np.float64], size: tuple[int, int]) -> float:
    """Distance between samples over that of as many, evenly spread: 1 at random, less in a crowd."""
    even = np.sqrt(size[0] / size[1] / len(place))
    return _spacing(place[:, :2]) / float(even)
