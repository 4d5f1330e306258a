"""What the tracker remembers from frame to frame, and what it may be told of an earlier frame."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.fitting.correction import Correction
from e2e_depth_ros.alignment.fitting.fit import RobustFit
from e2e_depth_ros.alignment.samples import COMMON_LOG_STD, Samples
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.alignment.tracking.glimpse import Glimpse
from e2e_depth_ros.alignment.tracking.states import Agreement
from e2e_depth_ros.core.maps import DepthMap

_REMEMBERED_FRAMES: Final = 1024  # that late samples may be of
# Where samples say what the network's error does not explain, by these of its standard deviations, one of the
# two is wrong: a mirror deceives the sensor, a thing too small the network. So much of the rest is in doubt.
_SIGMAS: Final = 3.0
_DOUBTED_SHARE: Final = 0.65


@dataclass(frozen=True)
class Wandering:
    """By how much an alignment may have changed over some frames.

    Attributes:
        variance: Of log scale and log offset.
        staleness: Seconds of motion.
    """

    variance: float = 0.0
    staleness: float = 0.0

    def __add__(self, other: Wandering) -> Wandering:
        return Wandering(self.variance + other.variance, self.staleness + other.staleness)

    def __sub__(self, other: Wandering) -> Wandering:
        """What is left without a part of it."""
        return Wandering(max(self.variance - other.variance, 0.0), max(self.staleness - other.staleness, 0.0))


class Wanderings:
    """How the image moved from frame to frame of late."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float, Wandering]] = deque(maxlen=_REMEMBERED_FRAMES)

    def add(self, stamp_ns: int, motion: float, wandering: Wandering) -> None:
        """Note a frame: how much it changed against the last, and what may have changed meanwhile."""
        self._steps.append((stamp_ns, motion, wandering))

    def motion_at(self, stamp_ns: int) -> float:
        """Return the motion of a frame; 1 of one that is not known."""
        return next((motion for then_ns, motion, _ in self._steps if then_ns == stamp_ns), 1.0)

    def since(self, stamp_ns: int) -> Wandering:
        """Sum up what may have changed after a frame."""
        total = Wandering()
        for then_ns, _, wandering in self._steps:
            if then_ns > stamp_ns:
                total += wandering
        return total

    def clear(self) -> None:
        """Forget all frames."""
        self._steps.clear()


@dataclass(frozen=True, eq=False)
class Track:
    """What is remembered from frame to frame.

    Attributes:
        estimate: Scale and shift with their uncertainty.
        correction: Of what scale and shift leave; None without.
        staleness: Seconds of motion since the correction was last fitted.
        glimpse: Of the last frame.
        stamp_ns: Of the last frame.
        used_ns: Of the last frame with usable samples.
        fit: To its samples.
        source: What measured them.
        agreement: How many of them agreed.
        doubt: Why they aren't to be trusted though they fit.
        common_log_std: See `Samples`.
    """

    estimate: AffineEstimate
    correction: Correction | None
    staleness: float
    glimpse: Glimpse
    stamp_ns: int
    used_ns: int
    fit: RobustFit
    source: str
    agreement: Agreement
    doubt: Doubt = NO_DOUBT
    common_log_std: float = COMMON_LOG_STD

    def carried(self, size: tuple[int, int], ends: tuple[float, float], wandering: Wandering) -> Track:
        """Carry it to another frame.

        Args:
            size: (H, W) of that frame; a correction of another size is lost.
            ends: Range of relative values there.
            wandering: What may have changed until then.
        """
        correction = self.correction
        return replace(
            self,
            estimate=self.estimate.over(*ends).drifted(wandering.variance),
            correction=correction if correction is not None and correction.size == size else None,
            staleness=self.staleness + wandering.staleness,
        )

    def faded_correction(self) -> Correction | None:
        """The correction as far as its evidence still counts."""
        return None if self.correction is None else self.correction.faded(float(np.exp(-self.staleness)))

    def log_std(self, relative: NDArray[np.float32], log_error: float = 0.0) -> NDArray[np.float32]:
        """Standard deviation of log depth, (H, W), finite everywhere.

        It changes slowly along surfaces, so that every fourth row and column tells it.

        Args:
            relative: (H, W), relative depth; NaN where invalid.
            log_error: That all of log depth may be off by besides.
        """
        height, width = relative.shape
        quarter = max(1, width // 4), max(1, height // 4)
        small: NDArray[np.float32] = np.asarray(cv2.resize(relative, quarter), dtype=np.float32)
        model, correction = self.estimate.model, self.faded_correction()
        log_depth = model.log_depth(small)
        variance = self.estimate.variance(small) + self.fit.left_variance(log_depth, model)
        if correction is not None:
            variance = correction.variance(log_depth, variance)
            against = np.abs(correction.log_factor(log_depth)) - np.float32(_SIGMAS * self.fit.sigma)
            variance += np.square(np.float32(_DOUBTED_SHARE) * np.maximum(against, 0))
        std = np.sqrt(variance + np.float32(self.common_log_std**2 + log_error**2))
        unknown = np.isnan(std)
        if unknown.any():  # it must not reach known pixels beside it
            std[unknown] = np.max(std, initial=np.float32(0.01), where=~unknown)
        return np.asarray(cv2.resize(std, (width, height)), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class FrameSamples:
    """A frame with its measurements; an earlier one, if they became usable only now, say because TF was late.

    Attributes:
        relative: The network's output for the frame.
        stamp_ns: Time of the frame.
        samples: In its pixels.
        image: (H, W, 3), RGB, the frame, for its outlines; None without.
    """

    relative: DepthMap
    stamp_ns: int
    samples: Samples
    image: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class FittedSamples:
    """Samples with the fit to them.

    Attributes:
        samples: On valid pixels.
        fit: To them.
        stamp_ns: Time of their frame.
        absence: Why there are none on valid pixels; empty if there are.
    """

    samples: Samples
    fit: RobustFit
    stamp_ns: int
    absence: str = ""
