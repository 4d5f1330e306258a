"""How predicted depth flickers while a camera moves slowly through a scene that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.core.frames import MeasuredFrame
from e2e_depth_ros.core.pixels import are_inside, nearest_pixels
from e2e_depth_ros.core.targets import DepthTarget, read_camera_of, read_depth_target
from e2e_depth_ros.evaluation.comparison import Protocol
from e2e_depth_ros.evaluation.sources import PredictionSource

if TYPE_CHECKING:
    from rich.table import Table

SAME_SURFACE: Final = 0.05
"""Relative difference of depth up to which a pixel is taken to show the point that was moved there."""

BEYOND: Final = 2.0
"""Predictions count as they are up to this factor beyond the true depth of a sequence."""


@dataclass(frozen=True, eq=False)
class PosedDepth:
    """True depth, and where it was seen from.

    Attributes:
        depth_m: (H, W), metres; NaN where unknown.
        camera: The raw camera.
        world_from_camera: (4, 4), pose of its optical frame.
    """

    depth_m: NDArray[np.float32]
    camera: Camera
    world_from_camera: NDArray[np.float64]


def corresponding_pixels(first: PosedDepth, second: PosedDepth) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the pixels of two images that show the same surface points.

    Each point of the first image is moved to the second by depth and poses. It counts where the depth seen
    there is its own within 5 %: what is hidden in one of them is left out.

    Returns:
        (N,) and (N,): flat indices into the first and the second image, the nearest pixels.
    """
    x, y = first.camera.normalized_grid
    with np.errstate(invalid="ignore"):
        known = np.flatnonzero(first.depth_m > 0)
    z = first.depth_m.ravel()[known].astype(np.float64)
    x, y = (np.broadcast_to(grid, first.depth_m.shape).ravel()[known] for grid in (x, y))
    second_from_first = np.linalg.inv(second.world_from_camera) @ first.world_from_camera
    points = np.stack([x * z, y * z, z], axis=1) @ second_from_first[:3, :3].T + second_from_first[:3, 3]
    u, v = second.camera.project(points)
    inside = are_inside(u, v, second.depth_m.shape)  # no point behind the camera is
    known, points = known[inside], points[inside]
    rows, columns = nearest_pixels(u[inside], v[inside], second.depth_m.shape)
    moved = rows * second.depth_m.shape[1] + columns
    with np.errstate(invalid="ignore"):
        same = np.abs(second.depth_m.ravel()[moved] - points[:, 2]) < SAME_SURFACE * points[:, 2]
    return known[same], moved[same]


def flicker_between(
    first_m: NDArray[Any], second_m: NDArray[Any], first: PosedDepth, second: PosedDepth
) -> float | None:
    """Measure by how much depth changes at the same surface points, beyond the true change.

    The change of ln(prediction / truth) from one image to the next, its absolute mean over the points that
    both show. It is 0 for an error that sticks to the surface, however large, and s for a prediction whose
    scale jumps by e^s. Akin to the temporal alignment error of video depth (Chen et al., arXiv 2501.12375).

    Args:
        first_m: (H, W), metres: prediction of the first image.
        second_m: (H, W), metres: of the second; by the same scale and shift.
        first: Truth of the first image.
        second: Truth of the second.

    Returns:
        A share: 0.01 is a flicker of one percent. None where no point is in both.
    """
    here, there = corresponding_pixels(first, second)
    if not len(here):
        return None
    errors = [
        np.log(metres.ravel()[pixels] / truth.depth_m.ravel()[pixels])
        for metres, truth, pixels in ((first_m, first, here), (second_m, second, there))
    ]
    return float(np.mean(np.abs(errors[1] - errors[0])))


@dataclass(frozen=True)
class SequenceFlicker:
    """Flicker along one sequence.

    Attributes:
        flicker: Mean over its pairs of consecutive images, a share.
        pairs: How many pairs.
    """

    flicker: float
    pairs: int


@dataclass(eq=False)
class FlickerReport:
    """Flicker of all sources.

    Attributes:
        scores: For each source, for each set, for each sequence.
        failures: Name of each sequence that could not be scored, and why.
    """

    scores: dict[str, dict[str, dict[str, SequenceFlicker]]]
    failures: dict[str, str] = field(default_factory=dict)

    def mean(self, source: str, group: str | None = None) -> float:
        """Mean over the sequences of a set, or over all sequences; NaN of none."""
        groups = self.scores[source]
        chosen = [groups[group]] if group else list(groups.values())
        values = [one.flicker for sequences in chosen for one in sequences.values()]
        return float(np.mean(values)) if values else float("nan")

    @property
    def groups(self) -> list[str]:
        """The sets, by name."""
        return sorted({group for groups in self.scores.values() for group in groups})

    def as_dict(self) -> dict[str, Any]:
        """Return everything as an object for JSON."""
        return {
            "flicker": {
                source: {
                    "mean": self.mean(source),
                    "sets": {group: self.mean(source, group) for group in groups},
                    "sequences": {
                        name: asdict(one) for sequences in groups.values() for name, one in sequences.items()
                    },
                }
                for source, groups in self.scores.items()
            },
            "failures": self.failures,
        }

    def table(self) -> Table:
        """Return the table to print."""
        from rich.table import Table  # noqa: PLC0415 - only where something is shown

        table = Table(title="flicker at the same surface points, with one scale and shift a sequence")
        for heading in ("set", "sequences", *self.scores):
            table.add_column(heading, justify="left" if heading == "set" else "right")
        first = next(iter(self.scores.values()))
        for group in self.groups:
            cells = [f"{100 * self.mean(source, group):.2f} %" for source in self.scores]
            table.add_row(group, str(len(first[group])), *cells)
        table.add_section()
        means = [f"{100 * self.mean(source):.2f} %" for source in self.scores]
        table.add_row("mean of sequences", str(sum(map(len, first.values()))), *means)
        return table


def evaluate_flicker(
    frames: Iterable[MeasuredFrame],
    sources: Sequence[PredictionSource],
    protocol: Protocol | None = None,
    *,
    on_failure: Callable[[str, str], None] = lambda _sequence, _reason: None,
) -> FlickerReport:
    """Measure the flicker of sources along sequences.

    Relative predictions are brought to metres by one scale and one shift for the whole sequence, so that what
    jumps from image to image is not fitted away; then they are moved to within a factor of 2 of the range of
    its true depth.

    Args:
        frames: With dense depth, camera and pose; those of a sequence in a row.
        sources: What predicts; the first is the one in question.
        protocol: The range of depth.
        on_failure: Called for each sequence that can't be scored, with the reason.
    """
    protocol = protocol or Protocol()
    report = FlickerReport({source.name: {} for source in sources})
    for name, sequence in groupby(frames, key=lambda frame: frame.sequence):
        try:
            group, found = _sequence(list(sequence), sources, protocol)
        except E2EDepthError as error:
            report.failures[name] = str(error)
            on_failure(name, str(error))
            continue
        for source, one in zip(sources, found, strict=True):
            report.scores[source.name].setdefault(group, {})[name] = one
    return report


def _sequence(
    frames: list[MeasuredFrame], sources: Sequence[PredictionSource], protocol: Protocol
) -> tuple[str, list[SequenceFlicker]]:
    if len(frames) < 2:
        raise InvalidInputError(f"expected at least two frames of a sequence, got {len(frames)}")
    targets: list[DepthTarget] = []
    truths: list[PosedDepth] = []
    predictions: list[list[Any]] = [[] for _ in sources]
    for frame in frames:
        rgb = frame.read_image()
        height, width = rgb.shape[:2]
        target = read_depth_target(
            frame, (height, width), min_depth_m=protocol.min_depth_m, max_depth_m=protocol.max_depth_m
        )
        camera = read_camera_of(frame, (height, width))
        depth, pose = target.dense(), frame.read_pose()
        if depth is None or pose is None:
            words = "points alone" if depth is None else "no pose"
            raise InvalidInputError(f"expected dense depth and a pose of {frame.name}, found {words}")
        targets.append(target)
        truths.append(PosedDepth(depth, camera, pose))
        for gathered, source in zip(predictions, sources, strict=True):
            predicted = source.predict(frame, rgb).depth
            if predicted is None:
                raise InvalidInputError(f"expected depth of {frame.name} from {source.name}, got none")
            gathered.append(predicted)
    near_m = min(float(target.depth_m.min()) for target in targets) / BEYOND
    far_m = max(float(target.depth_m.max()) for target in targets) * BEYOND
    found = []
    for gathered in predictions:
        # Where a fit goes to zero or far beyond, its logarithm would drown all the rest.
        metres = [np.clip(one, near_m, far_m) for one in protocol.metres(gathered, targets)]
        pairs = [
            flicker_between(first_m, second_m, first, second)
            for (first_m, second_m), (first, second) in zip(pairwise(metres), pairwise(truths), strict=True)
        ]
        shared = [pair for pair in pairs if pair is not None]
        if not shared:
            raise InvalidInputError(
                f"expected frames that show the same surfaces, got none in {frames[0].name}"
            )
        found.append(SequenceFlicker(float(np.mean(shared)), len(shared)))
    return frames[0].group, found
