"""What is believed of the offset of a relative map before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.maps import DepthKind, DepthMap


@dataclass(frozen=True)
class PriorSettings:
    """What maps are like. Values are choices where no measurement is told."""

    grid_px: int = 64  # pixels along the long edge that are looked at
    # Far over near end of the nearer quarter, median over rendered rooms, corridors, tables, yards and
    # streets:
    quarter_span: float = 1.6
    # Of the offset that this gives, over the same scenes: with the next, 0.6 for a good network:
    log_std: float = 0.5
    # An error e of two log depths is one of e sqrt(2) 1.6 / 0.6 of this offset's log:
    log_std_per_error: float = 4.0
    # The lower quartile's least place in the range, where the near quarter is one depth:
    least_quantile: float = 6e-4
    # Of the samples in the nearer quarter, from which the near end counts as measured:
    least_share: float = 0.125


_SETTINGS = PriorSettings()


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
    lower quartile.

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
    return OffsetPrior(mean, _SETTINGS.log_std, _SETTINGS.log_std_per_error, unsampled)
