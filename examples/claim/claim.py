"""The table of E2E-FT's claim from small networks: `python claim.py RUNS --output DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from e2e_depth_ros.core.errors import E2EDepthError
from measuring import held_out_views, measure, rows
from report import write_report

SHOWN = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each row, write the report, print the table; return 2 where there is no such network."""
    parser = argparse.ArgumentParser(
        description="Score small networks, trained by the recipes beside this file, on renders that none saw."
    )
    parser.add_argument("runs", type=Path, help="folder with the output folder of each training")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table, plot and pictures")
    parser.add_argument("--views", type=int, default=100, help="how many views to score (100)")
    parser.add_argument("--threads", type=int, default=1, help="threads; times are processor times (1)")
    given = parser.parse_args(arguments)
    if given.views < 1:
        parser.error(f"--views: expected at least 1, got {given.views}")
    torch.set_num_threads(given.threads)
    views = held_out_views(given.views)
    console = Console(stderr=True)
    try:
        measured = [
            measure(row, given.runs, views, shown=min(SHOWN, given.views))
            for row in track(rows(), description="rows", console=console, disable=not console.is_terminal)
        ]
    except E2EDepthError as error:
        print(f"claim: {error}", file=sys.stderr)
        return 2
    print(write_report(given.output, measured, views))
    return 0


if __name__ == "__main__":
    sys.exit(main())
