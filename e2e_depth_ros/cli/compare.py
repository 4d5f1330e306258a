"""`e2e-depth compare`: trainings beside each other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "compare",
        help="trainings beside each other: recipes and scores",
        description="Print in Markdown: the scores of the last validation, a table for each set of "
        "validation images, and in what its recipe differs from that of the first.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="output folder of a training, or its log alone (.jsonl, .jsonl.gz)",
    )
    parser.add_argument("--curves", type=Path, metavar="FILE", help="draw losses and scores over steps, PNG")


def run(args: argparse.Namespace) -> int:
    """Print the table, and draw the curves."""
    from e2e_depth_ros.core.user_file import check_writable  # noqa: PLC0415
    from e2e_depth_ros.training.comparison import markdown_table, read_run  # noqa: PLC0415 - heavy imports wait

    if args.curves:
        check_writable(args.curves)
    runs = [read_run(path) for path in args.runs]
    print(markdown_table(runs))  # noqa: T201 - to be pasted as it is
    if args.curves:
        from e2e_depth_ros.training.pictures import write_curves  # noqa: PLC0415

        write_curves(args.curves, *(one.log for one in runs))
    return 0
