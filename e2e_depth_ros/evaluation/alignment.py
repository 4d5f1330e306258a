"""How good metric depth from sparse samples is: methods on frames, under a sampling protocol."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M, MIN_DEPTH_M
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import Frame
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import DepthScores, score_depth
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels
from e2e_depth_ros.core.targets import read_depth_target
from e2e_depth_ros.core.upsampling import Outlines
from e2e_depth_ros.evaluation.alignment_methods import AlignmentMethod, affine_floor
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples, SamplingProtocol, draw_samples
from e2e_depth_ros.evaluation.surrogate import surrogate_relative_depth

if TYPE_CHECKING:
    from rich.table import Table

FLOOR = "affine floor"
_BEAM_DEG = 0.5  # elevation of a LiDAR's beam is told to this
_METRICS = ("abs_rel", "delta1", "rmse_m")


@dataclass(frozen=True, eq=False)
class Relative:
    """Relative depth of an image.

    Attributes:
        depth: What is aligned.
        outlines: What metric depth follows afterwards, as the node's does; None for nothing.
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


@dataclass(frozen=True)
class AlignmentScore:
    """One method on one frame.

    Attributes:
        scores: Its errors; None where it gave no depth at all.
        duration_s: How long it took.
    """

    scores: DepthScores | None
    duration_s: float


@dataclass(eq=False)
class AlignmentReport:
    """Scores of all methods.

    Attributes:
        protocol: How the frames were sampled.
        relative: Where relative depth came from.
        seed: Of everything random.
        scores: For each method, for each set, for each frame.
        failures: Name of each frame that could not be scored, and why.
    """

    protocol: SamplingProtocol
    relative: str
    seed: int
    scores: dict[str, dict[str, dict[str, AlignmentScore]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """The sets, by name."""
        return sorted({group for groups in self.scores.values() for group in groups})

    def summary(self, method: str, group: str | None = None) -> dict[str, float]:
        """Mean scores of a method over the frames of a set, or over the means of all sets.

        A frame without depth counts with AbsRel 1 and delta1 0, and is counted in `no_depth`.

        Args:
            method: Its name.
            group: The set; None for the mean of the sets.

        Returns:
            abs_rel, delta1, rmse_m, abs_rel_p95 (95th percentile over frames), duration_ms (median) and
            no_depth.
        """
        if group is None:
            parts = [self.summary(method, one) for one in self.scores[method]]
            return {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
        frames = list(self.scores[method][group].values())
        errors = [frame.scores.abs_rel if frame.scores else 1.0 for frame in frames]
        with_depth = [frame.scores.rmse_m for frame in frames if frame.scores]
        return {
            "abs_rel": float(np.mean(errors)),
            "delta1": float(np.mean([frame.scores.delta1 if frame.scores else 0.0 for frame in frames])),
            "rmse_m": float(np.mean(with_depth)) if with_depth else float("nan"),
            "abs_rel_p95": float(np.percentile(errors, 95)),
            "duration_ms": 1e3 * float(np.median([frame.duration_s for frame in frames])),
            "no_depth": float(sum(frame.scores is None for frame in frames)),
        }

    def harm(self, method: str = "correction", base: str = "scale and shift") -> float:
        """95th percentile over frames of one method's AbsRel over another's: above 1 it made frames worse."""
        ratios = []
        for group, frames in self.scores[method].items():
            for name, one in frames.items():
                other = self.scores[base][group][name]
                if one.scores and other.scores:
                    ratios.append(one.scores.abs_rel / max(other.scores.abs_rel, 1e-9))
        return float(np.percentile(ratios, 95)) if ratios else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as an object for JSON."""
        return {
            "protocol": str(self.protocol),
            "relative": self.relative,
            "seed": self.seed,
            "methods": {
                method: {
                    "mean": self.summary(method),
                    "sets": {group: self.summary(method, group) for group in groups},
                    "frames": {
                        name: None
                        if one.scores is None
                        else {key: getattr(one.scores, key) for key in _METRICS}
                        for frames in groups.values()
                        for name, one in frames.items()
                    },
                }
                for method, groups in self.scores.items()
            },
            "failures": self.failures,
        }

    def tables(self) -> list[Table]:
        """Return a table for each set, and one for the mean of the sets."""
        from rich.table import Table  # noqa: PLC0415 - only where something is shown

        tables = []
        for group in [*self.groups, None]:
            count = len(next(iter(self.scores.values()))[group]) if group else 0
            where = f"{group}, {count} frames" if group else "mean of sets"
            table = Table(title=f"{where}: {self.protocol}, {self.relative}, seed {self.seed}")
            for heading in ("method", "AbsRel x100", "p95", "delta1", "RMSE m", "ms", "no depth"):
                table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
            for method in self.scores:
                one = self.summary(method, group)
                table.add_row(
                    method,
                    f"{100 * one['abs_rel']:.2f}",
                    f"{100 * one['abs_rel_p95']:.2f}",
                    f"{one['delta1']:.4f}",
                    f"{one['rmse_m']:.3f}",
                    "" if method == FLOOR else f"{one['duration_ms']:.1f}",
                    f"{one['no_depth']:g}" if one["no_depth"] else "",
                )
            tables.append(table)
        return tables


def evaluate_alignment(
    frames: Iterable[Frame],
    methods: Sequence[AlignmentMethod],
    protocol: SamplingProtocol,
    *,
    seed: int = 0,
    relative_source: RelativeSource | None = None,
    relative_name: str = "surrogate",
    on_failure: Callable[[Frame, str], None] = lambda _frame, _reason: None,
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
    target = scene.to_score[scored]
    results = {
        FLOOR: AlignmentScore(_score(affine_floor(relative.depth, scene.to_score)[scored], target), 0.0)
    }
    for method in methods:
        start = time.perf_counter()
        metres = method.complete(relative.depth, samples)
        if method.follows_outlines and relative.outlines is not None:
            completed = DepthMap(metres, np.isfinite(metres), DepthKind.METRIC)
            metres = relative.outlines.followed_by_metric(completed).values
        duration = time.perf_counter() - start
        results[method.name] = AlignmentScore(_score(np.asarray(metres)[scored], target), duration)
    return results


def read_scene(frame: Frame) -> SplitFrame:
    """Read a frame.

    Dense depth is both measured and scored. Of a LiDAR's points every other beam is measured, and the rest
    are scored.

    Raises:
        InvalidInputError: The frame has no measurements, or no calibration.
    """
    rgb = frame.read_image()
    height, width = rgb.shape[:2]
    camera = frame.read_camera()
    if camera is None:
        raise InvalidInputError(f"expected camera_info.yaml in {frame.name}, found none")
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


def _score(metres: NDArray[Any], target: NDArray[np.float32]) -> DepthScores | None:
    finite = np.isfinite(metres)
    if not finite.any():
        return None
    # A pixel without depth counts as wrong as one at the camera.
    clipped = np.clip(np.where(finite, metres, MIN_DEPTH_M), MIN_DEPTH_M, MAX_DEPTH_M)
    return score_depth(clipped, target)
