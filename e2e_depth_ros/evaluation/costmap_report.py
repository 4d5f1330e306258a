"""Costmaps of frames with measured depth, for several settings of the cloud's filters."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment.confidence import confidence_from_alignment
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.targets import read_camera_of, read_depth_target
from e2e_depth_ros.evaluation.alignment import Relative, RelativeSource
from e2e_depth_ros.evaluation.cloud_variants import VARIANTS, CloudVariant, cloud_points
from e2e_depth_ros.evaluation.costmap import (
    SIZES,
    Costmap,
    CostmapCounts,
    CostmapSettings,
    compare_costmaps,
    costmap_from_points,
)
from e2e_depth_ros.evaluation.protocol_samples import PixelSamples, SamplingProtocol, draw_samples
from e2e_depth_ros.evaluation.true_ground import NoFloorError, find_true_ground

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class MappedFrame:
    """A frame's costmaps.

    Attributes:
        name: Of the frame.
        rgb: (H, W, 3).
        true: The costmap of the measured depth.
        predicted: Those of the variants.
    """

    name: str
    rgb: NDArray[np.uint8]
    true: Costmap
    predicted: Mapping[str, Costmap]


@dataclass(eq=False)
class CostmapReport:
    """Counts of all variants.

    Attributes:
        settings: Of the costmaps.
        protocol: How the frames were sampled to become metric.
        seed: Of everything random.
        counts: For each variant, for each set.
        without_floor: Names of the frames that show none, and are left out.
        failures: Name of each other frame that gave no costmap, and why.
    """

    settings: CostmapSettings
    protocol: SamplingProtocol
    seed: int
    counts: dict[str, dict[str, CostmapCounts]] = field(default_factory=dict)
    without_floor: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """The sets, by name."""
        return sorted({group for groups in self.counts.values() for group in groups})

    def scores(self, variant: str, group: str | None = None) -> dict[str, float]:
        """Return the scores of a variant, see `CostmapCounts.scores`.

        Args:
            variant: Its name.
            group: The set; None for the mean of the sets that have something to count.
        """
        if group is not None:
            return self.counts[variant][group].scores()
        parts = [one.scores() for one in self.counts[variant].values()]
        return {key: _mean([part[key] for part in parts]) for key in parts[0]}

    def as_dict(self) -> dict[str, Any]:
        """Return everything as an object for JSON; what was not counted is None."""
        return {
            "settings": asdict(self.settings),
            "protocol": str(self.protocol),
            "seed": self.seed,
            "variants": {
                variant: {
                    "mean": _for_json(self.scores(variant)),
                    "sets": {
                        group: {**asdict(counts), **_for_json(counts.scores())}
                        for group, counts in groups.items()
                    },
                }
                for variant, groups in self.counts.items()
            },
            "without_floor": self.without_floor,
            "failures": self.failures,
        }

    def tables(self) -> list[Table]:
        """Return a table for each set, and one for the mean of the sets where there are several."""
        from rich.table import Table  # noqa: PLC0415 - only where something is shown

        tables = []
        for group in [*self.groups, *([None] if len(self.groups) > 1 else [])]:
            one = next(iter(self.counts.values()))[group] if group else None
            what = f"{group}, {one.frames} frames" if one else "mean of sets"
            floor = f", {one.free * one.cell_m2:.1f} m2 of free floor" if one else ""
            title = f"{what}{floor}: {self.protocol}, seed {self.seed}"
            table = Table(title=title, box=None, pad_edge=False, collapse_padding=True)
            for heading in _HEADINGS:
                table.add_column(heading, justify="left" if heading == "cloud" else "right", no_wrap=True)
            for variant in self.counts:
                scores = self.scores(variant, group)
                sized = " ".join(_shown(scores[f"missed_{size}"], ".2f") for size in SIZES)
                table.add_row(
                    variant,
                    *(_shown(scores[key], ".3f") for key in ("precision", "recall", "f1")),
                    _shown(scores["false_per_m2"], ".2f"),
                    _shown(100 * scores["blocked"], ".1f"),
                    sized,
                    _shown(scores["nearest_error_m"], ".2f"),
                )
            tables.append(table)
        return tables


# In two lines, so that no number is cut in the 80 columns of a log.
_HEADINGS: Final = (
    "cloud",
    "preci-\nsion",
    "recall",
    "F1",
    "false\n/ m2",
    "blocked\n%",
    "missed\ns m l",
    "nearest\nm",
)


def evaluate_costmap(
    frames: Iterable[MeasuredFrame],
    source: RelativeSource,
    *,
    protocol: SamplingProtocol,
    settings: CostmapSettings | None = None,
    variants: Mapping[str, CloudVariant] = VARIANTS,
    seed: int = 0,
    on_frame: Callable[[MappedFrame], None] = lambda _frame: None,
    on_failure: Callable[[MeasuredFrame, str], None] = lambda _frame, _reason: None,
) -> CostmapReport:
    """Make frames metric by samples as the node does, and compare their costmaps with the true ones.

    The floor is found in the measured depth: a robot knows the pose of its camera, too.

    Args:
        frames: Frames with measurements and calibration.
        source: Gives relative depth.
        protocol: How to sample the measured depth.
        settings: Of the costmaps.
        variants: Ways to make a cloud, by name.
        seed: Of the samples; each frame draws its own from it and from its name.
        on_frame: Called with the costmaps of each frame.
        on_failure: Called for each frame that gives none though it has a floor, with the reason.
    """
    report = CostmapReport(settings or CostmapSettings(), protocol, seed)
    for frame in frames:
        try:
            mapped = _mapped(frame, source, report, variants)
        except NoFloorError:
            report.without_floor.append(frame.name)
            continue
        except E2EDepthError as error:
            report.failures[frame.name] = str(error)
            on_failure(frame, str(error))
            continue
        for name, costmap in mapped.predicted.items():
            groups = report.counts.setdefault(name, {})
            counts = compare_costmaps(costmap, mapped.true, report.settings)
            groups[frame.group] = groups.get(frame.group, CostmapCounts()) + counts
        on_frame(mapped)
    return report


def _mapped(
    frame: MeasuredFrame, source: RelativeSource, report: CostmapReport, variants: Mapping[str, CloudVariant]
) -> MappedFrame:
    rgb = frame.read_image()
    camera = read_camera_of(frame, (rgb.shape[0], rgb.shape[1]))
    target = read_depth_target(frame, camera.size)
    truth_m = np.full(camera.size, np.nan, dtype=np.float32)
    truth_m[target.row, target.column] = target.depth_m
    truth = DepthMap(truth_m, np.isfinite(truth_m), DepthKind.METRIC).points(camera)
    pose = frame.read_pose()
    ground = find_true_ground(
        truth[np.isfinite(truth[..., 2])], down=None if pose is None else -pose[2, :3], seed=report.seed
    )
    rng = np.random.default_rng([report.seed, zlib.crc32(frame.name.encode())])
    samples = draw_samples(truth_m, rgb, camera.fx, report.protocol, rng)
    relative = source(rgb)
    metric = {
        correction: _metric(relative, samples, rgb, frame.name, correction=correction)
        for correction in {variant.correction for variant in variants.values()}
    }
    predicted = {
        name: costmap_from_points(
            cloud_points(*metric[variant.correction], camera, ground, variant), ground, report.settings
        )
        for name, variant in variants.items()
    }
    return MappedFrame(frame.name, rgb, costmap_from_points(truth, ground, report.settings), predicted)


def _metric(
    relative: Relative, samples: PixelSamples, rgb: NDArray[np.uint8], name: str, *, correction: bool
) -> tuple[DepthMap, NDArray[np.float32]]:
    """Metric depth of a frame as the node makes it, and its confidence."""
    alignment = align(
        relative.depth, samples.columns, samples.rows, samples.depth_m, image=rgb, correction=correction
    )
    if relative.outlines is not None:
        alignment = alignment.following(relative.outlines)
    if alignment.depth is None:
        raise InvalidInputError(f"expected metric depth of {name}, got none: {alignment.reason}")
    return alignment.depth, confidence_from_alignment(alignment)


def _mean(numbers: list[float]) -> float:
    known = [number for number in numbers if np.isfinite(number)]
    return float(np.mean(known)) if known else float("nan")


def _for_json(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in scores.items()}


def _shown(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"
