"""The parser of `e2e-depth` and what its subcommands share: errors in one line, exit codes."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TextIO

from e2e_depth_ros import __version__
from e2e_depth_ros.cli.failures import check_address_space, explain

SUBCOMMANDS = (
    "demo",
    "predict",
    "evaluate",
    "bag",
    "view",
    "gallery",
    "train",
    "compare",
    "checkpoint",
    "export",
    "benchmark",
)
"""Modules of this package, each with `add_parser(subparsers)` and `run(args) -> int`.

Their heavy imports (torch, diffusers, rclpy) stand inside `run`, so that `--help` is instant and one
command's missing dependency does not take the others away.
"""

WITHOUT_TORCH = ("compare", "view")
LEAST_MB = 300
LEAST_MB_WITH_TORCH = 1500
"""Address space, MB, that Python and its libraries map; with less some of them abort without a word."""

WRONG_INPUT = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


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
        The exit code: 0 done, 1 done with a bad verdict, 2 wrong input or surroundings (a full disk, too
        little memory, something that isn't installed), 130 interrupted, 141 when no one reads the output.
    """
    name = "e2e-depth"
    if sys.stdout is None:  # closed by whoever started this: what it would say is not wanted
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    was_interrupted = _remember_interrupts() if argv is None else threading.Event()
    try:
        check_address_space(LEAST_MB)
        args = build_parser().parse_args(argv)
        name = f"e2e-depth {args.command}"
        check_address_space(LEAST_MB if args.command in WITHOUT_TORCH else LEAST_MB_WITH_TORCH)
        code = int(import_module(f"e2e_depth_ros.cli.{args.command}").run(args))
        sys.stdout.flush()  # here a full disk or a closed pipe can still be told
    except KeyboardInterrupt:
        return _interrupted(name, argv)
    except BrokenPipeError:
        return _end("", PIPE_CLOSED)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # Rich prints to no one, and ends with 1
            return _end("", PIPE_CLOSED)
        raise
    except Exception as error:
        # Ctrl-C while a C library loads reaches Python as a library that can't be loaded.
        if isinstance(error, ImportError) and was_interrupted.is_set():
            return _interrupted(name, argv)
        line = explain(error)
        if line is None:
            raise  # a bug: its traceback is what a report needs
        return _end(f"{name}: {line}", WRONG_INPUT)
    return code


def _remember_interrupts() -> threading.Event:
    """Note each Ctrl-C before it becomes a KeyboardInterrupt, unless someone else listens to it."""
    noted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        noted.set()
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)
    return noted


def _interrupted(name: str, argv: Sequence[str] | None) -> int:
    if argv is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends at once, and says nothing
    return _end(f"{name}: interrupted", INTERRUPTED)


def _end(line: str, code: int) -> int:
    """Tell why it ends, and let nothing that was not written yet be tried again at exit."""
    _write(sys.stdout, "")
    _write(sys.stderr, f"{line}\n" if line else "")
    return code


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # closed, or its disk is full
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
