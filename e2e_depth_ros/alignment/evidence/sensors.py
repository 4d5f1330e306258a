"""What several sensors say of one scene: they can't all be right where they contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.pixels import cells_of


@dataclass(frozen=True)
class SensorSettings:
    """When sensors contradict each other. Values are choices where no measurement is told."""

    cells: int = 64  # over the image's width, in each of which two sensors see one surface
    least_cells: int = 10  # that both must see, for that to be compared
    most_apart: float = 0.15  # difference of log depth in the median of those cells


_SETTINGS = SensorSettings()


def sensors_contradiction(samples: Samples, size: tuple[int, int]) -> Doubt:
    """Say which two sensors contradict each other, and by how much; no doubt where none do.

    Only where both look: on other parts of an image a weak network's error alone can be a factor of ten.

    Args:
        samples: Of one frame.
        size: (H, W) of its image.
    """
    if samples.parts is None:
        return NO_DOUBT
    seen = [depth_in_cells(samples, size, samples.parts == part) for part in range(len(samples.sensors))]
    for one, other in combinations(range(len(seen)), 2):
        apart = median_apart(seen[one], seen[other])
        if apart is not None and abs(apart) > _SETTINGS.most_apart:
            near, far = (one, other) if apart > 0 else (other, one)
            names = samples.sensors
            times = f"{np.exp(abs(apart)):.2g} times the depth that {names[near]} does"
            return Doubt(f"{names[far]} measures {times}", abs(apart))
    return NO_DOUBT


def depth_in_cells(
    samples: Samples, size: tuple[int, int], chosen: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the mean log depth in each cell of the image; NaN in those without a sample.

    Args:
        samples: Of one frame.
        size: (H, W) of its image.
        chosen: (N,), which of them count; all by default.
    """
    columns = _SETTINGS.cells
    cell = cells_of(samples.u_px, samples.v_px, size[1], columns)
    log_depth = np.log(samples.depth_m.astype(np.float64))
    if chosen is not None:
        cell, log_depth = cell[chosen], log_depth[chosen]
    cells = (columns + 1) * (int(np.ceil(size[0] * columns / size[1])) + 1)
    count = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, log_depth, minlength=cells)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def median_apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """How much more log depth the other has in the median of the cells that both see; None in too few.

    Args:
        one: As `depth_in_cells` gives it.
        other: Likewise, of an image of the same size.
    """
    if one.shape != other.shape:
        return None
    apart = other - one
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if len(apart) >= _SETTINGS.least_cells else None
