"""Which state an alignment is in, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.fitting.fit import RobustFit
from e2e_depth_ros.alignment.fitting.frame_fit import shares_of_cells
from e2e_depth_ros.alignment.fitting.verdict import FitCase
from e2e_depth_ros.alignment.result import AlignmentState
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class TrackerSettings:
    """How alignment behaves over time.

    Attributes:
        correction: Whether to correct, between the samples, what scale and shift leave.
        fresh_duration_s: Without new samples the state stays fresh for this long, seconds; a sensor slower
            than the camera needs at least its period.
        hold_duration_s: Without new samples the alignment is lost after this long, seconds.
        reset_gap_s: A gap between stamps longer than this starts alignment anew, as going back in time does.
        drift: Standard deviation by which log scale and offset wander in one second of motion.
        still_drift: The same while the image stands still.
        still_share: Share of a new correction that is taken over while the image stands still.
        min_inlier_ratio: With a smaller share of agreeing samples the state is degraded.
        min_image_ratio: The same where samples that crowd count little more than one: else nine tenths of
            them in one corner of the image outvote all others. On 42 real frames, scale and shift that held
            had 0.83 and more with samples at random, and those that did not, with most samples in one
            quarter, 0.46 to 0.82.
        min_fit_ratio: The same of those that agree with scale and shift alone. A weak network is right at
            eight of ten samples; two sensors that contradict each other both agree with a correction.
        max_residual: With a larger relative error of the global fit the state is degraded.
    """

    correction: bool = False
    fresh_duration_s: float = 0.5
    hold_duration_s: float = 3.0
    reset_gap_s: float = 5.0
    drift: float = 0.3
    still_drift: float = 0.004
    still_share: float = 0.12
    min_inlier_ratio: float = 0.85
    min_image_ratio: float = 0.8
    min_fit_ratio: float = 0.6
    max_residual: float = 0.35

    def __post_init__(self) -> None:
        for name in (
            "fresh_duration_s",
            "hold_duration_s",
            "reset_gap_s",
            "drift",
            "still_drift",
            "still_share",
        ):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"expected {name} > 0, got {getattr(self, name)}")


class Agreement(NamedTuple):
    """How many of the samples last used agree.

    Attributes:
        used: Their number.
        ratio: Their share.
        image_ratio: The same where samples that crowd count little more than one; see `shares_of_cells`.
    """

    used: int
    ratio: float
    image_ratio: float

    @classmethod
    def of(cls, agree: NDArray[np.bool_], samples: Samples, width: int) -> Agreement:
        """Count samples (N,) of an image of this width, one at least, that agree."""
        weight = shares_of_cells(samples.u_px, samples.v_px, width)
        return cls(int(np.count_nonzero(agree)), float(agree.mean()), float(weight @ agree / weight.sum()))


def state_without(missing: FitCase | None, absence: str) -> tuple[AlignmentState, str]:
    """State, and its reason, as long as no samples could be used.

    Args:
        missing: What this frame's samples lack; None without samples.
        absence: Why there are none.
    """
    return AlignmentState.LOST, f"no alignment yet: {_text(missing, absence)}"


def state_with(
    fit: RobustFit,
    agreement: Agreement,
    age_s: float,
    missing: FitCase | None,
    absence: str,
    settings: TrackerSettings,
    doubt: str = "",
) -> tuple[AlignmentState, str]:
    """State, and its reason, of an alignment that samples gave.

    Args:
        fit: To the samples last used.
        agreement: How many of them agreed.
        age_s: Time since, seconds.
        missing: What this frame's samples lack; None without samples.
        absence: Why there are none.
        settings: Durations and limits.
        doubt: Why samples that fit are not to be trusted all the same; empty if they are.
    """
    rejected = missing is not None and missing.is_rejected
    if age_s > settings.hold_duration_s:
        return AlignmentState.LOST, f"no usable samples for {age_s:.1f} s: {_text(missing, absence)}"
    if age_s > settings.fresh_duration_s or rejected:
        return AlignmentState.HELD, f"no usable samples for {age_s:.1f} s: {_text(missing, absence)}"
    flaws = {
        fit.case.value: fit.case is not FitCase.WELL_POSED,
        doubt: bool(doubt),
        f"only {agreement.ratio:.0%} of the samples agree": agreement.ratio < settings.min_inlier_ratio,
        f"samples agree in only {agreement.image_ratio:.0%} of the image that they see": agreement.image_ratio
        < settings.min_image_ratio,
        f"only {fit.inlier_ratio:.0%} of the samples agree with scale and shift": fit.inlier_ratio
        < settings.min_fit_ratio,
        f"samples and image differ by {fit.sigma:.0%}": fit.sigma > settings.max_residual,
    }
    flaw = next((reason for reason, found in flaws.items() if found), None)
    return (AlignmentState.FRESH, fit.case.value) if flaw is None else (AlignmentState.DEGRADED, flaw)


def _text(missing: FitCase | None, absence: str) -> str:
    return absence if missing is None or missing is FitCase.NO_SAMPLES else missing.value
