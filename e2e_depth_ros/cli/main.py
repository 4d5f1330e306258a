"""The parser of `e2e-depth` and what its subcommands share: errors in one line, exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from e2e_depth_ros import __version__
from e2e_depth_ros.core.errors import E2EDepthError

SUBCOMMANDS = (
    "demo",
    "predict",
    "evaluate",
    "gallery",
    "train",
    "compare",
    "render",
    "claim",
    "checkpoint",
    "benchmark",
)
"""Modules of this package, each with `add_parser(subparsers)` and `run(args) -> int`.

Their heavy imports (torch, diffusers, rclpy) stand inside `run`, so that `--help` is instant and one
command's missing dependency does not take the others away.
"""

WRONG_INPUT = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with every subcommand."""
    parser = argparse.ArgumentParser(
        prog="e2e-depth", description="One RGB camera becomes a depth sensor: depth, normals, point clouds."
    )
    parser.add_argument("--version", action="version", version=f"e2e_depth_ros {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in SUBCOMMANDS:
        import_module(f"e2e_depth_ros.cli.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: The arguments after the program's name; those of the process when None.

    Returns:
        The exit code: 0 done, 1 done with a bad verdict, 2 wrong input, 130 interrupted.
    """
    args = build_parser().parse_args(argv)
    module = import_module(f"e2e_depth_ros.cli.{args.command}")
    try:
        return int(module.run(args))
    except E2EDepthError as error:
        print(f"e2e-depth {args.command}: {error}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT
    except KeyboardInterrupt:
        print(f"e2e-depth {args.command}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
