"""`e2e-depth evaluate --costmap`: what a robot that drives by the cloud gets of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.frame_arguments import topics_given

if TYPE_CHECKING:
    from e2e_depth_ros.cli.pictures import Rgb
    from e2e_depth_ros.evaluation.costmap import CostmapSettings
    from e2e_depth_ros.evaluation.costmap_report import MappedFrame

_FAILED = 2
_MOST_DRAWN = 8


def add_costmap_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --costmap and what belongs to it."""
    group = parser.add_argument_group(
        "costmap",
        "depth becomes metric by --samples, and its points mark a costmap as Nav2 marks it. The measured "
        "depth gives the true one. Frames without a floor in view are left out",
    )
    group.add_argument(
        "--costmap",
        action="store_true",
        help="score the costmaps of the cloud by several filters: precision and recall of occupied cells, "
        "false obstacles on free floor, missed obstacles by size, distance of the nearest one",
    )
    for name, help_text in (
        ("min-obstacle-height", "above the ground (default: 0.2)"),
        ("max-obstacle-height", "above the ground (default: 2)"),
        ("obstacle-max-range", "from the camera (default: 8)"),
        ("resolution", "of a cell (default: 0.05)"),
        ("tolerance", "how far a cell may be off and still be right (default: 0.2)"),
    ):
        group.add_argument(f"--{name}", type=float, metavar="M", help=f"metres, {help_text}")
    group.add_argument(
        "--maps", type=Path, metavar="FILE", help=f"draw the costmaps of the first {_MOST_DRAWN} frames"
    )


def run_costmap_evaluation(args: argparse.Namespace) -> int:
    """Evaluate, and print the tables.

    Returns:
        0, or 2 if a frame with a floor could not be scored.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or no frame gave a costmap.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.evaluate_alignment import relative_source, write_json  # noqa: PLC0415
    from e2e_depth_ros.cli.measured_frames import find_measured_frames  # noqa: PLC0415
    from e2e_depth_ros.cli.pictures import check_picture_path  # noqa: PLC0415
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.costmap_report import evaluate_costmap  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocol_samples import SamplingProtocol  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = _settings(args)
    protocol = SamplingProtocol.parse(args.samples, outliers=args.outliers, occlusion=args.occlusion)
    if args.maps is not None:
        check_picture_path(args.maps)
    frames = find_measured_frames(args.frames, console, topics=topics_given(args))
    rows: list[Rgb] = []

    def draw(frame: MappedFrame) -> None:
        if args.maps and len(rows) < _MOST_DRAWN:
            rows.append(_row(frame, settings))

    report = evaluate_costmap(
        track(frames, description="costmap", console=console),
        relative_source(args),
        protocol=protocol,
        settings=settings,
        seed=args.seed,
        on_frame=draw,
        on_failure=lambda frame, reason: console.print(
            f"e2e-depth evaluate: {frame.name}: {reason}", markup=False
        ),
    )
    if not report.groups:
        raise InvalidInputError(
            f"expected a frame with a floor in view, found {len(report.without_floor)} without "
            f"and {len(report.failures)} that could not be scored"
        )
    if args.json:
        write_json(args.json, report.as_dict())
    if args.maps:
        _write_maps(args.maps, rows)
    for table in report.tables():
        Console().print(table)
    if report.without_floor:
        console.print(f"{len(report.without_floor)} of {len(frames)} frames show no floor and are left out")
    if report.failures:
        console.print(f"{len(report.failures)} could not be scored")
    return _FAILED if report.failures else 0


def _settings(args: argparse.Namespace) -> CostmapSettings:
    from dataclasses import fields  # noqa: PLC0415

    from e2e_depth_ros.evaluation.costmap import CostmapSettings  # noqa: PLC0415

    given: dict[str, Any] = {field.name: getattr(args, field.name) for field in fields(CostmapSettings)}
    return CostmapSettings(**{name: value for name, value in given.items() if value is not None})


def _row(frame: MappedFrame, settings: CostmapSettings) -> Rgb:
    from e2e_depth_ros.cli.costmap_pictures import predicted_picture, true_picture  # noqa: PLC0415
    from e2e_depth_ros.cli.pictures import labelled_row  # noqa: PLC0415
    from e2e_depth_ros.evaluation.cloud_variants import DEFAULTS, NAVIGATION  # noqa: PLC0415

    panels = [(frame.name, frame.rgb), ("true", true_picture(frame.true))]
    panels += [
        (name, predicted_picture(frame.predicted[name], frame.true, settings))
        for name in (DEFAULTS, NAVIGATION)
    ]
    return labelled_row(panels)


def _write_maps(path: Path, rows: list[Rgb]) -> None:
    from e2e_depth_ros.cli.pictures import stacked, write_picture  # noqa: PLC0415
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    try:
        write_picture(path, stacked(rows))
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error}") from error
