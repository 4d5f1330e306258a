"""Depth as sensors and files store it (REP 118): floats in metres, or 16 bits, mostly in millimetres."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError

MILLIMETRE_M: Final = 0.001
"""Metres of one unit of 16 bits, unless told otherwise."""

_FULL: Final = 65535  # means no measurement, to some cameras and readers


def metres_from_stored(stored: NDArray[Any], unit_m: float = MILLIMETRE_M) -> NDArray[np.float32]:
    """Return metres, NaN where nothing was measured.

    Args:
        stored: (H, W), floating point in metres (0, negative, NaN and inf: nothing) or uint16 (0 and 65535:
            nothing).
        unit_m: Metres of one unit of uint16.

    Raises:
        InvalidInputError: It is neither.
    """
    if stored.dtype == np.uint16:
        metres = stored.astype(np.float32)
        metres *= np.float32(unit_m)
        metres[(stored == 0) | (stored == _FULL)] = np.nan
        return metres
    if not np.issubdtype(stored.dtype, np.floating):
        raise InvalidInputError(f"expected depth as floats (m) or uint16 (mm), got {stored.dtype}")
    metres = stored.astype(np.float32)
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def millimetres_from_metres(depth_m: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Return (H, W), uint16, millimetres: 0 where unknown, or beyond 65.534 m."""
    with np.errstate(invalid="ignore"):
        rounded = np.rint(depth_m * 1000)
        known = np.isfinite(depth_m) & (rounded >= 1) & (rounded < _FULL)
    return np.where(known, rounded, 0).astype(np.uint16)
