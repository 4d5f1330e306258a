"""Scores of several sources on sets of frames: gathered, averaged, shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.edge_metrics import EdgeMatches
from e2e_depth_ros.core.errors import E2EDepthError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.image_size import check_image_size
from e2e_depth_ros.core.metrics import DepthScores, NormalErrors
from e2e_depth_ros.core.targets import read_depth_target, smooth_normals
from e2e_depth_ros.evaluation.comparison import Protocol
from e2e_depth_ros.evaluation.sources import Prediction, PredictionSource

if TYPE_CHECKING:
    from rich.table import Table

_METRICS = ("abs_rel", "delta1", "delta2", "delta3", "rmse_m", "log10")


@dataclass(eq=False)
class SourceScores:
    """Scores of one source.

    Attributes:
        name: Of the source.
        frames: For each set, for each frame, its scores.
        edges: For each set with dense depth how the edges match, pooled over its frames.
        normals: For each set the errors of its normals, pooled over its frames.
    """

    name: str
    frames: dict[str, dict[str, DepthScores]] = field(default_factory=dict)
    edges: dict[str, EdgeMatches] = field(default_factory=dict)
    normals: dict[str, NormalErrors] = field(default_factory=dict)

    def mean_of_set(self, group: str) -> dict[str, float]:
        """Mean over the frames of a set; with `edge_f1` where it has dense depth with edges."""
        edges = self.edges.get(group, EdgeMatches()).scores()
        means = _mean_of_frames(self.frames[group].values())
        return means | ({"edge_f1": edges.f1} if edges else {})

    def mean(self) -> dict[str, float]:
        """Mean over the means of the sets: each set counts the same, whatever its size."""
        sets = [self.mean_of_set(group) for group in self.frames]
        names = sorted({name for one in sets for name in one})
        return {name: float(np.mean([one[name] for one in sets if name in one])) for name in names}

    def mean_of_frames(self) -> dict[str, float]:
        """Mean over all frames: each frame counts the same; `edge_f1` is of all edges together."""
        frames = [one for group in self.frames.values() for one in group.values()]
        edges = sum(self.edges.values(), EdgeMatches()).scores()
        return (_mean_of_frames(frames) if frames else {}) | ({"edge_f1": edges.f1} if edges else {})

    def all_normals(self) -> NormalErrors:
        """Errors of normals, the pixels of all sets together."""
        errors = NormalErrors()
        for one in self.normals.values():
            errors.merge(one)
        return errors


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
        """Return the tables to print: depth, its edges, and normals if anything predicts them."""
        from rich.table import Table  # noqa: PLC0415 - only where something is shown

        depth = Table(title="AbsRel/delta1, of relative depth after a least-squares fit")
        depth.add_column("set", no_wrap=True)
        depth.add_column("frames", justify="right")
        for source in self.sources:
            depth.add_column(source.name, justify="right", overflow="fold")
        for group in self.groups:
            counts = [len(source.frames.get(group, ())) for source in self.sources]
            means = [source.mean_of_set(group) if group in source.frames else {} for source in self.sources]
            depth.add_row(group, str(max(counts)), *map(_cell, means))
        depth.add_section()
        depth.add_row("mean of sets", "", *(_cell(source.mean()) for source in self.sources))
        depth.add_row("mean of frames", "", *(_cell(source.mean_of_frames()) for source in self.sources))
        return [depth, *(table for table in (self._edges_table(), self._normals_table()) if table)]

    def _edges_table(self) -> Table | None:
        """RMSE and depth edges of the source in question; trivial baselines have no edges."""
        from rich.table import Table  # noqa: PLC0415

        first = self.sources[0]
        table = Table(title=f"{first.name}: RMSE, and depth edges where depth is dense")
        for heading in ("set", "RMSE", "edge F1", "precision", "recall"):
            table.add_column(heading, justify="left" if heading == "set" else "right")
        for group in sorted(first.frames):
            edges = first.edges.get(group, EdgeMatches()).scores()
            shares = (edges.f1, edges.precision, edges.recall) if edges else ()
            rmse = f"{first.mean_of_set(group)['rmse_m']:.2f} m"
            table.add_row(group, rmse, *([f"{share:.3f}" for share in shares] or "---"))
        table.add_section()
        for name, mean in (("mean of sets", first.mean()), ("mean of frames", first.mean_of_frames())):
            if mean:
                f1 = f"{mean['edge_f1']:.3f}" if "edge_f1" in mean else "-"
                table.add_row(name, f"{mean['rmse_m']:.2f} m", f1)
        return table if table.row_count else None

    def _normals_table(self) -> Table | None:
        from rich.table import Table  # noqa: PLC0415

        table = Table(title="normals on smooth surfaces of measured depth")
        for heading in ("source", "set", "mean", "median", "< 11.25 deg", "< 22.5 deg", "< 30 deg"):
            table.add_column(heading, justify="left" if heading in ("source", "set") else "right")
        for source in self.sources:
            parts = sorted(source.normals.items())
            for group, errors in [*parts, ("all pixels", source.all_normals())] if len(parts) > 1 else parts:
                scores = errors.scores()
                if scores:
                    shares = [f"{share:.3f}" for share in scores.within[2:]]
                    angles = [f"{angle:.1f} deg" for angle in (scores.mean_deg, scores.median_deg)]
                    table.add_row(source.name, group, *angles, *shares)
        return table if table.row_count else None


def evaluate(
    frames: Iterable[MeasuredFrame],
    sources: Sequence[PredictionSource],
    protocol: Protocol | None = None,
    *,
    on_failure: Callable[[MeasuredFrame, str], None] = lambda _frame, _reason: None,
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
            check_image_size(rgb.shape)
            height, width = rgb.shape[:2]
            target = read_depth_target(
                frame,
                (height, width),
                min_depth_m=protocol.min_depth_m,
                max_depth_m=protocol.max_depth_m,
            )
            predictions = [source.predict(frame, rgb) for source in sources]
            scores = [protocol.score(one.depth, target) if one.depth else None for one in predictions]
            normals = _normals_pairs(predictions, frame)
        except E2EDepthError as error:
            report.failures[frame.name] = str(error)
            on_failure(frame, str(error))
            continue
        for gathered, score in zip(report.sources, scores, strict=True):
            if score:
                gathered.frames.setdefault(frame.group, {})[frame.name], edges = score
                if edges:
                    gathered.edges[frame.group] = gathered.edges.get(frame.group, EdgeMatches()) + edges
        for gathered, pair in zip(report.sources, normals, strict=True):
            if pair:
                gathered.normals.setdefault(frame.group, NormalErrors()).add(*pair)
    return report


def _normals_pairs(
    predictions: Sequence[Prediction], frame: MeasuredFrame
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]] | None]:
    """Return the predicted and the true normals (N, 3) of each prediction; None where there are none."""
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]] | None] = [None] * len(predictions)
    if not any(one.normals for one in predictions):
        return pairs
    depth, camera = frame.read_depth(), frame.read_camera()
    if depth is None or camera is None:
        return pairs  # sparse points have no surface to measure
    target = smooth_normals(depth, camera)
    for index, prediction in enumerate(predictions):
        if prediction.normals:
            both = target.valid & prediction.normals.valid
            pairs[index] = prediction.normals.values[both], target.values[both]
    return pairs


def _source_dict(source: SourceScores) -> dict[str, Any]:
    normals = {group: errors.scores() for group, errors in source.normals.items()}
    edges = {group: matches.scores() for group, matches in source.edges.items()}
    return {
        "name": source.name,
        "mean": source.mean(),
        "mean_of_frames": source.mean_of_frames(),
        "sets": {group: source.mean_of_set(group) for group in source.frames},
        "frames": {name: asdict(one) for frames in source.frames.values() for name, one in frames.items()},
        "edges": {group: asdict(scores) for group, scores in edges.items() if scores},
        "all_normals": asdict(everything) if (everything := source.all_normals().scores()) else None,
        "normals": {group: asdict(scores) for group, scores in normals.items() if scores},
    }


def _mean_of_frames(scores: Collection[DepthScores]) -> dict[str, float]:
    return {name: float(np.mean([getattr(one, name) for one in scores])) for name in _METRICS}


def _cell(mean: dict[str, float]) -> str:
    return f"{mean['abs_rel']:.3f}/{mean['delta1']:.3f}" if mean else "-"
