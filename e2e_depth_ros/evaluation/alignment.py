"""How good metric depth from sparse samples is: methods on frames, under a sampling protocol."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M, MIN_DEPTH_M
from e2e_depth_ros.core.edge_metrics import match_edges
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import score_depth
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels
from e2e_depth_ros.core.targets import read_camera_of, read_depth_target
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.evaluation.alignment_methods import AlignmentMethod, Completed, Seen, affine_floor
from e2e_depth_ros.evaluation.alignment_report import FLOOR, AlignmentReport, AlignmentScore
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples, SamplingProtocol, draw_samples
from e2e_depth_ros.evaluation.surrogate import surrogate_relative_depth

_BEAM_DEG = 0.5  # elevation of a LiDAR's beam is told to this


@dataclass(frozen=True, eq=False)
class Relative:
    """Relative depth of an image.

    Attributes:
        depth: What is aligned.
        outlines: What metric depth is to follow; None for nothing.
    """

    depth: DepthMap
    outlines: Outlines | None = None


RelativeSource = Callable[[NDArray[np.uint8]], Relative]
"""From an image (H, W, 3) to its relative depth."""


@dataclass(frozen=True, eq=False)
class SplitFrame:
    """One frame, split into what may be measured and what is scored.

    Attributes:
        rgb: (H, W, 3), uint8.
        focal_px: Focal length, pixels.
        truth_m: (H, W), metres; NaN where unknown.
        to_fit: (H, W), the truth that samples may be drawn from.
        to_score: (H, W), the truth that is scored, apart from the samples themselves.
    """

    rgb: NDArray[np.uint8]
    focal_px: float
    truth_m: NDArray[np.float32]
    to_fit: NDArray[np.float32]
    to_score: NDArray[np.float32]


def evaluate_alignment(
    frames: Iterable[MeasuredFrame],
    methods: Sequence[AlignmentMethod],
    protocol: SamplingProtocol,
    *,
    seed: int = 0,
    relative_source: RelativeSource | None = None,
    relative_name: str = "surrogate",
    on_failure: Callable[[MeasuredFrame, str], None] = lambda _frame, _reason: None,
) -> AlignmentReport:
    """Sample frames, complete their depth by each method, and score it where nothing was sampled.

    Args:
        frames: Frames with measurements.
        methods: What completes depth.
        protocol: How to sample.
        seed: Of the surrogate and the samples; each frame draws its own from it and from its name.
        relative_source: Gives relative depth; the surrogate network by default.
        relative_name: What to call it.
        on_failure: Called for each frame that can't be scored, with the reason.
    """
    report = AlignmentReport(protocol, relative_name, seed)
    for frame in frames:
        own_seed = [seed, zlib.crc32(frame.name.encode())]
        try:
            scene = read_scene(frame)
            samples = draw_samples(
                scene.to_fit, scene.rgb, scene.focal_px, protocol, np.random.default_rng([*own_seed, 1])
            )
            if len(samples.depth_m) == 0:
                raise InvalidInputError(f"expected samples by {protocol}, got none")
            relative = (
                _surrogate(scene, np.random.default_rng([*own_seed, 2]))
                if relative_source is None
                else relative_source(scene.rgb)
            )
            scored = score_methods(scene, relative, samples, methods)
        except E2EDepthError as error:
            report.failures[frame.name] = str(error)
            on_failure(frame, str(error))
            continue
        report.depth_m.setdefault(frame.group, []).append(float(np.nanmedian(scene.truth_m)))
        for method, score in scored.items():
            report.scores.setdefault(method, {}).setdefault(frame.group, {})[frame.name] = score
    return report


def score_methods(
    scene: SplitFrame, relative: Relative, samples: PixelSamples, methods: Sequence[AlignmentMethod]
) -> dict[str, AlignmentScore]:
    """Score each method, and the affine floor, at pixels without samples.

    Raises:
        InvalidInputError: There is no such pixel.
    """
    scored = np.isfinite(scene.to_score)
    scored[samples.rows, samples.columns] = False
    if not scored.any():
        raise InvalidInputError("expected measured pixels without samples to score at, got none")
    floor = Completed(affine_floor(relative.depth, scene.to_score))
    results = {FLOOR: _score(floor, scene.to_score, scored, 0.0)}
    seen = Seen(relative.depth, scene.rgb, relative.outlines)
    for method in methods:
        start = time.perf_counter()
        completed = method.complete(seen, samples)
        duration = time.perf_counter() - start
        results[method.name] = _score(completed, scene.to_score, scored, duration)
    return results


def read_scene(frame: MeasuredFrame) -> SplitFrame:
    """Read a frame.

    Dense depth is both measured and scored. Of a LiDAR's points every other beam is measured, and the rest
    are scored.

    Raises:
        InvalidInputError: The frame has no measurements or no calibration, or they don't fit the image.
    """
    rgb = frame.read_image()
    height, width = rgb.shape[:2]
    camera = read_camera_of(frame, (height, width))
    target = read_depth_target(frame, (height, width))
    truth = np.full((height, width), np.nan, dtype=np.float32)
    truth[target.row, target.column] = target.depth_m
    if target.source == "depth":
        return SplitFrame(rgb, camera.fx, truth, truth, truth)
    measured = frame.read_points()
    if measured is None:
        raise InvalidInputError(f"expected points.npz in {frame.name}, found none")
    points, camera_from_points = measured
    elevation = np.rad2deg(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    is_odd = (np.floor(elevation / _BEAM_DEG).astype(int) % 2).astype(bool)
    u, v = camera.project(points[is_odd] @ camera_from_points[:3, :3].T + camera_from_points[:3, 3])
    inside = are_inside(u, v, (height, width))
    held_out = np.zeros((height, width), dtype=np.bool_)
    held_out[nearest_pixels(u[inside], v[inside], (height, width))] = True
    nan = np.float32(np.nan)
    return SplitFrame(rgb, camera.fx, truth, np.where(held_out, nan, truth), np.where(held_out, truth, nan))


def _surrogate(scene: SplitFrame, rng: np.random.Generator) -> Relative:
    values = surrogate_relative_depth(scene.truth_m, rng)
    return Relative(DepthMap(values, np.ones(values.shape, dtype=np.bool_), DepthKind.AFFINE_INVARIANT))


def _score(
    completed: Completed, truth_m: NDArray[np.float32], scored: NDArray[np.bool_], duration_s: float
) -> AlignmentScore:
    metres = np.asarray(completed.depth_m)
    finite = np.isfinite(metres)
    if not finite[scored].any():
        return AlignmentScore(None, duration_s)
    # A pixel without depth counts as wrong as one at the camera.
    clipped = np.clip(np.where(finite, metres, MIN_DEPTH_M), MIN_DEPTH_M, MAX_DEPTH_M)
    target, within = truth_m[scored], float("nan")
    if completed.log_std is not None:
        error = np.abs(np.log(clipped[scored] / target))
        within = float(np.mean(error <= 2 * completed.log_std[scored]))
    return AlignmentScore(
        score_depth(clipped[scored], target), duration_s, match_edges(clipped, truth_m), within
    )
