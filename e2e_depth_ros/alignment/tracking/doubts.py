"""What speaks, from frame to frame, against samples that fit: the same scene can't have two scales."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.evidence.sensors import depth_in_cells, median_apart
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.alignment.tracking.glimpse import CUT, STILL, Glimpse

_STEP: Final = 0.1  # of log depth, that no deviation hides, where the image stands still,
_JUMP: Final = 0.3  # and of what is measured, that no motion from one frame to the next explains
_DRIFT: Final = 0.15  # of log depth, that is no noise while the image stands still
_SIGMAS: Final = 3.0  # standard deviations that what was known at rest may be wrong by
_CONFIRMING: Final = 5  # updates in a row, that end a doubt
_LEAST_COMPARED: Final = 20  # measurements: fewer, of whole millimetres, may be the same twice


@dataclass(frozen=True, eq=False)
class _Rest:
    """What was known when the image came to rest.

    Attributes:
        estimate: Scale and shift.
        glimpse: Of the frame.
        source: What measured.
    """

    estimate: AffineEstimate
    glimpse: Glimpse
    source: str


class Doubts:
    """Follows the samples of one camera.

    Attributes:
        standing: The last doubt, until several updates in a row raise none.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.standing = NO_DOUBT
        self._confirmed = 0  # updates in a row that raised none
        self._rest: _Rest | None = None
        self._seen = np.zeros(0)  # depth in cells, of the last samples
        self._measured: tuple[int, Glimpse] | None = None  # a hash of it, and the frame where it came first

    def take(
        self,
        samples: Samples,
        size: tuple[int, int],
        values: NDArray[np.float64],
        before: AffineModel | None,
        measured: AffineModel,
        estimate: AffineEstimate,
        glimpse: Glimpse,
        *,
        jumped: bool,
        motion: float,
    ) -> None:
        """Compare samples, which are used, with those before.

        Args:
            samples: Of a frame.
            size: (H, W) of its image.
            values: (N,), relative depth at them.
            before: What was known, carried to this frame; None at the start.
            measured: The fit to them.
            estimate: What is known now.
            glimpse: Of the frame.
            jumped: Whether the change was too large for noise.
            motion: How much the image changed against the frame before; see `Glimpse.change_since`.
        """
        doubt, seen = NO_DOUBT, depth_in_cells(samples, size)
        if before is not None and jumped:
            self._rest = None  # what the next updates confirm is known anew
            change = _change(before, measured, values)
            if motion < STILL and abs(change) > _STEP:
                doubt = Doubt("the samples' scale jumped while the image stood still", abs(change))
            elif motion < CUT:
                doubt = _jumped(self._seen, seen)
        self._seen = seen
        doubt = (
            doubt
            or self._drifted(samples, values, estimate, glimpse)
            or self._stuck(samples, estimate, glimpse)
        )
        self._confirmed = 0 if doubt else self._confirmed + 1
        if doubt or self._confirmed >= _CONFIRMING:
            self.standing = doubt

    def _drifted(
        self,
        samples: Samples,
        values: NDArray[np.float64],
        estimate: AffineEstimate,
        glimpse: Glimpse,
    ) -> Doubt:
        """Compare with what was known when the image came to rest."""
        rest, extent = self._rest, estimate.model.high - estimate.model.low
        is_at_rest = (
            rest is not None
            and rest.source == samples.source
            and glimpse.change_since(rest.glimpse, extent) < STILL
        )
        if rest is None or not is_at_rest:
            self._rest = _Rest(estimate, glimpse, samples.source)
            return NO_DOUBT
        drift = _change(rest.estimate.model, estimate.model, values)
        middle = np.array([np.median(values)], np.float32)
        usual = _SIGMAS * float(np.sqrt(rest.estimate.variance(middle)[0]))
        if abs(drift) <= _DRIFT + usual:
            return NO_DOUBT
        words = f"the samples' scale drifted by {np.expm1(drift):+.0%} while the image stood still"
        return Doubt(words, abs(drift))

    def _stuck(self, samples: Samples, estimate: AffineEstimate, glimpse: Glimpse) -> Doubt:
        """Compare the measurements themselves: of a driver that is stuck they are the same, bit by bit."""
        if len(samples) < _LEAST_COMPARED:
            return NO_DOUBT
        measured = zlib.crc32(samples.depth_m.tobytes(), zlib.crc32(samples.u_px.tobytes()))
        if self._measured is None or measured != self._measured[0]:
            self._measured = measured, glimpse
            return NO_DOUBT
        extent = estimate.model.high - estimate.model.low
        if glimpse.change_of_map_since(self._measured[1], extent) < 1:
            return NO_DOUBT
        return Doubt("the camera moved, and what was measured stayed the same")


def _jumped(before: NDArray[np.float64], seen: NDArray[np.float64]) -> Doubt:
    """Compare what was measured with what was before, where both looked: the network may jump, too."""
    change = median_apart(before, seen)
    if change is None or abs(change) <= _JUMP:
        return NO_DOUBT
    return Doubt(f"the samples' scale jumped by a factor of {np.exp(abs(change)):.2g}", abs(change))


def _change(before: AffineModel, now: AffineModel, values: NDArray[np.float64]) -> float:
    """By how much log depth changed at relative values (N,), in the median."""
    return float(np.median(now.log_depth(values) - before.log_depth(values)))
