"""Sparse metric measurements as pixels with a depth, whatever sensor they come from.

Every way in ends in `Samples`; whatever is left out on that way is counted by its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from e2e_depth_ros.alignment.evidence.doubt import NO_DOUBT, Doubt
from e2e_depth_ros.alignment.evidence.occlusion import hidden_behind_others, mixed_pixels
from e2e_depth_ros.alignment.thinning import chosen_by_hash, spread_evenly
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import numbers_from
from e2e_depth_ros.core.intrinsics import checked_pose
from e2e_depth_ros.core.pixels import are_inside
from e2e_depth_ros.core.stored_depth import metres_from_stored

if TYPE_CHECKING:
    from e2e_depth_ros.core.camera import Camera

DEFAULT_MIN_DEPTH_M = 0.1
"""What is nearer may be the robot itself."""
DEFAULT_MAX_DEPTH_M = 80.0
"""What is farther hardly tells the scale of what a robot meets, and sensors measure it worst."""
MAX_SAMPLES = 20_000
"""More samples than this teach a fit nothing; a dense sensor is thinned to about this many."""

COMMON_LOG_STD: Final = 0.01
"""Standard deviation of log depth that a sensor's own calibration leaves in all of its samples alike."""

_OF_OTHER_SIZE: Final = 0.2  # error of log depth that was seen where pixels were those of twice the size,
_OF_OTHER_UNIT: Final = 2.3  # and that of a factor of 10
_MOST_ZONES = 32  # along an edge, of a sensor whose zones may be oblong
_SAME_VIEW = 1.1  # factor between the proportions of images of one view, which are cut to whole pixels
_AND: Final = " + "  # between the names of several sensors
_MAX_PROJECTED = 40_000  # points to look at one by one, of those in front of the camera


@dataclass(frozen=True, eq=False)
class Samples:
    """Metric depth at single pixels of the native image.

    Convention:
        Pixel (0, 0) is centred at (0, 0). Depth is camera-frame Z, not the length of the ray.

    Attributes:
        u_px: (N,), float32, columns; between pixels is allowed.
        v_px: (N,), float32, rows.
        depth_m: (N,), float32, metres, positive and finite.
        dropped: How many measurements were left out on the way here, by reason.
        source: What measured them, for the status: "sparse_points", "ground plane", ...
        parts: (N,), intp, of what several sensors measured: which of them, counted from 0, in the order of
            their names in `source`; None where it was one.
        doubt: Why they are not to be trusted, whatever they fit.
        common_log_std: Standard deviation of the error, in log depth, that all of them have in common, and
            so none of them tells.
    """

    u_px: NDArray[np.float32]
    v_px: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    dropped: Mapping[str, int] = field(default_factory=dict)
    source: str = "samples"
    parts: NDArray[np.intp] | None = None
    doubt: Doubt = NO_DOUBT
    common_log_std: float = COMMON_LOG_STD

    def __post_init__(self) -> None:
        for name in ("u_px", "v_px", "depth_m"):
            array = np.asarray(getattr(self, name), dtype=np.float32)
            if array.ndim != 1 or array.shape != np.shape(self.depth_m):
                raise InvalidInputError(
                    f"expected {name} of shape {np.shape(self.depth_m)} (N,), got {array.shape}"
                )
            object.__setattr__(self, name, array)

    @property
    def sensors(self) -> list[str]:
        """What measured them, one by one."""
        return self.source.split(_AND)

    def __len__(self) -> int:
        return len(self.depth_m)

    def select(self, keep: NDArray[np.bool_], reason: str) -> Samples:
        """Keep some samples and count the others.

        Args:
            keep: (N,), True for those to keep.
            reason: Under which name the others are counted in `dropped`.
        """
        lost = int(len(keep) - np.count_nonzero(keep))
        if lost == 0:
            return self
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + lost}
        return replace(
            self,
            u_px=self.u_px[keep],
            v_px=self.v_px[keep],
            depth_m=self.depth_m[keep],
            dropped=dropped,
            parts=None if self.parts is None else self.parts[keep],
        )


def joined(found: Sequence[Samples]) -> Samples:
    """Put together what several sensors measured of one frame.

    Args:
        found: Of each; at least one.
    """
    if len(found) == 1:
        return found[0]
    dropped = sum((Counter(samples.dropped) for samples in found), Counter[str]())
    return Samples(
        np.concatenate([samples.u_px for samples in found]),
        np.concatenate([samples.v_px for samples in found]),
        np.concatenate([samples.depth_m for samples in found]),
        dict(dropped),
        _AND.join(samples.source for samples in found),
        np.repeat(np.arange(len(found)), [len(samples) for samples in found]),
        next((samples.doubt for samples in found if samples.doubt), NO_DOUBT),
        max(samples.common_log_std for samples in found),
    )


def samples_from_pixels(
    u_px: ArrayLike,
    v_px: ArrayLike,
    depth_m: ArrayLike,
    size: tuple[int, int],
    *,
    min_depth_m: float = DEFAULT_MIN_DEPTH_M,
    max_depth_m: float = DEFAULT_MAX_DEPTH_M,
    source: str = "samples",
) -> Samples:
    """Check measurements that are already given by pixel.

    Args:
        u_px: (N,), columns of the native image, pixels.
        v_px: (N,), rows.
        depth_m: (N,), metres along Z; masked entries and 0 are no measurements.
        size: (H, W) of the native image.
        min_depth_m: Nearer is dropped.
        max_depth_m: Farther is dropped.
        source: Name of the sensor.

    Returns:
        The samples that are finite, in range and inside the image.

    Raises:
        InvalidInputError: The three arrays differ in shape, aren't one-dimensional or hold no numbers; or the
            limits are no range.
    """
    try:
        is_range = bool(0 <= min_depth_m < max_depth_m)
    except (TypeError, ValueError):  # words, or arrays
        is_range = False
    if not is_range:
        raise InvalidInputError(
            f"expected 0 <= min_depth_m < max_depth_m, got {min_depth_m!r} and {max_depth_m!r}"
        )
    u, v, depth = (numbers_from(*given) for given in (("u_px", u_px), ("v_px", v_px), ("depth_m", depth_m)))
    if u.ndim != 1 or u.shape != v.shape or u.shape != depth.shape:
        raise InvalidInputError(
            f"expected u_px, v_px and depth_m of one shape (N,), got {u.shape}, {v.shape} and {depth.shape}"
        )
    samples = Samples(u, v, depth, source=source)
    is_measured = np.isfinite(u) & np.isfinite(v) & np.isfinite(depth) & (depth != 0)
    samples = samples.select(is_measured, "not_finite")
    samples = samples.select(samples.depth_m > 0, "behind_camera")
    samples = samples.select(samples.depth_m >= min_depth_m, "too_near")
    samples = samples.select(samples.depth_m <= max_depth_m, "too_far")
    # Who projects a LiDAR's points has some on all sides; pixels of a larger image are never negative.
    is_larger = bool(np.min([samples.u_px, samples.v_px], initial=0.0) >= -0.5)
    samples = samples.select(are_inside(samples.u_px, samples.v_px, size), "outside_image")
    return _doubted(samples, min_depth_m, is_larger=is_larger)


def samples_from_points(
    points_m: NDArray[Any],
    camera_from_points: NDArray[np.float64],
    camera: Camera,
    *,
    min_depth_m: float = DEFAULT_MIN_DEPTH_M,
    max_depth_m: float = DEFAULT_MAX_DEPTH_M,
    cull_occluded: bool = True,
    source: str = "sparse_points",
) -> Samples:
    """Project 3D points into the camera, and drop those that it can't see.

    A sensor beside the camera looks past edges that hide things from the camera; such points would give
    the foreground the depth of the background. They show by having clearly nearer points all around.

    Args:
        points_m: (N, 3), metres, in the sensor's frame; NaN or 0, 0, 0 for no return.
        camera_from_points: (4, 4), the pose of the sensor's frame in the camera's optical frame.
        camera: The camera, at the native size of the image.
        min_depth_m: Nearer is dropped.
        max_depth_m: Farther is dropped.
        cull_occluded: Whether to drop points that lie behind others.
        source: Name of the sensor.

    Returns:
        At most about `MAX_SAMPLES` samples. `dropped` counts not_finite (as is what has no return),
        behind_camera, too_near, too_far, outside_image, occluded and surplus.

    Raises:
        InvalidInputError: `points_m` has another shape, or `camera_from_points` is no pose.
    """
    points = np.asarray(points_m, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InvalidInputError(f"expected points of shape (N, 3), got {points.shape}")
    pose = checked_pose(camera_from_points, "camera_from_points")
    projection = (camera.intrinsics @ pose[:3]).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        uvw = _transformed(points, projection)
    # Many drivers leave a direction without a return at 0, 0, 0: the sensor itself, which may be in view.
    at_sensor = np.flatnonzero(uvw[2] == projection[2, 3])
    uvw[2, at_sensor[~points[at_sensor].any(axis=1)]] = np.nan
    visible = (uvw[2] >= min_depth_m) & (uvw[2] > 0) & (uvw[2] <= max_depth_m)  # NaN fails all
    count = int(np.count_nonzero(visible))
    dropped = _count_invisible(uvw[2], count, min_depth_m)
    if count > _MAX_PROJECTED:
        # Both coordinates across the view: on a wall ahead, all of an organised cloud's column has one depth.
        visible &= chosen_by_hash(uvw[0], uvw[1], _MAX_PROJECTED / count)
    seen = np.flatnonzero(visible)
    if len(seen) < count:
        dropped["surplus"] = count - len(seen)
    uvw = uvw[:, seen]
    depth = uvw[2]
    if camera.is_distorted:
        in_camera = points[seen] @ pose[:3, :3].T.astype(np.float32) + pose[:3, 3].astype(np.float32)
        u, v = (np.asarray(values, dtype=np.float32) for values in camera.project(in_camera))
    else:
        u, v = uvw[0] / depth, uvw[1] / depth
    samples = Samples(u, v, depth, dropped=dropped, source=source)
    samples = samples.select(are_inside(u, v, camera.size), "outside_image")
    if cull_occluded:
        samples = cull_occluded_samples(samples, camera.size)
    return thin(samples, MAX_SAMPLES)


def samples_from_depth(
    depth: NDArray[Any],
    size: tuple[int, int],
    *,
    min_depth_m: float = DEFAULT_MIN_DEPTH_M,
    max_depth_m: float = DEFAULT_MAX_DEPTH_M,
    source: str = "sparse_depth",
) -> Samples:
    """Take the measurements of a depth image that shares the camera's view.

    It may be sparse and registered at the image's size, or smaller and dense (a time-of-flight sensor).
    Where a dense one changes abruptly its pixels mix two surfaces, and are dropped.

    Args:
        depth: (h, w), floating point in metres (0, NaN and inf: none) or uint16 in millimetres (0 and
            65535: none), as REP 118 has them.
        size: (H, W) of the native image.
        min_depth_m: Nearer is dropped.
        max_depth_m: Farther is dropped.
        source: Name of the sensor.

    Returns:
        At most `MAX_SAMPLES` samples. `dropped` counts too_near, too_far, mixed_pixel and surplus; pixels
        without a measurement aren't counted.

    Raises:
        InvalidInputError: `depth` is no image of floats or uint16, or its proportions are not those of the
            view. Of sensors of a few zones, which may be oblong, any are taken.
    """
    depth = np.asarray(depth)
    if depth.ndim != 2 or depth.size == 0:
        raise InvalidInputError(f"expected depth of shape (h, w), got {depth.shape}")
    (h, w), (height, width) = depth.shape, size
    if max(h, w) > _MOST_ZONES and not 1 / _SAME_VIEW < (h * width) / (w * height) < _SAME_VIEW:
        raise InvalidInputError(
            f"expected depth of the image's view, in the proportions of {width}x{height}, got {w}x{h}"
        )
    depth = metres_from_stored(depth)
    measured = np.isfinite(depth)
    usable = measured & (depth >= min_depth_m) & (depth > 0) & (depth <= max_depth_m)
    too_near = int(np.count_nonzero(measured & (depth < min_depth_m)))
    too_far = int(np.count_nonzero(measured) - np.count_nonzero(usable)) - too_near
    dropped = {"too_near": too_near, "too_far": too_far}
    if np.count_nonzero(usable) > 0.5 * usable.size:
        mixed = usable & mixed_pixels(depth, usable)
        dropped["mixed_pixel"] = int(np.count_nonzero(mixed))
        usable &= ~mixed
    count = int(np.count_nonzero(usable))
    rows, columns = np.nonzero(spread_evenly(usable, MAX_SAMPLES) if count > MAX_SAMPLES else usable)
    dropped["surplus"] = count - len(rows)
    # A pixel of a smaller image covers several of the native one; its centre is theirs.
    u = (columns.astype(np.float32) + 0.5) * np.float32(size[1] / depth.shape[1]) - 0.5
    v = (rows.astype(np.float32) + 0.5) * np.float32(size[0] / depth.shape[0]) - 0.5
    dropped = {reason: count for reason, count in dropped.items() if count}
    return _doubted(Samples(u, v, depth[rows, columns], dropped=dropped, source=source), min_depth_m)


def _doubted(samples: Samples, min_depth_m: float, *, is_larger: bool = False) -> Samples:
    """Say so where most of what was measured for this very image does not belong to it.

    Args:
        samples: With what was left out.
        min_depth_m: What is nearer was.
        is_larger: Whether what lies outside can be of a larger image.
    """
    outside, near = (samples.dropped.get(reason, 0) for reason in ("outside_image", "too_near"))
    total = len(samples) + sum(samples.dropped.values())
    total -= sum(samples.dropped.get(reason, 0) for reason in ("not_finite", "behind_camera"))
    if is_larger and 2 * outside > total:
        words = f"{outside / total:.0%} of the measurements lie outside the image: are they of its size?"
        return replace(samples, doubt=Doubt(words, _OF_OTHER_SIZE))
    if 2 * near > total:
        words = f"{near / total:.0%} of the measurements are nearer than {min_depth_m:g} m: in another unit?"
        return replace(samples, doubt=Doubt(words, _OF_OTHER_UNIT))
    return samples


def cull_occluded_samples(samples: Samples, size: tuple[int, int]) -> Samples:
    """Drop samples that have clearly nearer ones close by on all four sides.

    Fewer sides aren't enough: that is an ordinary depth edge, or ground below the horizon. Samples too
    sparse to surround each other are left alone.

    Args:
        samples: In the native image.
        size: (H, W) of the native image.
    """
    hidden = hidden_behind_others(samples.u_px, samples.v_px, samples.depth_m, size)
    return samples.select(~hidden, "occluded")


def thin(samples: Samples, count: int) -> Samples:
    """Keep about `count` samples, chosen by what they measure and not by their order."""
    if len(samples) <= count:
        return samples
    return samples.select(chosen_by_hash(samples.u_px, samples.v_px, count / len(samples)), "surplus")


def _transformed(points: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply a matrix (3, 4) to points (N, 3); return (3, N).

    Number by number: a matrix product rounds a point by its place among the others, and `chosen_by_hash`
    looks at the last bit.
    """
    columns = np.ascontiguousarray(points.T)
    moved, part = np.empty_like(columns), np.empty_like(columns[0])
    for axis, weights in enumerate(matrix):
        np.multiply(columns[0], weights[0], out=moved[axis])
        moved[axis] += np.multiply(columns[1], weights[1], out=part)
        moved[axis] += np.multiply(columns[2], weights[2], out=part)
        moved[axis] += weights[3]
    return moved


def _count_invisible(depth: NDArray[np.float32], seen: int, min_depth_m: float) -> dict[str, int]:
    """Count by reason the points that are not within the range of depth."""
    rest = len(depth) - seen
    if rest == 0:
        return {}
    not_finite = len(depth) - int(np.count_nonzero(np.isfinite(depth)))
    behind = int(np.count_nonzero((depth <= 0) & np.isfinite(depth)))
    too_near = int(np.count_nonzero((depth > 0) & (depth < min_depth_m)))
    counts = {
        "not_finite": not_finite,
        "behind_camera": behind,
        "too_near": too_near,
        "too_far": rest - not_finite - behind - too_near,
    }
    return {reason: count for reason, count in counts.items() if count}
