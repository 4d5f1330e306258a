"""`e2e-depth evaluate`: how far predictions are from measured depth, beside trivial baselines."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e_depth_ros.cli.evaluate_alignment import add_alignment_arguments, run_alignment_evaluation
from e2e_depth_ros.cli.evaluate_protocol import add_protocol_arguments, run_protocol_evaluation
from e2e_depth_ros.cli.model_arguments import add_model_arguments, load_estimator
from e2e_depth_ros.cli.saved_predictions import saved_predictions

if TYPE_CHECKING:
    from e2e_depth_ros.evaluation.sources import PredictionSource

_FAILED = 2


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="AbsRel, delta1, ... against measured depth",
        description="Compare predictions with the measured depth of frame folders (image, camera_info.yaml, "
        "depth.npz or points.npz). Relative depth is first fitted to the measurements, image by image, by "
        "least squares in scale and shift; normals are compared on smooth surfaces of dense depth.",
    )
    parser.add_argument(
        "frames", nargs="+", type=Path, metavar="FRAMES", help="frame folders, or folders of them"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="score the output folder of predict instead of a model",
    )
    parser.add_argument(
        "--metric", action="store_true", help="the saved predictions are metres: compare them without a fit"
    )
    parser.add_argument("--min-depth", type=float, metavar="M", help="metres (default: 0.001)")
    parser.add_argument("--max-depth", type=float, metavar="M", help="metres (default: 80)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all scores, of each frame too")
    add_alignment_arguments(parser)
    add_protocol_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print the tables.

    Returns:
        0, or 2 if a frame could not be scored.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or no frame could be scored.
    """
    if args.protocol:
        return run_protocol_evaluation(args)
    if args.align:
        return run_alignment_evaluation(args)
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.comparison import Protocol  # noqa: PLC0415
    from e2e_depth_ros.evaluation.frames import find_frames  # noqa: PLC0415
    from e2e_depth_ros.evaluation.report import evaluate  # noqa: PLC0415
    from e2e_depth_ros.evaluation.sources import BASELINES  # noqa: PLC0415
    from e2e_depth_ros.evaluation.targets import MAX_DEPTH_M, MIN_DEPTH_M  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    low = MIN_DEPTH_M if args.min_depth is None else args.min_depth
    high = MAX_DEPTH_M if args.max_depth is None else args.max_depth
    protocol = Protocol(low, high)
    found = find_frames(args.frames, exclude=args.predictions)
    frames = [frame for frame in found if frame.folder]
    if not frames:
        raise InvalidInputError(f"expected frame folders with measurements, found {len(found)} plain images")
    if len(frames) < len(found):
        console.print(f"{len(found) - len(frames)} plain images without measurements are left out")
    report = evaluate(
        track(frames, description="evaluate", console=console),
        [_source(args), *BASELINES],
        protocol,
        on_failure=lambda frame, reason: console.print(
            f"e2e-depth evaluate: {frame.name}: {reason}", markup=False
        ),
    )
    if not report.groups:
        raise InvalidInputError(f"expected a frame that can be scored, but all {len(frames)} failed")
    if args.json:
        try:
            args.json.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InvalidInputError(f"cannot write {args.json}: {error.strerror}") from error
    for table in report.tables():
        Console().print(table)
    if report.failures:
        console.print(f"{len(report.failures)} of {len(frames)} frames could not be scored")
    return _FAILED if report.failures else 0


def _source(args: argparse.Namespace) -> PredictionSource:
    from e2e_depth_ros.evaluation.sources import EstimatorSource  # noqa: PLC0415

    return saved_predictions(args) or EstimatorSource(load_estimator(args))
