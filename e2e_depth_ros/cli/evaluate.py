"""`e2e-depth evaluate`: how far predictions are from measured depth, beside trivial baselines."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from e2e_depth_ros.cli.evaluate_alignment import add_alignment_arguments, run_alignment_evaluation
from e2e_depth_ros.cli.evaluate_costmap import add_costmap_arguments, run_costmap_evaluation
from e2e_depth_ros.cli.evaluate_protocol import add_protocol_arguments, run_protocol_evaluation
from e2e_depth_ros.cli.frame_arguments import TOPICS, add_measured_frames_arguments, topics_given
from e2e_depth_ros.cli.model_arguments import (
    DEFAULT_MODEL,
    add_model_arguments,
    load_estimator,
    model_options,
    options_given,
)
from e2e_depth_ros.cli.saved_predictions import saved_predictions

if TYPE_CHECKING:
    from rich.table import Table

    from e2e_depth_ros.core.frames import MeasuredFrame
    from e2e_depth_ros.evaluation.sources import PredictionSource

_FAILED = 2
_PREDICTIONS: Final = ""  # the evaluation that nothing asks for
_HEEDED_BY: Final = (
    (("predictions", "metric"), (_PREDICTIONS, "flicker", "protocol")),
    (("crops",), (_PREDICTIONS,)),
    (("min_depth", "max_depth"), (_PREDICTIONS, "flicker", "protocol")),  # a protocol says more of these
    (("samples", "outliers", "occlusion", "seed"), ("align", "costmap")),
    (("relative",), ("align",)),
    (
        (
            "maps",
            "min_obstacle_height",
            "max_obstacle_height",
            "obstacle_max_range",
            "resolution",
            "tolerance",
        ),
        ("costmap",),
    ),
    (("output",), ("protocol",)),
    ((*TOPICS,), (_PREDICTIONS, "flicker", "align", "costmap")),
)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="AbsRel, delta1, ... against measured depth",
        description="Compare predictions with the measured depth of frame folders (image, camera_info.yaml, "
        "depth.npz or points.npz) or the truth of renders (shards). Relative depth is first fitted to the "
        "measurements, image by image, by least squares in scale and shift; normals are compared on smooth "
        "surfaces of dense depth, and so are its edges.",
    )
    add_measured_frames_arguments(parser)
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
    parser.add_argument(
        "--crops",
        type=int,
        metavar="N",
        help="score N random crops of each frame, the same ones every time, instead of the frame: of a few "
        "frames chance is larger than what two models differ by",
    )
    parser.add_argument(
        "--flicker",
        action="store_true",
        help="frames (with pose.npz) or views of a scene are of one camera that moves slowly: measure how "
        "depth changes from each to the next at the same surface points, beyond the true change",
    )
    add_alignment_arguments(parser)
    add_costmap_arguments(parser)
    add_protocol_arguments(parser)
    add_model_arguments(parser)
    parser.set_defaults(model=None, parser=parser)  # to tell what was given


def _check_choice(args: argparse.Namespace) -> None:
    """Refuse what would be passed over: there is one evaluation at a time.

    Raises:
        InvalidInputError: Several were asked for, or an option of one that was not.
    """
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    asked = {"--protocol": args.protocol, "--costmap": args.costmap, "--align": args.align}
    chosen = [name for name, value in {**asked, "--flicker": args.flicker}.items() if value]
    if len(chosen) > 1:
        raise InvalidInputError(f"expected one evaluation at a time, got {' and '.join(chosen)}")
    evaluation = chosen[0].removeprefix("--") if chosen else _PREDICTIONS
    for options, heeded_by in _HEEDED_BY:
        if evaluation in heeded_by:
            continue
        named = " and ".join(options_given(args, options))
        if named and _PREDICTIONS in heeded_by:
            raise InvalidInputError(f"expected no {named} with --{evaluation}, which passes over them")
        if named:
            raise InvalidInputError(f"expected {' or '.join(f'--{one}' for one in heeded_by)} with {named}")
    _check_model(args, options_given(args, model_options()))
    if args.crops is not None and args.predictions is not None:
        raise InvalidInputError("expected --crops with a model: there are no --predictions of crops")
    if args.seed < 0:
        raise InvalidInputError(f"expected a seed of 0 or more, got {args.seed}")


def _check_model(args: argparse.Namespace, given: list[str]) -> None:
    """Refuse options of a model where none is run.

    Raises:
        InvalidInputError: There are some.
    """
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    named = " and ".join(given)
    if named and args.align and args.relative != "model":
        raise InvalidInputError(f"expected --relative model with {named}: --align runs none by itself")
    if named and args.predictions is not None:
        raise InvalidInputError(f"expected no {named} with --predictions, which were made already")


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print the tables.

    Returns:
        0, or 2 if a frame could not be scored.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or no frame could be scored.
    """
    from e2e_depth_ros.core.user_file import check_writable  # noqa: PLC0415 - imports wait until needed

    if args.json is not None:
        check_writable(args.json)
    _check_choice(args)
    args.model = DEFAULT_MODEL if args.model is None else args.model
    if args.protocol is not None:
        return run_protocol_evaluation(args)
    if args.costmap:
        return run_costmap_evaluation(args)
    if args.align:
        return run_alignment_evaluation(args)
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.measured_frames import find_measured_frames  # noqa: PLC0415
    from e2e_depth_ros.core.depth_fit import MAX_DEPTH_M, MIN_DEPTH_M  # noqa: PLC0415
    from e2e_depth_ros.evaluation.comparison import Protocol  # noqa: PLC0415
    from e2e_depth_ros.evaluation.crops import Crop, crops_of  # noqa: PLC0415
    from e2e_depth_ros.evaluation.flicker import evaluate_flicker  # noqa: PLC0415
    from e2e_depth_ros.evaluation.report import evaluate  # noqa: PLC0415
    from e2e_depth_ros.evaluation.sources import BASELINES  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def tell(name: str, reason: str) -> None:
        console.print(f"e2e-depth evaluate: {name}: {reason}", markup=False)

    low = MIN_DEPTH_M if args.min_depth is None else args.min_depth
    high = MAX_DEPTH_M if args.max_depth is None else args.max_depth
    protocol = Protocol(low, high)
    frames = find_measured_frames(args.frames, console, exclude=args.predictions, topics=topics_given(args))
    if args.crops is not None:
        frames = crops_of(frames, args.crops)
    sources = [_source(args), *BASELINES]
    progress = track(frames, description="evaluate", console=console)
    if args.flicker:
        flicker = evaluate_flicker(progress, sources, protocol, on_failure=tell)
        return _finish(args, flicker.as_dict(), [flicker.table()] if flicker.groups else [], flicker.failures)
    told: set[tuple[str, str]] = set()

    def tell_once(frame: MeasuredFrame, reason: str) -> None:
        """All crops of a broken frame fail alike."""
        whole = frame.frame if isinstance(frame, Crop) else frame
        words = whole.name, reason.replace(frame.name, whole.name)
        if words not in told:
            told.add(words)
            tell(*words)

    report = evaluate(progress, sources, protocol, on_failure=tell_once)
    return _finish(args, report.as_dict(), report.tables() if report.groups else [], report.failures)


def _finish(
    args: argparse.Namespace, scores: dict[str, Any], tables: list[Table], failures: dict[str, str]
) -> int:
    """Write and print what was found."""
    from rich.console import Console  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    if not tables:
        raise InvalidInputError(f"expected something that can be scored, but all {len(failures)} failed")
    if args.json:
        try:
            args.json.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InvalidInputError(f"cannot write {args.json}: {error.strerror}") from error
    for table in tables:
        Console().print(table)
    if failures:
        Console(stderr=True, soft_wrap=True).print(f"{len(failures)} could not be scored")
    return _FAILED if failures else 0


def _source(args: argparse.Namespace) -> PredictionSource:
    from e2e_depth_ros.evaluation.sources import EstimatorSource  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    # Flicker is of depth alone.
    tasks = {Task.DEPTH} if args.flicker else None
    return saved_predictions(args) or EstimatorSource(load_estimator(args), tasks)
