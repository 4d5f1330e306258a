"""What is believed of the offset of a relative map before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2e_depth_ros.core.maps import DepthKind, DepthMap

_QUARTER_SPAN = 1.6  # median over rendered rooms, corridors, tables, yards and streets
_LOG_STD = 0.5  # of the offset that this gives, over the same scenes: with the next, 0.6 for a good network
_LOG_STD_PER_ERROR = 4.0  # an error e of two log depths is one of e sqrt(2) 1.6 / 0.6 of this offset's log
_LEAST_QUANTILE = 0.004  # what a quantile of a coarse map is known to
_GRID = 64  # pixels along the long edge that are looked at


@dataclass(frozen=True)
class OffsetPrior:
    """What is believed of `AffineModel.offset` before the samples are seen: a log-normal.

    The default holds where nothing is known of the map. The offset is the near end over the depth behind it.

    Attributes:
        mean: Median of the offset.
        log_std: Standard deviation of its logarithm.
        log_std_per_error: How much wider it is for each unit of relative error of the network.
    """

    mean: float = 0.2
    log_std: float = 1.0
    log_std_per_error: float = 0.0

    def log_std_for(self, error: float) -> float:
        """Standard deviation of the logarithm for a network of this relative error."""
        return float(np.hypot(self.log_std, self.log_std_per_error * error))


def offset_prior_of(relative: DepthMap, low: float, high: float) -> OffsetPrior:
    """Tell from the map alone how near its near end is, compared with its far end.

    The pixels of the nearer quarter of an image span about the same factor in depth, 1.6, whether it shows a
    table or a street. With t the place of a value in the range, that says (offset + t) / offset = 1.6 at the
    lower quartile. It is worth most where no sample is near: there scale and shift are extrapolated, and an
    error of the offset becomes an error of many times the near depth.

    Args:
        relative: The map; for disparity, and where there is no shift, nothing is told.
        low: Its value at the near end.
        high: Its value at the far end.
    """
    if relative.kind is not DepthKind.AFFINE_INVARIANT or not high > low:
        return OffsetPrior()
    step = max(1, max(relative.size) // _GRID)
    values = relative.values[step // 2 :: step, step // 2 :: step]
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return OffsetPrior()
    quarter = len(values) // 4
    quantile = (float(np.partition(values, quarter)[quarter]) - low) / (high - low)
    return OffsetPrior(max(quantile, _LEAST_QUANTILE) / (_QUARTER_SPAN - 1), _LOG_STD, _LOG_STD_PER_ERROR)
