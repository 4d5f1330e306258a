"""Metric samples without any sensor: the ground, seen by a camera whose height above it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment.affine import value_range
from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.ground_plane import unit_direction
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.robust import biweight, robust_std

GROUND_SOURCE: Final = "ground plane"
"""What the samples of the ground are called."""

_OFFSETS = np.exp(np.linspace(np.log(0.02), np.log(8.0), 25))  # of near / (far - near)


@dataclass(frozen=True)
class GroundSettings:
    """Where ground is looked for, and what counts as one. Values are choices where no measurement is told."""

    top: float = 0.55  # share of the image's height, below which it is looked for
    points: int = 600  # pixels looked at
    least_points: int = 50  # valid ones, without which there is none
    most_error: float = 0.09  # relative, with which a pixel still lies on the ground,
    relief_share: float = 0.12  # and its share of the variation of depth
    lowest: float = 0.6  # share of the rows above the lowest pixels, that the fit of a plane starts from
    # Widths, in the log of the offset, that are searched around the best of the grid so far:
    searches: tuple[float, ...] = (0.25, 0.08)
    most_tilt_deg: float = 45.0  # against the image's vertical, where nothing is known about it,
    most_disagreement_deg: float = 12.0  # and against what is known
    least_share: float = 0.4  # of the pixels looked at
    least_width: float = 0.5  # share of the image's width that it spans
    least_depth_ratio: float = 1.6  # of its far end over its near end
    farthest: float = 25.0  # depth up to which it is used, in heights of the camera
    # Standard deviation of the error, in log depth, that all pixels of the ground have in common: a network's
    # floor bends, and the plane through it tells nothing of that; less where the tilt is known.
    common_log_std: float = 0.2
    common_log_std_known: float = 0.06


_SETTINGS = GroundSettings()


@dataclass(frozen=True, eq=False)
class Ground:
    """What was found of the ground.

    Attributes:
        samples: Depth of pixels on it; None if no ground is seen.
        reason: Why there are none, or what was found, for the status.
        down: (3,), unit vector towards the ground, optical frame; None if none is seen.
        share: Share, 0..1, of the pixels looked at that lie on it.
    """

    samples: Samples | None
    reason: str
    down: NDArray[np.float64] | None = None
    share: float = 0.0


def height_above_ground(
    depth: DepthMap, camera: Camera, *, down: NDArray[np.float64] | None = None
) -> float | None:
    """How high above the ground a camera is whose metric depth shows one; None where it shows none.

    Args:
        depth: METRIC, of the camera's size.
        camera: The camera, without distortion.
        down: (3,), direction of the ground in the optical frame, where it is known.

    Returns:
        Metres, along the ground's normal.

    Raises:
        InvalidInputError: The sizes differ, or `down` is no direction.
    """
    known_down = None if down is None else unit_direction(down)
    rows, columns, rays = _lower_rays(depth, camera)
    if len(rows) < _SETTINGS.least_points:
        return None
    # On the plane n . P = h the inverse depth is n / h . ray.
    direction, error, _ = _plane_at(0.0, depth.values[rows, columns].astype(np.float64), rays)
    on_plane = np.abs(error) < _most_error()
    height_m = 1 / max(float(np.linalg.norm(direction)), 1e-9)
    problem = _problem(direction * height_m, on_plane, rays, columns, depth.size[1], known_down)
    return None if problem else height_m


def find_ground(
    relative: DepthMap, camera: Camera, height_m: float, *, down: NDArray[np.float64] | None = None
) -> Ground:
    """Find the ground plane in relative depth, and measure it by the height of the camera.

    On a plane n . P = h the inverse depth is n . ray / h, so for the right offset d the inverse of (t + d) is
    linear in the ray, t being the relative depth over its range. For each offset of a grid that linear
    function is fitted robustly; the offset whose plane holds most pixels wins. It is a ground only if the
    plane lies below, holds a large part of the lower image over its width, and recedes.

    Args:
        relative: Relative depth of the camera's size.
        camera: The camera, without distortion.
        height_m: Height of the camera above the ground along its normal, metres.
        down: (3,), direction of the ground in the optical frame, where it is known, say from TF; required for
            disparity, whose own offset can't be told from the tilt of the camera.

    Returns:
        Samples with the source "ground plane", or the reason why there are none.

    Raises:
        InvalidInputError: The height is not positive, the sizes differ, or `down` is no direction.
    """
    if not (np.isfinite(height_m) and height_m > 0):
        raise InvalidInputError(f"expected a positive height of the camera in metres, got {height_m}")
    known_down = None if down is None else unit_direction(down)
    rows, columns, rays = _lower_rays(relative, camera)
    if known_down is None and relative.kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
        return Ground(None, "the ground in disparity needs the tilt of the camera")
    if len(rows) < _SETTINGS.least_points:
        return Ground(None, "the lower image has no valid relative depth")
    values = relative.values[rows, columns].astype(np.float64)
    plane = _plane(values, rays, relative, known_down)
    if plane is None:
        return Ground(None, "no plane in the lower image")
    normal, on_plane = plane
    normal = normal / np.linalg.norm(normal)
    share = float(on_plane.mean())
    problem = _problem(normal, on_plane, rays, columns, relative.size[1], known_down)
    if problem:
        return Ground(None, f"no ground is seen: {problem}", share=share)
    normal = normal if known_down is None else known_down
    depth = height_m / np.maximum(rays @ normal, 1e-6)
    used = on_plane & (depth < _SETTINGS.farthest * height_m)
    u, v, depth_m = (values[used].astype(np.float32) for values in (columns, rows, depth))
    common = _SETTINGS.common_log_std if known_down is None else _SETTINGS.common_log_std_known
    samples = Samples(u, v, depth_m, source=GROUND_SOURCE, common_log_std=common)
    return Ground(samples, f"ground on {share:.0%} of the lower image", normal, share)


def _lower_rays(
    depth: DepthMap, camera: Camera
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Valid pixels of the lower image, on a regular grid: rows, columns, and rays (N, 3) with z = 1."""
    if depth.size != camera.size:
        raise InvalidInputError(f"expected depth of the camera's size {camera.size}, got {depth.size}")
    height, width = depth.size
    step = max(1, int(np.sqrt((1 - _SETTINGS.top) * height * width / _SETTINGS.points)))
    first = int(_SETTINGS.top * height)
    rows, columns = np.nonzero(depth.valid[first::step, ::step])
    rows, columns = rows * step + first, columns * step
    x, y = camera.normalized_from_pixels(columns, rows)
    return rows, columns, np.stack([x, y, np.ones(len(x))], axis=1)


def _plane(
    values: NDArray[np.float64],
    rays: NDArray[np.float64],
    relative: DepthMap,
    down: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """The plane's direction (3,) times a factor, and which pixels (N,) lie on it."""
    low, high = value_range(relative)
    t = (values - low) / max(high - low, 1e-9)
    if down is not None:
        return _known_plane(t, rays, relative.kind, down)
    if relative.kind is not DepthKind.AFFINE_INVARIANT:
        normal, error, _ = _plane_at(0.0, values, rays)
        return normal, np.abs(error) < _most_error()
    costs = []
    for offset in _OFFSETS:
        _, error, relief = _plane_at(float(offset), t, rays)
        costs.append(np.minimum(np.square(error / (_SETTINGS.relief_share * relief)), 1).sum())
    offset = float(_OFFSETS[int(np.argmin(costs))])
    for width in _SETTINGS.searches:
        # The median error of what lies on the plane so far tells the offset better than all pixels do.
        normal, error, relief = _plane_at(offset, t, rays)
        on_plane = np.abs(error) < _most_error(relief)
        if np.count_nonzero(on_plane) < _SETTINGS.least_share * len(on_plane):
            return normal, on_plane
        around = offset * np.exp(np.linspace(-width, width, 9))
        costs = []
        for one in around:
            _, error, relief = _plane_at(float(one), t[on_plane], rays[on_plane])
            costs.append(np.median(np.abs(error)) / relief)
        offset = float(around[int(np.argmin(costs))])
    normal, error, relief = _plane_at(offset, t, rays)
    return normal, np.abs(error) < _most_error(relief)


def _plane_at(
    offset: float, t: NDArray[np.float64], rays: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Find the best plane for an offset.

    Returns:
        Its direction (3,) times a factor, the relative errors (N,), and the relief: how much depth varies.
        A large offset makes everything flat and any plane fit, so errors count relative to the relief.
    """
    inverse = 1 / np.maximum(t + offset, 1e-3)
    lowest = rays[:, 1] >= np.quantile(rays[:, 1], _SETTINGS.lowest) if len(rays) else None
    normal, error = _robust_linear(inverse, rays, first=lowest)
    relief = robust_std(np.log(inverse / np.median(inverse)))
    return normal, error, max(relief, 1e-9)


def _most_error(relief: float = np.inf) -> float:
    """Relative error up to which a pixel lies on a plane, given how much depth varies."""
    return min(_SETTINGS.most_error, _SETTINGS.relief_share * relief)


def _known_plane(
    t: NDArray[np.float64], rays: NDArray[np.float64], kind: DepthKind, down: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Which pixels fit a ground whose direction is known: there depth (or its inverse) is affine in t."""
    along = rays @ down  # height over depth
    below = along > 1 / _SETTINGS.farthest
    if np.count_nonzero(below) < _SETTINGS.least_points:
        return None
    y = along if kind is DepthKind.AFFINE_INVARIANT_DISPARITY else 1 / np.maximum(along, 1e-6)
    terms = np.stack([t, np.ones(len(t))], axis=1)
    # Relative to y, so that near and far count alike.
    coefficients, _ = _robust_linear(np.ones(np.count_nonzero(below)), terms[below] / y[below, None])
    error = np.full(len(t), np.inf)
    error[below] = terms[below] @ coefficients / y[below] - 1
    has_scale = coefficients[0] > 0 or kind in {DepthKind.METRIC, DepthKind.SCALE_INVARIANT}
    return (down, np.abs(error) < _most_error()) if has_scale else None


def _robust_linear(
    target: NDArray[np.float64], terms: NDArray[np.float64], *, first: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a positive target (N,) by terms (N, k), robustly and relative to its size.

    Args:
        target: (N,).
        terms: (N, k).
        first: (N,), what to start from: the lowest part of the image is the likeliest ground.

    Returns:
        Coefficients (k,), and the relative errors (N,).
    """
    relative_terms = terms / target[:, None]
    weight = np.ones(len(target)) if first is None else first + 1e-9
    coefficients = np.zeros(terms.shape[1])
    error = np.zeros(len(target))
    for _ in range(8):
        weighted = relative_terms * weight[:, None]
        system = weighted.T @ relative_terms + 1e-12 * np.eye(terms.shape[1])
        coefficients = np.linalg.solve(system, weighted.sum(axis=0))
        error = relative_terms @ coefficients - 1
        weight = biweight(error, max(robust_std(error), 0.01)) + 1e-9
    return coefficients, error


def _problem(
    normal: NDArray[np.float64],
    on_plane: NDArray[np.bool_],
    rays: NDArray[np.float64],
    columns: NDArray[np.intp],
    width: int,
    down: NDArray[np.float64] | None,
) -> str:
    """Why a plane is no ground; empty if it is one."""
    share = float(on_plane.mean())
    if share < _SETTINGS.least_share:
        return f"the best plane holds {share:.0%} of the lower image"
    expected = np.array([0.0, 1.0, 0.0]) if down is None else down
    cosine = normal @ expected / max(float(np.linalg.norm(normal)), 1e-12)
    tilt = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    if tilt > (_SETTINGS.most_tilt_deg if down is None else _SETTINGS.most_disagreement_deg):
        return f"the best plane is tilted by {tilt:.0f} degrees"
    span = float(np.ptp(columns[on_plane])) / width
    if span < _SETTINGS.least_width:
        return f"the best plane spans {span:.0%} of the width"
    along = rays[on_plane] @ normal
    ends = np.percentile(along, [5, 95])
    if ends[0] <= 0 or ends[1] / ends[0] < _SETTINGS.least_depth_ratio:
        return "the best plane does not recede"
    return ""
