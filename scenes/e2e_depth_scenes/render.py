"""Render training images as a recipe says."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from e2e_depth_scenes.packing import Packer
from e2e_depth_scenes.recipe import RenderRecipe
from e2e_depth_scenes.renderers import blender_samples, find_blender_python, ray_caster_samples
from e2e_depth_scenes.stopping import noted_signals


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
        RenderError: There is no Blender, a pattern of the recipe matches no file, or the renderer fails again
            and again.
    """
    packer = Packer(output, recipe.shard_size)
    python = blender_python
    if recipe.source == "blender" and python is None:
        python = find_blender_python()
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with noted_signals() as stop, Progress(*columns, console=console, disable=not show_progress) as progress:
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
