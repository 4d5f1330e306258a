"""Render training images as a recipe says: `e2e-depth render RECIPE.yaml --output DIR`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from e2e_depth_ros.training.packing import Packer
from e2e_depth_ros.training.recipe_file import read_yaml
from e2e_depth_ros.training.render_recipe import RenderRecipe
from e2e_depth_ros.training.renderers import (
    BLENDER_PYTHON_VARIABLE,
    blender_samples,
    find_blender_python,
    ray_caster_samples,
)
from e2e_depth_ros.training.stopping import StopRequest


def render(
    recipe: RenderRecipe, output: Path, *, blender_python: Path | None = None, show_progress: bool = True
) -> dict[str, object]:
    """Render until the recipe's images are in the output folder, or a signal asks to stop.

    SIGINT and SIGTERM end the run in order: what is rendered is packed. Called again, it goes on from there.

    Args:
        recipe: What to render.
        output: Folder for the shards, `statistics.json` and `contact_sheet.jpg`.
        blender_python: Python of an environment with bpy; the default is `E2E_DEPTH_BLENDER_PYTHON`.
        show_progress: Whether to draw a progress bar on stderr.

    Returns:
        The statistics, as in the file.

    Raises:
        MissingDependencyError: There is no Blender.
        InvalidInputError: A pattern of the recipe matches no file, or the renderer fails again and again.
    """
    packer = Packer(output, recipe.shard_size)
    python = blender_python
    if recipe.source == "blender" and python is None:
        python = find_blender_python()
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with StopRequest() as stop, Progress(*columns, console=console, disable=not show_progress) as progress:
        task = progress.add_task("images", total=recipe.images, completed=packer.images)
        if python is not None:
            source = blender_samples(recipe, output, packer, python, stop)
        else:
            source = ray_caster_samples(recipe, packer, stop)
        with contextlib.closing(source):
            while packer.images < recipe.images and (sample := next(source, None)) is not None:
                packer.add(sample)
                progress.update(task, completed=packer.images)
    packer.flush()
    return packer.statistics()


def main(argv: list[str] | None = None) -> int:
    """Run as a command; `e2e-depth render` does the same."""
    parser = argparse.ArgumentParser(prog="render", description=__doc__.splitlines()[0] if __doc__ else None)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument("recipe", type=Path, help="render recipe, YAML")
    parser.add_argument("--output", type=Path, required=True, help="folder for shards and statistics")
    parser.add_argument(
        "--blender-python", type=Path, help=f"Python with bpy (default: {BLENDER_PYTHON_VARIABLE})"
    )


def run(args: argparse.Namespace) -> int:
    """Render, and print what was made."""
    recipe = read_yaml(args.recipe, RenderRecipe)
    statistics = render(recipe, args.output, blender_python=args.blender_python)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{statistics['images']} of {recipe.images} images, {statistics['scenes']} scenes, in {args.output}"
    )
    console.print(f"kinds: {statistics['kinds']}")
    console.print(f"dropped: {statistics['dropped'] or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
