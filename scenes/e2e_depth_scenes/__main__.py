"""Render training images: `e2e-depth-scenes RECIPE.yaml --output DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e_depth_ros.training.shards import ShardError
from e2e_depth_scenes import __version__
from e2e_depth_scenes.errors import RenderError
from e2e_depth_scenes.recipe_file import read_recipe
from e2e_depth_scenes.render import render
from e2e_depth_scenes.renderers import BLENDER_PYTHON_VARIABLE

NAME = "e2e-depth-scenes"
WRONG_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, and print what was made.

    Returns:
        The exit code: 0 done, or stopped in order; 2 wrong input or surroundings; 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Render training images as a recipe says, by the ray caster or by Blender. "
        "SIGINT and SIGTERM end the run in order; called again, it goes on.",
    )
    parser.add_argument("--version", action="version", version=f"e2e_depth_scenes {__version__}")
    parser.add_argument(
        "recipe", type=Path, help="render recipe, YAML; the package's own lie in its recipes/"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for shards and statistics")
    parser.add_argument(
        "--blender-python", type=Path, help=f"Python with bpy (default: {BLENDER_PYTHON_VARIABLE})"
    )
    given = parser.parse_args(arguments)
    try:
        recipe = read_recipe(given.recipe)
        statistics = render(recipe, given.output, blender_python=given.blender_python)
    except (RenderError, ShardError, OSError) as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print(f"{NAME}: interrupted", file=sys.stderr)
        return INTERRUPTED
    print(
        f"{statistics['images']} of {recipe.images} images, {statistics['scenes']} scenes, in {given.output}"
    )
    print(f"kinds: {statistics['kinds']}")
    print(f"dropped: {statistics['dropped'] or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
