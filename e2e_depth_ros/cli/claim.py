"""`e2e-depth claim`: the table of E2E-FT's claim from small networks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "claim",
        help="show E2E-FT's claim on small networks: many steps, one step, the flaw, its fix",
        description="Score small networks, trained as docs/claim.md says, on renders that no training saw.",
    )
    parser.add_argument("checkpoints", type=Path, help="folder with a checkpoint for each training")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table, plot and pictures")
    parser.add_argument("--views", type=int, default=100, help="how many views to score (100)")
    parser.add_argument("--threads", type=int, default=1, help="threads; times are processor times (1)")


def run(args: argparse.Namespace) -> int:
    """Measure each row, write the report and print the table."""
    import torch  # noqa: PLC0415 - heavy imports wait until they are needed
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    from e2e_depth_ros.core.errors import InvalidInputError  # noqa: PLC0415
    from e2e_depth_ros.training.claim import held_out_views, measure, rows  # noqa: PLC0415
    from e2e_depth_ros.training.claim_report import write_report  # noqa: PLC0415

    if args.views < 1:
        raise InvalidInputError(f"--views: expected at least 1, got {args.views}")
    torch.set_num_threads(args.threads)
    views = held_out_views(args.views)
    console = Console(stderr=True)
    measured = [
        measure(row, args.checkpoints, views, shown=min(6, args.views))
        for row in track(rows(), description="rows", console=console, disable=not console.is_terminal)
    ]
    Console(highlight=False, soft_wrap=True).print(write_report(args.output, measured, views))
    return 0
