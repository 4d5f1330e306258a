"""What is believed of the offset of a relative map before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.maps import DepthKind, DepthMap


@dataclass(frozen=True)
class PriorSettings:
    """What maps are like. Values are choices where no measurement is told.

    Attributes:
        grid_px: Pixels along the long edge that are looked at.
        quarter_span: Far over near end of the nearer quarter, median over rendered rooms, corridors, tables,
            yards and streets.
        log_std: Of the offset that this gives, over the same scenes: with the next, 0.6 for a good network.
        log_std_per_error: An error e of two log depths is one of e sqrt(2) 1.6 / 0.6 of this offset's log.
        least_quantile: The lower quartile's least place in the range, where the near quarter is one depth.
        least_share: Of the samples in the nearer quarter, from which the near end counts as measured.
        quarters: Pixels of the grid between neighbours of the five points of a line.
        pixel_error: Relative, of depth at one pixel against its neighbours.
        least_offset: That planes vote for,
        most_offset: and the largest.
        most_log_std: Of a vote's offset; votes that are less certain don't count.
        least_variance: Of the log of any vote: the errors of a network bend planes.
        most_bend: Relative distance of the points between from the plane through the ends and the middle.
        vote_log_std: Of what votes that all agree say: surfaces may be alike in bending, too.
        enough_votes: Share of lines, at which they say half as much as many would.
    """

    grid_px: int = 64
    quarter_span: float = 1.6
    log_std: float = 0.5
    log_std_per_error: float = 4.0
    least_quantile: float = 6e-4
    least_share: float = 0.125
    quarters: tuple[int, ...] = (3, 5, 8)
    pixel_error: float = 0.01
    least_offset: float = 0.01
    most_offset: float = 6.0
    most_log_std: float = 1.0
    least_variance: float = 0.05
    most_bend: float = 0.05
    vote_log_std: float = 0.4
    enough_votes: float = 0.027


_SETTINGS = PriorSettings()
_LOG_OFFSETS = np.linspace(np.log(_SETTINGS.least_offset), np.log(_SETTINGS.most_offset), 24)
_WINDOW = np.convolve(np.convolve([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]), [0.25, 0.5, 0.25])  # of the mode


@dataclass(frozen=True)
class OffsetPrior:
    """What is believed of `AffineModel.offset` before the samples are seen: a log-normal.

    The default holds where nothing is known of the map. The offset is the near end over the depth behind it.

    Attributes:
        mean: Median of the offset.
        log_std: Standard deviation of its logarithm.
        log_std_per_error: How much wider it is for each unit of relative error of the network.
        unsampled: 0 where samples measure the near end as often as the rest, 1 where none does. There the
            fit is extrapolated, and errors that are alike over the image count.
    """

    mean: float = 0.2
    log_std: float = 1.0
    log_std_per_error: float = 0.0
    unsampled: float = 1.0

    def log_std_for(self, error: float) -> float:
        """Standard deviation of the logarithm for a network of this relative error."""
        return float(np.hypot(self.log_std, self.log_std_per_error * error))


def offset_prior_of(
    relative: DepthMap, low: float, high: float, sampled: NDArray[np.float64] | None = None
) -> OffsetPrior:
    """Tell from the map alone how near its near end is, compared with its far end.

    The pixels of the nearer quarter of an image span about the same factor in depth, 1.6, whether it shows a
    table or a street. With t the place of a value in the range, that says (offset + t) / offset = 1.6 at the
    lower quartile. It is worth most where no sample is near: there scale and shift are extrapolated, and an
    error of the offset becomes an error of many times the near depth. So there planes are asked as well.

    Args:
        relative: The map; for disparity, and where there is no shift, nothing is told.
        low: Its value at the near end.
        high: Its value at the far end.
        sampled: (N,), its values where depth was measured; by default nowhere.
    """
    if relative.kind is not DepthKind.AFFINE_INVARIANT or not high > low:
        return OffsetPrior()
    step = max(1, max(relative.size) // _SETTINGS.grid_px)
    values = relative.values[step // 2 :: step, step // 2 :: step]
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return OffsetPrior()
    quarter = len(values) // 4
    lower_quartile = float(np.partition(values, quarter)[quarter])
    mean = max((lower_quartile - low) / (high - low), _SETTINGS.least_quantile) / (_SETTINGS.quarter_span - 1)
    unsampled = 1.0
    if sampled is not None and len(sampled):
        unsampled = max(0.0, 1 - float(np.mean(sampled <= lower_quartile)) / _SETTINGS.least_share)
    log_std = _SETTINGS.log_std
    if unsampled > 0:
        log_offset, information = offset_of_planes(relative, low, high)
        total = 1 / _SETTINGS.log_std**2 + information
        mean *= float(np.exp((log_offset - np.log(mean)) * information / total))
        log_std = float(1 / np.sqrt(total))
    return OffsetPrior(mean, log_std, _SETTINGS.log_std_per_error, unsampled)


def offset_of_planes(relative: DepthMap, low: float, high: float) -> tuple[float, float]:
    """Choose the offset under which most of the map is planar.

    Over a plane 1 / depth is affine in the pixel coordinates. So three evenly spaced pixels of a row or a
    column with places a, b, c in the range have 2 / (b + o) = 1 / (a + o) + 1 / (c + o), which is linear in
    the offset: o (a + c - 2 b) = b (a + c) - 2 a c. Each line gives one vote for it, weighted by how certain
    it is, if the points between fit the same plane. Planes agree, curved surfaces scatter: the mode counts.

    Args:
        relative: The map, affine-invariant depth.
        low: Its value at the near end.
        high: Its value at the far end.

    Returns:
        The log of the offset and its information (1 / variance), which is 0 where nothing is planar.
    """
    step = max(1, max(relative.size) // _SETTINGS.grid_px)
    values = cv2.blur(relative.values, (step, step)) if step > 1 else relative.values
    places = (values[step // 2 :: step, step // 2 :: step] - np.float32(low)) / np.float32(high - low)
    votes = np.zeros(len(_LOG_OFFSETS))
    count = lines = 0
    for across in (places, places.T):
        for quarter in _SETTINGS.quarters:
            length = len(across) - 4 * quarter
            if length <= 0:
                continue
            on_line = [across[k * quarter : k * quarter + length] for k in range(5)]
            log_offset, weight = _votes(on_line)
            bins = (log_offset - _LOG_OFFSETS[0]) / (_LOG_OFFSETS[1] - _LOG_OFFSETS[0])
            votes += np.bincount(np.rint(bins).astype(np.intp), weight, len(votes))
            count += len(weight)
            lines += on_line[0].size
    total = float(votes.sum())
    if total <= 0:
        return 0.0, 0.0
    mode = int(np.argmax(np.convolve(votes, _WINDOW, "same")))
    agreeing = float(votes[max(mode - 1, 0) : mode + 2].sum()) / total
    enough = count / (count + _SETTINGS.enough_votes * lines)
    return float(_LOG_OFFSETS[mode]), enough * (agreeing / _SETTINGS.vote_log_std) ** 2


def _votes(places: list[NDArray[np.float32]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Let lines of five evenly spaced pixels vote.

    Args:
        places: At the ends, the middle and the points between, in order; NaN where invalid.

    Returns:
        Log of the offset and weight of each line that is straight, near enough, and certain enough.
    """
    first, second, middle, fourth, last = places
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = first + last - 2 * middle
        offset = (middle * (first + last) - 2 * first * last) / bend
        fine = (offset > _SETTINGS.least_offset) & (offset < _SETTINGS.most_offset)
        fine &= np.minimum(first, last) + offset > 0
        # An error of relative size e at each pixel is one of e sqrt(6) depth ** 2 / bend of the offset.
        log_std = np.sqrt(6) * _SETTINGS.pixel_error * np.square(middle + offset) / np.abs(bend * offset)
        fine &= log_std < _SETTINGS.most_log_std
        from_first, from_last = 1 / (first + offset), 1 / (last + offset)
        for between, share in ((second, 0.75), (fourth, 0.25)):
            straight = share * from_first + (1 - share) * from_last
            fine &= np.abs(straight * (between + offset) - 1) < _SETTINGS.most_bend
    log_offset = np.log(offset[fine].astype(np.float64))
    return log_offset, 1 / (np.square(log_std[fine].astype(np.float64)) + _SETTINGS.least_variance)
