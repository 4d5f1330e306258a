"""`e2e-depth predict --align`: metric depth of frame folders, from what was measured there."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import Alignment, TrackerSettings
from e2e_depth_ros.alignment.one_image import align_samples
from e2e_depth_ros.alignment.samples import (
    DEFAULT_MAX_DEPTH_M,
    DEFAULT_MIN_DEPTH_M,
    Samples,
    samples_from_depth,
    samples_from_pixels,
    samples_from_points,
)
from e2e_depth_ros.cli.pictures import Rgb, samples_over_image
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.colours import colours_from_depth
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthMap
from e2e_depth_ros.core.stored_depth import MILLIMETRE_M
from e2e_depth_ros.offline.measured_files import SAMPLES_FILE, read_samples_csv
from e2e_depth_ros.offline.sources import SourceImage

_LIMITS: Final = (f"{DEFAULT_MIN_DEPTH_M:g} m", f"{DEFAULT_MAX_DEPTH_M:g} m")


def read_samples(
    image: SourceImage, size: tuple[int, int], camera: Camera | None, unit_m: float = MILLIMETRE_M
) -> Samples:
    """Read what was measured of an image: its points, or else its samples, or else its depth image.

    Points come first because a frame with both has sparse points to align by, and dense depth to compare
    with. A depth image may be sparse, or smaller than the image and dense.

    Args:
        image: One of a frame folder, or of an RGB-D folder.
        size: (H, W) of it.
        camera: Its camera; None where none is known.
        unit_m: Metres of one unit of a depth PNG.

    Raises:
        InvalidInputError: There is nothing of it, or it doesn't fit the image.
    """
    measured = image.frame.read_points()
    if measured is not None:
        if camera is None:
            raise InvalidInputError(
                f"expected camera_info.yaml beside the points of {image.name}, found none"
            )
        if camera.size != size:
            raise InvalidInputError(
                f"expected a camera of the image's size {size} in {image.name}, got {camera.size}"
            )
        return samples_from_points(*measured, camera, source="points.npz")
    table = None if image.folder is None else image.folder / SAMPLES_FILE
    if table is not None and table.exists():
        u, v, depth_m = read_samples_csv(table).T
        return samples_from_pixels(u, v, depth_m, size, source=SAMPLES_FILE)
    depth = image.read_depth(unit_m)
    if depth is None:
        raise InvalidInputError(
            f"expected samples.csv, depth.png, points.npz or depth.npz beside {image.image_path}, found none"
        )
    try:
        return samples_from_depth(depth, size, source=image.depth_name)
    except InvalidInputError as error:
        raise InvalidInputError(f"{image.depth_name} of {image.name}: {error}") from error


def align_to_samples(
    relative: DepthMap, samples: Samples, rgb: Rgb, *, correction: bool = TrackerSettings.correction
) -> Alignment:
    """Align one frame; what was dropped while its samples were read is counted, and told if none is left."""
    return align_samples(relative, samples, image=rgb, correction=correction, limits=_LIMITS)


def summary(alignment: Alignment) -> dict[str, Any]:
    """Return what is known of an alignment as an object for JSON; null where a number is not known."""
    numbers = {
        name: getattr(alignment, name)
        for name in ("scale", "shift_m", "inlier_ratio", "residual", "condition")
    }
    return {
        "state": alignment.state.value,
        "reason": alignment.reason,
        "source": alignment.source,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "samples_used": alignment.samples_used,
        "samples_dropped": dict(alignment.samples_dropped),
    }


def alignment_panels(rgb: Rgb, samples: Samples, alignment: Alignment) -> list[tuple[str, Rgb]]:
    """Draw samples, metric depth and its standard deviation, each with its label.

    Samples and depth share their colours: red is near. Uncertain is bright. A lost alignment has neither
    depth nor deviation.
    """
    std_m = alignment.std_m
    near_m, far_m = _range(samples.depth_m if std_m is None else alignment.depth_m)
    dots = samples_over_image(rgb, samples.u_px, samples.v_px, samples.depth_m, near_m, far_m)
    panels = [(f"{len(samples)} samples: {alignment.state.value}", dots)]
    if std_m is not None:
        _, most_m = _range(std_m)
        depth = colours_from_depth(alignment.depth_m, near_m, far_m, colormap="turbo")
        deviation = colours_from_depth(-std_m, -most_m, 0.0, colormap="viridis")
        panels += [
            (f"depth, {near_m:.2f} to {far_m:.2f} m", depth),
            (f"standard deviation, 0 to {most_m:.2f} m", deviation),
        ]
    return panels


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    """2nd and 98th percentile of what is finite."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    return float(low), float(high)
