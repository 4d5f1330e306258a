"""`e2e-depth demo`: the whole system on real frames, in three processes."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from e2e_depth_ros.cli.model_arguments import MODEL_HELP, add_task_argument
from e2e_depth_ros.core.errors import InvalidInputError


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="the whole system on real frames: node, camera and receiver, each in its own process",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for pictures, clouds and numbers")
    parser.add_argument("--model", default="embedded", help=MODEL_HELP)
    add_task_argument(parser)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--frames", type=int, default=30, help="frames of each scene")
    parser.add_argument("--rate", type=float, default=8.0, help="frames a second")
    parser.add_argument("--points", type=int, default=500, help="sparse metric points a frame")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to go on with a scene without an answer"
    )
    parser.add_argument("--seed", type=int, default=0, help="chooses the points")
    parser.add_argument(
        "--view",
        type=Path,
        metavar="FILE",
        help="save what Rerun's viewer opens, .rrd; None: nothing is saved",
    )
    parser.add_argument(
        "--domain", type=int, help="ROS domain, 0 to 101; None: one that nobody uses on this machine"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo and report.

    Returns:
        0 when every scene gave depth, and every measured one metric depth; else 1.
    """
    from e2e_depth_ros.cli.demo.camera import check_pace  # noqa: PLC0415
    from e2e_depth_ros.cli.demo.processes import (  # noqa: PLC0415
        DemoSettings,
        prepare_environment,
        run_processes,
    )
    from e2e_depth_ros.cli.demo.scenes import load_scenes, write_frames  # noqa: PLC0415

    check_pace(args)
    if args.domain is not None and not 0 <= args.domain <= 101:
        raise InvalidInputError(f"expected a --domain of 0 to 101, got {args.domain}")
    domain = prepare_environment(args.domain)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from e2e_depth_ros.cli.demo.report import print_summary, summarise, write_results  # noqa: PLC0415
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.families.registry import read_facts  # noqa: PLC0415
    from e2e_depth_ros.offline.viewer import Viewer  # noqa: PLC0415

    read_facts(find_checkpoint(args.model), task=args.task)  # fails here in one line, not in the node's log
    scenes = load_scenes()
    args.output.mkdir(parents=True, exist_ok=True)
    settings = DemoSettings(
        output=args.output,
        model=args.model,
        task=args.task,
        device=args.device,
        frames=args.frames,
        rate_hz=args.rate,
        points=args.points,
        patience_s=args.patience,
        seed=args.seed,
    )
    console = Console()
    console.print(f"in ROS domain {domain}, on this machine only")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        viewer = stack.enter_context(Viewer(args.view)) if args.view is not None else None
        progress = stack.enter_context(Progress(*columns, console=console))
        bar = progress.add_task("loading the model", total=args.frames * len(scenes))
        outcome = run_processes(
            settings,
            scenes,
            lambda count: progress.update(bar, completed=count, description="camera frames"),
            viewer,
        )
    summary = summarise(outcome)
    print_summary(summary, console)
    written = write_results(outcome, summary, args.output)
    for path in [*written, write_frames(scenes, args.output / "frames", args.points, args.seed)]:
        console.print(f"wrote {path}")
    complete = all(
        scene["relative_depth_received"] and (scene["metric_depth_received"] or not scene["measured"])
        for scene in summary["scenes"]
    )
    return 0 if complete else 1
