"""One image alone: `align`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.alignment.samples import (
    DEFAULT_MAX_DEPTH_M,
    DEFAULT_MIN_DEPTH_M,
    Samples,
    samples_from_pixels,
)
from e2e_depth_ros.alignment.shortfall import shortfall
from e2e_depth_ros.alignment.tracking.states import TrackerSettings
from e2e_depth_ros.alignment.tracking.tracker import AlignmentTracker
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import numbers_from
from e2e_depth_ros.core.maps import DepthKind, DepthMap

_LEAST_STEPS: Final = 256  # of float32 over the range of a map: as many as an image of 8 bits has


def align(
    relative: NDArray[Any] | DepthMap,
    u_px: ArrayLike,
    v_px: ArrayLike,
    depth_m: ArrayLike,
    *,
    image: NDArray[np.uint8] | None = None,
    kind: DepthKind = DepthKind.AFFINE_INVARIANT,
    correction: bool = TrackerSettings.correction,
    min_depth_m: float = DEFAULT_MIN_DEPTH_M,
    max_depth_m: float = DEFAULT_MAX_DEPTH_M,
    source: str = "samples",
) -> Alignment:
    """Make the relative depth of one image metric, by depth measured at some of its pixels.

    Convention:
        Pixel (0, 0) is centred at (0, 0). Depth is camera-frame Z, not the length of the ray.

    Example:
        >>> alignment = align(relative, u_px, v_px, depth_m)
        >>> if alignment.state is AlignmentState.FRESH:
        ...     use(alignment.depth_m, alignment.std_m)

    Args:
        relative: (H, W), the network's output; NaN or masked where invalid. Or a `DepthMap`, which brings
            its kind.
        u_px: (N,), columns of the measured pixels.
        v_px: (N,), rows.
        depth_m: (N,), metres. Outliers may be among them.
        image: (H, W, 3), RGB. The correction follows its outlines where the network is weak.
        kind: What the values of `relative` mean, if it is an array.
        correction: Whether to correct, between the samples, what one scale and shift leave; it takes tens of
            milliseconds.
        min_depth_m: Nearer measurements are dropped.
        max_depth_m: Farther measurements are dropped.
        source: Name of the sensor, for the result.

    Returns:
        `depth_m` and `std_m` (H, W), `scale`, `shift_m`, and `state` with its `reason`. When the
        measurements contradict the image the state is lost, and the depth is NaN.

    Raises:
        InvalidInputError: Shapes don't fit, an array holds no numbers, or none that float32 tells apart,
            `kind` is no `DepthKind`, `correction` neither True nor False, or the limits of depth are no
            range.
    """
    if not isinstance(correction, bool | np.bool_):  # a word, "no" too, would turn it on
        raise InvalidInputError(f"expected True or False as correction, got {correction!r}")
    if not isinstance(relative, DepthMap):
        values = numbers_from("relative", relative)
        relative = DepthMap(values=values, valid=np.isfinite(values), kind=kind)
    _check_steps(relative)
    samples = samples_from_pixels(
        u_px, v_px, depth_m, relative.size, min_depth_m=min_depth_m, max_depth_m=max_depth_m, source=source
    )
    return align_samples(relative, samples, image=image, correction=correction)


def align_samples(
    relative: DepthMap,
    samples: Samples,
    *,
    image: NDArray[np.uint8] | None = None,
    correction: bool = TrackerSettings.correction,
    limits: tuple[str, str] = ("min_depth_m", "max_depth_m"),
) -> Alignment:
    """Make relative depth metric by samples that are checked already; see `align`.

    Args:
        relative: The network's output.
        samples: Of its image; what was left out of them tells why none is left.
        image: (H, W, 3), RGB.
        correction: Whether to correct, between the samples, what one scale and shift leave.
        limits: What the user knows the least and the largest depth by.
    """
    is_short = samples.dropped and not len(samples)
    absence = shortfall(samples.source, samples.dropped, limits) if is_short else "no samples"
    tracker = AlignmentTracker(TrackerSettings(correction=correction))
    return tracker.update(relative, 0, samples, image=image, absence=absence)


def _check_steps(relative: DepthMap) -> None:
    """Refuse values so far from 0 that float32 rounds away how they differ: their steps would be metres."""
    known = relative.values[relative.valid]
    low, high = (known.min(), known.max()) if known.size else (np.float32(0), np.float32(0))
    step = np.spacing(max(-low, high))
    if 0 < high - low < _LEAST_STEPS * step:
        raise InvalidInputError(
            f"expected relative depth that float32 can tell apart, got values from {low:.8g} to {high:.8g}, "
            f"in steps of {step:.2g}: subtract an offset"
        )
