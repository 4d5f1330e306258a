"""What several sensors say of one scene: they can't all be right where they contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.samples import Samples


@dataclass(frozen=True)
class SensorSettings:
    """When sensors contradict each other. Values are choices where no measurement is told."""

    cells: int = 64  # over the image's width, in each of which two sensors see one surface
    least_cells: int = 10  # that both must see, for that to be compared
    most_apart: float = 0.15  # difference of log depth in the median of those cells
    least_samples: int = 5  # of each, where they see none in common and the network has to compare them
    # Difference of what two leave of the fit, in the median. Honest ones, on other parts of a weak network's
    # image: up to 0.24; one that measures twice the depth: from 0.50.
    most_apart_by_fit: float = 0.35


_SETTINGS = SensorSettings()


def sensors_contradiction(samples: Samples, width: int, error: NDArray[np.float64]) -> Doubt:
    """Say which two sensors contradict each other, and by how much; no doubt where none do.

    Args:
        samples: Of one frame.
        width: Of its image, pixels.
        error: (N,), log(measured / fitted) of them.
    """
    if samples.parts is None:
        return NO_DOUBT
    for one, other in combinations(range(len(samples.sensors)), 2):
        apart = _apart_in_cells(samples, width, one, other)
        limit = _SETTINGS.most_apart
        if apart is None:
            apart, limit = _apart_by_fit(samples, error, one, other), _SETTINGS.most_apart_by_fit
        if abs(apart) > limit:
            near, far = (one, other) if apart > 0 else (other, one)
            names = samples.sensors
            times = f"{np.exp(abs(apart)):.2g} times the depth that {names[near]} does"
            return Doubt(f"{names[far]} measures {times}", abs(apart))
    return NO_DOUBT


def _apart_in_cells(samples: Samples, width: int, one: int, other: int) -> float | None:
    """How much more log depth the other measures where both see something; None where they hardly do."""
    scale = np.float32(_SETTINGS.cells / width)
    rows, columns = (
        (np.maximum(places, 0) * scale).astype(np.intp) for places in (samples.v_px, samples.u_px)
    )
    cell = rows * (_SETTINGS.cells + 1) + columns
    log_depth = np.log(samples.depth_m)
    means = []
    for part in (one, other):
        of_part = samples.parts == part
        count = np.bincount(cell[of_part], minlength=int(cell.max(initial=0)) + 1)
        total = np.bincount(cell[of_part], log_depth[of_part], minlength=len(count))
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    apart = means[1] - means[0]
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if len(apart) >= _SETTINGS.least_cells else None


def _apart_by_fit(samples: Samples, error: NDArray[np.float64], one: int, other: int) -> float:
    """How much more log depth the other measures than the fit to all says; 0 where one has few samples."""
    parts = [error[samples.parts == part] for part in (one, other)]
    if min(map(len, parts)) < _SETTINGS.least_samples:
        return 0.0
    return float(np.median(parts[1]) - np.median(parts[0]))
