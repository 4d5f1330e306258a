"""`e2e-depth evaluate --align`: metric depth from sparse samples, beside reference methods."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_depth_ros.cli.frame_arguments import topics_given
from e2e_depth_ros.cli.model_arguments import load_estimator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from e2e_depth_ros.evaluation.alignment import Relative, RelativeSource

_FAILED = 2
_LEAST_WIDTH = 100  # characters that the tables need, in a file too


def add_alignment_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --align and what belongs to it."""
    group = parser.add_argument_group("metric alignment")
    group.add_argument("--align", action="store_true", help="evaluate metric depth from sparse samples")
    group.add_argument(
        "--samples",
        default="random:500",
        metavar="PROTOCOL",
        help="random:N, lidar:LINES, corners:N, patch or one-depth (default: random:500)",
    )
    group.add_argument(
        "--outliers", type=float, default=0.0, metavar="SHARE", help="of wrong samples, 0..1 (default: 0)"
    )
    group.add_argument(
        "--occlusion", action="store_true", help="let samples see the background past depth edges"
    )
    group.add_argument(
        "--relative",
        choices=("surrogate", "model"),
        default="surrogate",
        help="relative depth: true depth spoilt like a good network's, or --model (default: surrogate)",
    )
    group.add_argument("--seed", type=int, default=0, help="of samples and surrogate (default: 0)")


def run_alignment_evaluation(args: argparse.Namespace) -> int:
    """Evaluate, and print the tables.

    Returns:
        0, or 2 if a frame could not be scored.

    Raises:
        E2EDepthError: An argument or the checkpoint is wrong, or no frame could be scored.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.cli.measured_frames import find_measured_frames  # noqa: PLC0415
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.alignment import evaluate_alignment  # noqa: PLC0415
    from e2e_depth_ros.evaluation.alignment_methods import alignment_methods  # noqa: PLC0415
    from e2e_depth_ros.evaluation.protocol_samples import SamplingProtocol  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    protocol = SamplingProtocol.parse(args.samples, outliers=args.outliers, occlusion=args.occlusion)
    methods = alignment_methods()
    frames = find_measured_frames(args.frames, console, topics=topics_given(args))
    report = evaluate_alignment(
        track(frames, description="align", console=console),
        methods,
        protocol,
        seed=args.seed,
        relative_source=relative_source(args) if args.relative == "model" else None,
        relative_name=args.model if args.relative == "model" else "surrogate",
        on_failure=lambda frame, reason: console.print(
            f"e2e-depth evaluate: {frame.name}: {reason}", markup=False
        ),
    )
    if not report.groups:
        raise InvalidInputError(f"expected a frame that can be scored, but all {len(frames)} failed")
    out = Console()
    out.width = max(out.width, _LEAST_WIDTH)
    for table in report.tables():
        out.print(table)
    out.print(
        f"95th percentile over frames of AbsRel of correction over scale and shift: {report.harm():.3f}"
    )
    if args.json:
        write_json(args.json, report.as_dict())
    return _FAILED if report.failures else 0


def relative_source(args: argparse.Namespace) -> RelativeSource:
    """Return what the chosen model says of an image.

    Raises:
        E2EDepthError: The checkpoint is wrong; when it is called: the model predicts no depth.
    """
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.evaluation.alignment import Relative  # noqa: PLC0415

    estimator = load_estimator(args)

    def relative_depth(rgb: NDArray[np.uint8]) -> Relative:
        estimate = estimator.estimate(rgb)
        if estimate.depth is None:
            raise InvalidInputError(f"expected a model that predicts depth, got {estimator.facts.name}")
        return Relative(estimate.depth, estimate.outlines)

    return relative_depth


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write an object as JSON.

    Raises:
        InvalidInputError: The file can't be written.
    """
    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415

    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error.strerror}") from error
