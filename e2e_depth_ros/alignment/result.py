"""What alignment hands on: metric depth of a frame, and how far to trust it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.doubt import Doubt
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.upsampling import Outlines

Uncertainty = Callable[[], NDArray[np.float32]]
"""Gives the standard deviation of log depth, (H, W), when it is asked for."""


class AlignmentState(Enum):
    """How far the metric depth of a frame can be trusted."""

    FRESH = "fresh"
    """Well determined by recent samples."""
    DEGRADED = "degraded"
    """Samples are recent, but too few, too alike or too contradictory: the reason says which."""
    HELD = "held"
    """No usable samples of late; an earlier alignment goes on, with growing uncertainty."""
    LOST = "lost"
    """There is no alignment, or it is too old. There is no metric depth."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Metric depth of one frame.

    Attributes:
        depth: (H, W), METRIC; None when lost.
        scale: Metres for each unit of relative depth before the correction (for disparity 1 / metres);
            NaN when lost.
        shift_m: Metres at relative depth 0 (for disparity 1 / metres); NaN when lost.
        state: How far to trust it.
        reason: Why it is in that state, for people.
        source: What measured the samples last used.
        samples_used: How many samples agreed, of the last ones used.
        samples_dropped: How many were left out of this frame's samples, by reason.
        inlier_ratio: Share of this frame's samples that agree with the global fit, 0..1; NaN without.
        residual: Robust relative error of the global fit at them; NaN without.
        condition: Their spread over the range of the relative map; below 0.1 the shift is not determined.
        age_s: Time since samples were last used, seconds; inf if never.
        size: (H, W) of the frame.
        shift_is_open: Whether the samples last used leave the shift to what is usual.
        uncertainty: Computes `log_std` when it is asked for; None when lost.
        outlined: Share, 0..1, of each pixel (H, W) that the correction has brought to the image's outlines;
            None where it has none.
    """

    depth: DepthMap | None
    scale: float
    shift_m: float
    state: AlignmentState
    reason: str
    source: str
    samples_used: int = 0
    samples_dropped: Mapping[str, int] = field(default_factory=dict)
    inlier_ratio: float = float("nan")
    residual: float = float("nan")
    condition: float = float("nan")
    age_s: float = float("inf")
    size: tuple[int, int] = (0, 0)
    shift_is_open: bool = False
    uncertainty: Uncertainty | None = None
    outlined: NDArray[np.float32] | None = None

    @cached_property
    def log_std(self) -> NDArray[np.float32] | None:
        """(H, W), float32, standard deviation of log depth, about the relative error; None when lost.

        It is computed when first asked for.
        """
        return None if self.uncertainty is None else self.uncertainty()

    @property
    def depth_m(self) -> NDArray[np.float32]:
        """(H, W), float32, metres; NaN where invalid, and everywhere when lost."""
        if self.depth is None:
            return np.full(self.size, np.nan, dtype=np.float32)
        return self.depth.values

    @property
    def std_m(self) -> NDArray[np.float32] | None:
        """(H, W), float32, standard deviation of the depth in metres; None when lost."""
        if self.depth is None or self.log_std is None:
            return None
        result: NDArray[np.float32] = self.depth.values * self.log_std
        return result

    def doubted(self, doubt: Doubt) -> Alignment:
        """Return a copy that is degraded, and less certain; itself if it isn't fresh, or for no doubt."""
        if self.state is not AlignmentState.FRESH or not doubt:
            return self
        uncertainty = self.uncertainty
        if uncertainty is not None and doubt.log_error:
            uncertainty = with_error(uncertainty, lambda: np.float32(doubt.log_error))
        return replace(self, state=AlignmentState.DEGRADED, reason=doubt.reason, uncertainty=uncertainty)

    def with_relative_std(self, std: NDArray[np.float32], kind: DepthKind) -> Alignment:
        """Add what the network itself doubts to the uncertainty, as an independent error.

        Args:
            std: (H, W), standard deviation of the relative map, in its units; NaN adds nothing.
            kind: Of the relative map.

        Returns:
            A copy whose `log_std` holds both; itself when lost.
        """
        if self.depth is None or self.uncertainty is None:
            return self
        depth, scale, alignment_std = self.depth, np.float32(self.scale), self.uncertainty

        def error() -> NDArray[np.float32]:
            # d log z = dz / z, and z = 1 / (scale * disparity + shift) for disparity.
            slope = depth.values if kind is DepthKind.AFFINE_INVARIANT_DISPARITY else 1 / depth.values
            return np.asarray(np.nan_to_num(std) * scale * slope, np.float32)

        return replace(self, uncertainty=with_error(alignment_std, error))

    def following(self, outlines: Outlines) -> Alignment:
        """Let the metric depth follow the outlines of the image, after scale and shift are found.

        Not before: a sample beside an outline would then be compared with the wrong side of it. Where the
        correction follows them already, by what was measured on either side, nothing is left to do.

        Args:
            outlines: Of the frame.

        Returns:
            A copy whose `log_std` holds how far each pixel moved, as an independent error: nobody measured
            which side of the outline it belongs to. Itself when lost.
        """
        if self.depth is None:
            return self
        smooth, alignment_std = self.depth, self.uncertainty
        depth = outlines.followed_by_metric(smooth)
        if self.outlined is not None:
            values = depth.values + self.outlined * (smooth.values - depth.values)
            depth = DepthMap(values, depth.valid, depth.kind)
        if alignment_std is None:
            return replace(self, depth=depth)

        return replace(
            self,
            depth=depth,
            uncertainty=with_error(alignment_std, lambda: np.log(depth.values / smooth.values)),
        )


def with_error(std: Uncertainty, error: Callable[[], NDArray[np.float32] | np.float32]) -> Uncertainty:
    """Add an independent error to a deviation, both of log depth, both computed when they are asked for.

    Args:
        std: Gives the deviation, (H, W).
        error: Gives the error, (H, W) or one for all pixels, of either sign.
    """

    def joined() -> NDArray[np.float32]:
        # Not by np.hypot, which takes ten times as long.
        return np.asarray(np.sqrt(np.square(std()) + np.square(error())), np.float32)

    return joined
