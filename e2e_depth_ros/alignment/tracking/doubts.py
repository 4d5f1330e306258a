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
from e2e_depth_ros.alignment.evidence.structure import change_of_image
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.alignment.tracking.glimpse import CUT, STILL, Glimpse

_STEP: Final = 0.1  # of log depth, that no deviation hides, where the image stands still,
_JUMP: Final = 0.3  # and of what is measured, that no motion from one frame to the next explains
_DRIFT: Final = 0.15  # of log depth, that is no noise while the image stands still
_SIGMAS: Final = 3.0  # standard deviations that what was known before may be wrong by
_SETTLED: Final = 5  # updates in a row: then a scale is known, and a doubt ends
_LEAST_COMPARED: Final = 20  # measurements: fewer, of whole millimetres, may be the same twice
_OTHER_IMAGE: Final = 0.4  # change of the image, see `change_of_image`, that few passers-by make


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was measured last.

    Attributes:
        source: By what.
        common_log_std: See `Samples`.
        cells: Depth in the cells of the image.
        hashed: Of it.
        glimpse: Of the first frame with just these measurements.
    """

    source: str
    common_log_std: float
    cells: NDArray[np.float64]
    hashed: int
    glimpse: Glimpse


@dataclass(frozen=True, eq=False)
class Update:
    """What the samples of a frame made of what was known.

    Attributes:
        before: What was known, carried to the frame; None at the start.
        measured: The fit to the samples.
        after: What is known now.
        jumped: Whether the change was too large for noise.
        values: (N,), relative depth at the samples.
    """

    before: AffineModel | None
    measured: AffineModel
    after: AffineEstimate
    jumped: bool
    values: NDArray[np.float64]


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
        self._settled = 0  # and in which the scale neither jumped nor came from something else
        self._rest: tuple[AffineEstimate, Glimpse] | None = None  # what was known when the image came to rest
        self._last: _Measured | None = None

    def take(
        self, samples: Samples, size: tuple[int, int], update: Update, glimpse: Glimpse, motion: float
    ) -> None:
        """Compare samples, which are used, with those before.

        Args:
            samples: Of a frame.
            size: (H, W) of its image.
            update: What became of them.
            glimpse: Of the frame.
            motion: How much the image changed against the frame before; see `Glimpse.change_since`.
        """
        last = self._last
        is_same_source = last is not None and last.source == samples.source
        self._settled = self._settled + 1 if is_same_source and not update.jumped else 0
        cells = depth_in_cells(samples, size)
        doubt = NO_DOUBT
        if update.before is not None and update.jumped:
            change = abs(_change(update.before, update.measured, update.values))
            if is_same_source and motion < STILL and change > _STEP:
                doubt = Doubt("the samples' scale jumped while the image stood still", change)
            elif last is not None and motion < CUT:
                doubt = _jumped(last, cells, samples.common_log_std)
        hashed = zlib.crc32(samples.depth_m.tobytes(), zlib.crc32(samples.u_px.tobytes()))
        is_repeated = last is not None and hashed == last.hashed and len(samples) >= _LEAST_COMPARED
        first = last.glimpse if last is not None and is_repeated else glimpse
        self._last = _Measured(samples.source, samples.common_log_std, cells, hashed, first)
        doubt = doubt or self._drifted(update, glimpse) or _stuck(first, glimpse, update.after)
        self._confirmed = 0 if doubt else self._confirmed + 1
        if doubt or self._confirmed >= _SETTLED:
            self.standing = doubt

    def _drifted(self, update: Update, glimpse: Glimpse) -> Doubt:
        """Compare with what was known when the image came to rest.

        Without an image nothing tells that it rests: before a plane a map may look the same at any distance.
        """
        rest, now = self._rest, update.after
        if self._settled < _SETTLED or glimpse.contrasts is None:
            self._rest = None
            return NO_DOUBT
        if rest is None or glimpse.change_since(rest[1], now.model.high - now.model.low) >= STILL:
            self._rest = now, glimpse
            return NO_DOUBT
        drift = _change(rest[0].model, now.model, update.values)
        middle = np.array([np.median(update.values)], np.float32)
        usual = _SIGMAS * float(np.sqrt(rest[0].variance(middle)[0]))
        if abs(drift) <= _DRIFT + usual:
            return NO_DOUBT
        words = f"the samples' scale drifted by {np.expm1(drift):+.0%} while the image stood still"
        return Doubt(words, abs(drift))


def _jumped(last: _Measured, cells: NDArray[np.float64], common_log_std: float) -> Doubt:
    """Compare what was measured with what was before, where both looked: the network may jump, too."""
    change = median_apart(last.cells, cells)
    usual = _SIGMAS * float(np.hypot(last.common_log_std, common_log_std))
    if change is None or abs(change) <= _JUMP + usual:
        return NO_DOUBT
    return Doubt(f"the samples' scale jumped by a factor of {np.exp(abs(change)):.2g}", abs(change))


def _stuck(first: Glimpse, now: Glimpse, estimate: AffineEstimate) -> Doubt:
    """Compare the first frame with these very measurements with this one; of a stuck driver they are old."""
    if first is now or first.contrasts is None or now.contrasts is None:
        return NO_DOUBT
    by_map = now.change_of_map_since(first, estimate.model.high - estimate.model.low)
    if by_map < 1 or change_of_image(first.contrasts, now.contrasts) < _OTHER_IMAGE:
        return NO_DOUBT
    return Doubt("the camera moved, and what was measured stayed the same")


def _change(before: AffineModel, now: AffineModel, values: NDArray[np.float64]) -> float:
    """By how much log depth changed at relative values (N,), in the median."""
    return float(np.median(now.log_depth(values) - before.log_depth(values)))
