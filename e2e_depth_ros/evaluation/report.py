"""Scores of several sources on sets of frames: gathered, averaged, shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.metrics import DepthScores, NormalErrors, fit_least_squares, score_depth
from e2e_depth_ros.evaluation.frames import Frame
from e2e_depth_ros.evaluation.sources import Prediction, PredictionSource
from e2e_depth_ros.evaluation.targets import (
    MAX_DEPTH_M,
    MIN_DEPTH_M,
    DepthTarget,
    read_depth_target,
    smooth_normals,
)

if TYPE_CHECKING:
    from rich.table import Table

_METRICS = ("abs_rel", "delta1", "delta2", "delta3", "rmse_m", "log10")


@dataclass(frozen=True)
class Protocol:
    """How depth is compared.

    Attributes:
        min_depth_m: Nearer targets don't count, and nearer predictions are moved there.
        max_depth_m: Farther targets don't count, and farther predictions are moved there.
    """

    min_depth_m: float = MIN_DEPTH_M
    max_depth_m: float = MAX_DEPTH_M

    def __post_init__(self) -> None:
        if not 0 < self.min_depth_m < self.max_depth_m < float("inf"):
            raise InvalidInputError(
                f"expected 0 < min < max depth in metres, got {self.min_depth_m} and {self.max_depth_m}"
            )

    def score(self, depth: DepthMap, target: DepthTarget) -> DepthScores:
        """Compare one image; a relative prediction is first fitted to the target by least squares.

        Raises:
            InvalidInputError: The sizes differ, or a prediction is missing where there is a target.
        """
        if depth.size != target.size:
            raise InvalidInputError(f"expected depth of the image's size {target.size}, got {depth.size}")
        predicted = depth.values[target.row, target.column].astype(np.float64)
        missing = int(np.count_nonzero(~np.isfinite(predicted)))
        if missing:
            raise InvalidInputError(f"expected depth at every measured pixel, got none at {missing} of them")
        truth = target.depth_m.astype(np.float64)
        if depth.kind is DepthKind.AFFINE_INVARIANT_DISPARITY:
            scale, shift = fit_least_squares(predicted, 1 / truth)
            metres = 1 / np.maximum(scale * predicted + shift, 1 / self.max_depth_m)
        elif depth.kind is DepthKind.METRIC:
            metres = predicted
        else:
            scale, shift = fit_least_squares(predicted, truth)
            metres = scale * predicted + shift
        return score_depth(np.clip(metres, self.min_depth_m, self.max_depth_m), truth)


@dataclass(eq=False)
class SourceScores:
    """Scores of one source.

    Attributes:
        name: Of the source.
        frames: For each set, for each frame, its scores.
        normals: For each set the errors of its normals.
    """

    name: str
    frames: dict[str, dict[str, DepthScores]] = field(default_factory=dict)
    normals: dict[str, NormalErrors] = field(default_factory=dict)

    def mean_of_set(self, group: str) -> dict[str, float]:
        """Mean over the frames of a set."""
        scores = self.frames[group].values()
        return {name: float(np.mean([getattr(one, name) for one in scores])) for name in _METRICS}

    def mean(self) -> dict[str, float]:
        """Mean over the means of the sets: each set counts the same, whatever its size."""
        sets = [self.mean_of_set(group) for group in self.frames]
        return {name: float(np.mean([one[name] for one in sets])) for name in _METRICS} if sets else {}


@dataclass(eq=False)
class Report:
    """Scores of all sources, and what could not be scored.

    Attributes:
        sources: In the order given.
        failures: Name of each frame that could not be scored, and why.
        protocol: How depth was compared.
    """

    sources: list[SourceScores]
    failures: dict[str, str]
    protocol: Protocol

    @property
    def groups(self) -> list[str]:
        """The sets, by name."""
        return sorted({group for source in self.sources for group in (*source.frames, *source.normals)})

    def as_dict(self) -> dict[str, Any]:
        """Return everything as an object for JSON: the first source, and the others as its baselines."""
        first, *others = self.sources
        return {
            **_source_dict(first),
            "baselines": [_source_dict(source) for source in others],
            "failures": self.failures,
            "protocol": asdict(self.protocol),
        }

    def tables(self) -> list[Table]:
        """Return the tables to print: depth, and normals if anything predicts them."""
        from rich.table import Table  # noqa: PLC0415 - only where something is shown

        depth = Table(title="AbsRel/delta1, of relative depth after a least-squares fit; RMSE of the first")
        depth.add_column("set", no_wrap=True)
        depth.add_column("frames", justify="right")
        for source in self.sources:
            depth.add_column(source.name, justify="right", overflow="fold")
        depth.add_column("RMSE", justify="right", no_wrap=True)
        for group in self.groups:
            counts = [len(source.frames.get(group, ())) for source in self.sources]
            cells = [_cell(s.mean_of_set(group)) if group in s.frames else "-" for s in self.sources]
            first = self.sources[0]
            rmse = f"{first.mean_of_set(group)['rmse_m']:.2f} m" if group in first.frames else "-"
            depth.add_row(group, str(max(counts)), *cells, rmse)
        depth.add_section()
        means = [_cell(source.mean()) if source.frames else "-" for source in self.sources]
        rmse = f"{self.sources[0].mean()['rmse_m']:.2f} m" if self.sources[0].frames else "-"
        depth.add_row("mean of sets", "", *means, rmse)
        normals = self._normals_table()
        return [depth, *([normals] if normals else [])]

    def _normals_table(self) -> Table | None:
        from rich.table import Table  # noqa: PLC0415

        table = Table(title="normals on smooth surfaces of measured depth")
        for heading in ("source", "set", "mean", "median", "< 11.25 deg", "< 22.5 deg", "< 30 deg"):
            table.add_column(heading, justify="left" if heading in ("source", "set") else "right")
        for source in self.sources:
            for group, errors in sorted(source.normals.items()):
                scores = errors.scores()
                if scores:
                    shares = [f"{share:.3f}" for share in scores.within[2:]]
                    angles = [f"{angle:.1f} deg" for angle in (scores.mean_deg, scores.median_deg)]
                    table.add_row(source.name, group, *angles, *shares)
        return table if table.row_count else None


def evaluate(
    frames: Iterable[Frame],
    sources: Sequence[PredictionSource],
    protocol: Protocol | None = None,
    *,
    on_failure: Callable[[Frame, str], None] = lambda _frame, _reason: None,
) -> Report:
    """Score sources on frames.

    A frame counts only if every source could be scored on it, so that all means are over the same frames.

    Args:
        frames: Frames with measurements.
        sources: What predicts; the first is the one in question.
        protocol: How to compare.
        on_failure: Called for each frame that can't be scored, with the reason.
    """
    protocol = protocol or Protocol()
    report = Report([SourceScores(source.name) for source in sources], {}, protocol)
    for frame in frames:
        try:
            rgb = frame.read_image()
            height, width = rgb.shape[:2]
            target = read_depth_target(
                frame,
                (height, width),
                min_depth_m=protocol.min_depth_m,
                max_depth_m=protocol.max_depth_m,
            )
            predictions = [source.predict(frame, rgb) for source in sources]
            scores = [protocol.score(one.depth, target) if one.depth else None for one in predictions]
        except E2EDepthError as error:
            report.failures[frame.name] = str(error)
            on_failure(frame, str(error))
            continue
        for gathered, score in zip(report.sources, scores, strict=True):
            if score:
                gathered.frames.setdefault(frame.group, {})[frame.name] = score
        _add_normals(report.sources, predictions, frame)
    return report


def _add_normals(gathered: list[SourceScores], predictions: list[Prediction], frame: Frame) -> None:
    if not any(one.normals for one in predictions):
        return
    depth, camera = frame.read_depth(), frame.read_camera()
    if depth is None or camera is None or camera.size != depth.shape:
        return  # sparse points have no surface to measure
    target = smooth_normals(depth, camera)
    for source, prediction in zip(gathered, predictions, strict=True):
        if prediction.normals:
            both = target.valid & prediction.normals.valid
            errors = source.normals.setdefault(frame.group, NormalErrors())
            errors.add(prediction.normals.values[both], target.values[both])


def _source_dict(source: SourceScores) -> dict[str, Any]:
    normals = {group: errors.scores() for group, errors in source.normals.items()}
    return {
        "name": source.name,
        "mean": source.mean(),
        "sets": {group: source.mean_of_set(group) for group in source.frames},
        "frames": {name: asdict(one) for frames in source.frames.values() for name, one in frames.items()},
        "normals": {group: asdict(scores) for group, scores in normals.items() if scores},
    }


def _cell(mean: dict[str, float]) -> str:
    return f"{mean['abs_rel']:.3f}/{mean['delta1']:.3f}"
