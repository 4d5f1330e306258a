"""Scores of metric depth from sparse samples, as tables and as an object for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from e2e_depth_ros.core.edge_metrics import EdgeMatches
from e2e_depth_ros.core.metrics import DepthScores
from e2e_depth_ros.evaluation.protocol_samples import SamplingProtocol

if TYPE_CHECKING:
    from rich.table import Table

FLOOR: Final = "affine floor"
"""What the best scale and shift for the whole image is called."""

_METRICS = ("abs_rel", "delta1", "rmse_m")
_OUTDOORS_M = 8.0  # median true depth of a set's frames: rooms 1 to 4 m, streets 10 m and more
_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "AbsRel x100": ("abs_rel", lambda value: f"{100 * value:.2f}"),
    "p95": ("abs_rel_p95", lambda value: f"{100 * value:.2f}"),
    "delta1": ("delta1", "{:.4f}".format),
    "edge F1": ("edge_f1", "{:.2f}".format),
    "in 2 std": ("within", "{:.0%}".format),
    "ms": ("duration_ms", "{:.1f}".format),
    "lost": ("lost", lambda value: f"{value:.0%}" if value else ""),
}


@dataclass(frozen=True)
class AlignmentScore:
    """One method on one frame.

    Attributes:
        scores: Its errors; None where it gave no depth at all.
        duration_s: How long it took.
        edges: Of its metric depth against the true ones.
        within: Share of the pixels whose log depth is within two of its standard deviations of the truth; NaN
            if it tells none.
    """

    scores: DepthScores | None
    duration_s: float
    edges: EdgeMatches = field(default_factory=EdgeMatches)
    within: float = float("nan")


@dataclass(eq=False)
class AlignmentReport:
    """Scores of all methods.

    Attributes:
        protocol: How the frames were sampled.
        relative: Where relative depth came from.
        seed: Of everything random.
        scores: For each method, for each set, for each frame.
        depth_m: For each set the median true depth of each frame.
        failures: Name of each frame that could not be scored, and why.
    """

    protocol: SamplingProtocol
    relative: str
    seed: int
    scores: dict[str, dict[str, dict[str, AlignmentScore]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    depth_m: dict[str, list[float]] = field(default_factory=dict)

    def place(self, group: str) -> str:
        """Tell whether a set is indoors or outdoors, by the depth that its frames show."""
        return "outdoors" if np.median(self.depth_m[group]) > _OUTDOORS_M else "indoors"

    @property
    def groups(self) -> list[str]:
        """The sets, by name."""
        return sorted({group for groups in self.scores.values() for group in groups})

    def summary(self, method: str, where: str) -> dict[str, float]:
        """Mean scores of a method.

        A frame without depth counts with AbsRel 1 and delta1 0, and is counted in `lost`.

        Args:
            method: Its name.
            where: A set, for the mean over its frames; or "indoors" or "outdoors", for that over their sets.

        Returns:
            abs_rel, delta1, rmse_m, abs_rel_p95 (95th percentile over frames), edge_f1 (all frames together;
            NaN without edges), within (mean share within two deviations), lost (share of frames without
            depth) and duration_ms (median).
        """
        if where not in self.groups:
            parts = [self.summary(method, one) for one in self.groups if self.place(one) == where]
            return {key: _mean([part[key] for part in parts]) for key in parts[0]}
        frames = list(self.scores[method][where].values())
        errors = [frame.scores.abs_rel if frame.scores else 1.0 for frame in frames]
        edges = sum((frame.edges for frame in frames), EdgeMatches()).scores()
        return {
            "abs_rel": float(np.mean(errors)),
            "delta1": float(np.mean([frame.scores.delta1 if frame.scores else 0.0 for frame in frames])),
            "rmse_m": _mean([frame.scores.rmse_m for frame in frames if frame.scores]),
            "abs_rel_p95": float(np.percentile(errors, 95)),
            "edge_f1": edges.f1 if edges else float("nan"),
            "within": _mean([frame.within for frame in frames]),
            "lost": float(np.mean([frame.scores is None for frame in frames])),
            "duration_ms": 1e3 * float(np.median([frame.duration_s for frame in frames])),
        }

    @property
    def places(self) -> list[str]:
        """Which of "indoors" and "outdoors" there are."""
        return sorted({self.place(group) for group in self.groups})

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
                    "mean": {place: _finite(self.summary(method, place)) for place in self.places},
                    "sets": {group: _finite(self.summary(method, group)) for group in groups},
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
        from rich import box  # noqa: PLC0415 - only where something is shown
        from rich.table import Table  # noqa: PLC0415

        tables = []
        for where in [*self.groups, *self.places]:
            count = len(next(iter(self.scores.values())).get(where, ()))
            title = f"{where}, {count} frames" if count else f"mean of sets {where}"
            table = Table(
                box=box.SIMPLE, title=f"{title}: {self.protocol}, {self.relative}, seed {self.seed}"
            )
            for heading in ("method", *_COLUMNS):
                table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
            for method in self.scores:
                one = self.summary(method, where)
                cells = [
                    "" if np.isnan(one[key]) or (method == FLOOR and key == "duration_ms") else form(one[key])
                    for key, form in _COLUMNS.values()
                ]
                table.add_row(method, *cells)
            tables.append(table)
        return tables


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are known."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _finite(summary: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN."""
    return {key: value if np.isfinite(value) else None for key, value in summary.items()}
