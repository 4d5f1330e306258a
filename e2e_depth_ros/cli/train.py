"""`e2e-depth train`: end-to-end training as a recipe says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the subcommand's parser."""
    parser = subparsers.add_parser(
        "train",
        help="train a network end to end as a recipe says",
        description="Train a network end to end as a recipe says. SIGINT and SIGTERM save and end the run.",
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="recipe, YAML, or the name of one that ships, such as embedded"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for log, state, pictures, checkpoint"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the state in the output folder")


def run(args: argparse.Namespace) -> int:
    """Train, and return 0 also where the run was stopped early and can be resumed."""
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait until they are needed

    from e2e_depth_ros.training.recipe import find_recipe, read_recipe  # noqa: PLC0415

    recipe = read_recipe(find_recipe(args.recipe))
    from e2e_depth_ros.training.loop import train  # noqa: PLC0415 - torch and diffusers take seconds

    result = train(recipe, args.output, resume=args.resume)
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not result.is_main)
    if result.bad_steps:
        console.print(f"{result.bad_steps} steps without finite loss or gradient were skipped")
    if not result.finished:
        console.print(f"stopped after step {result.steps} ({result.stopped_by}); --resume goes on")
    console.print(f"checkpoint: {result.checkpoint}")
    return 0
