"""`lent.py pack`: all that a training needs, in pieces."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layout import (
    AUTOENCODER,
    PACKAGE,
    RECIPE,
    START,
    TRAIN_SHARDS,
    VALIDATION_SHARDS,
    WHEELS,
    LentError,
    files_below,
    in_one_line,
    say,
)
from pieces import MB, write_pieces

if TYPE_CHECKING:
    from e2e_depth_ros.training.recipe import Recipe, SourceRecipe

CHECKPOINT_MINUTES = 4.0
WATCH_SECONDS = 3.0


def pack(recipe_path: Path, output: Path, piece_mb: float, wheels: Path | None) -> None:
    """Write all that a training needs into pieces, and this program beside them.

    Args:
        recipe_path: Recipe of a training on shards.
        output: New or empty folder: all of it is to travel.
        piece_mb: The largest piece, 10^6 bytes.
        wheels: Folder of wheels that the machine lacks.

    Raises:
        LentError: Something is missing or broken, or the recipe can't be trained so.
    """
    with in_one_line():
        from e2e_depth_ros.training.objectives.choice import build_objective  # noqa: PLC0415
        from e2e_depth_ros.training.recipe import read_recipe  # noqa: PLC0415

        if output.exists() and any(output.iterdir()):
            raise LentError(f"expected a new or empty folder, found files in {output}")
        recipe = read_recipe(recipe_path)
        build_objective(recipe)  # a network that can't be loaded or trained so is told here
        files = {RECIPE: output / RECIPE, **_package_files(), **_start_files(recipe), **_wheel_files(wheels)}
        for index, source in enumerate(recipe.data.validation):
            files |= _shard_files(source, f"{VALIDATION_SHARDS}{index}")
        train = [
            _shard_files(source, f"{TRAIN_SHARDS}{index}") for index, source in enumerate(recipe.data.train)
        ]
        packed = _packed_recipe(recipe)
    # Shards of all sources from the first piece on, each source spread evenly over the pieces.
    spread = [((k + 0.5) / len(shards), name) for shards in train for k, name in enumerate(shards)]
    everything = {name: path for shards in train for name, path in shards.items()}
    files |= {name: everything[name] for _, name in sorted(spread)}

    output.mkdir(parents=True, exist_ok=True)
    (output / RECIPE).write_text(packed, encoding="utf-8")
    for program in Path(__file__).parent.glob("*.py"):
        shutil.copyfile(program, output / program.name)
    pieces = write_pieces(files, output, "piece", int(piece_mb * MB))
    megabytes = sum(piece.stat().st_size for piece in pieces) / MB
    say(f"{len(everything)} training shards and all else: {megabytes:.1f} MB in {len(pieces)} pieces")


def _packed_recipe(recipe: Recipe) -> str:
    """Return the recipe as it is trained there, YAML."""
    import yaml  # noqa: PLC0415

    from e2e_depth_ros.training.recipe import mapping_from_recipe  # noqa: PLC0415

    data, model, run = recipe.data, recipe.model, recipe.run
    packed = replace(
        recipe,
        data=replace(
            data,
            train=tuple(
                replace(source, shards=f"{TRAIN_SHARDS}{index}/*.npz")
                for index, source in enumerate(data.train)
            ),
            validation=tuple(
                replace(source, shards=f"{VALIDATION_SHARDS}{index}/*.npz")
                for index, source in enumerate(data.validation)
            ),
            resident=True,
            watch_seconds=data.watch_seconds or WATCH_SECONDS,
        ),
        model=replace(
            model,
            start=START if model.start else "",
            autoencoder=replace(model.autoencoder, start=AUTOENCODER if model.autoencoder.start else ""),
        ),
        run=replace(
            run,
            precision="bfloat16",
            checkpoint_minutes=min(run.checkpoint_minutes, CHECKPOINT_MINUTES),
        ),
    )
    return yaml.safe_dump(mapping_from_recipe(packed), sort_keys=False)


def _package_files() -> dict[str, Path]:
    """Return the package's files but the checkpoint that ships with it, which a start may name."""
    import e2e_depth_ros  # noqa: PLC0415

    source = Path(e2e_depth_ros.__file__).parent
    return {
        name: path
        for name, path in files_below(source, f"{PACKAGE}/{source.name}").items()
        if "__pycache__" not in path.parts and source / "model" / "embedded" not in path.parents
    }


def _start_files(recipe: Recipe) -> dict[str, Path]:
    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415

    named = {START: recipe.model.start, AUTOENCODER: recipe.model.autoencoder.start}
    files: dict[str, Path] = {}
    for place, start in named.items():
        if start:
            files |= files_below(find_checkpoint(start), place)
    return files


def _wheel_files(wheels: Path | None) -> dict[str, Path]:
    if wheels is None:
        return {}
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise LentError(f"expected wheels (*.whl) in {wheels}, found none")
    return {f"{WHEELS}/{path.name}": path for path in found}


def _shard_files(source: SourceRecipe, place: str) -> dict[str, Path]:
    """Return a source's shards, each found whole: there a broken one would end the training."""
    from e2e_depth_ros.training.shards import glob_shards, read_shard  # noqa: PLC0415

    if not source.shards:
        raise LentError(f"expected sources of shards alone, got {source.hypersim or source.virtual_kitti}")
    paths = glob_shards(source.shards)
    if not paths:
        raise LentError(f"expected shards at {source.shards}, found none")
    for path in paths:
        read_shard(path)
    return {f"{place}/{index:05d}-{path.name}": path for index, path in enumerate(paths)}
