"""`e2e-depth render`: training scenes with exact depth and normals."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    from e2e_depth_ros.training.render import add_arguments  # noqa: PLC0415 - numpy and OpenCV, no torch

    add_arguments(
        subparsers.add_parser("render", help="render training scenes, by the ray caster or by Blender")
    )


def run(args: argparse.Namespace) -> int:
    """Render what the recipe says."""
    from e2e_depth_ros.training import render  # noqa: PLC0415 - as above

    return render.run(args)
