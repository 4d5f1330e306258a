"""Export a checkpoint: graphs and what they need into a folder, checked against torch while it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts, down_factor_of
from e2e_depth_ros.model.checkpoint.integrity import sha256
from e2e_depth_ros.model.engine.exported import PRECISIONS, ExportedFacts, ExportedModel
from e2e_depth_ros.model.engine.onnx_runtime import OnnxRuntime
from e2e_depth_ros.model.export.graph import Graph
from e2e_depth_ros.model.export.network import Size, write_network
from e2e_depth_ros.model.export.placing import WEIGHTS_FILE, initializers, places_in, write_weights
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.registry import LoadedCheckpoint
from e2e_depth_ros.model.limits import MAX_RESOLUTION
from e2e_depth_ros.model.task import Task

TOLERANCES = {"float32": 1e-4, "float16": 5e-2}
"""How far a graph may be from torch before it is refused, of decoded values in -1..1: rounding is a tenth of
it, a wrong layer ten times as much."""


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        model: As it is read again.
        difference: The largest between graph and torch, in decoded values of -1..1, for each graph's file.
    """

    model: ExportedModel
    difference: dict[str, float]


def export(
    checkpoint: LoadedCheckpoint,
    folder: Path,
    *,
    tasks: Sequence[Task] | None = None,
    precision: str = "float32",
    size: Size | None = None,
) -> Exported:
    """Export a checkpoint.

    Args:
        checkpoint: On the CPU, in float32.
        folder: Where it goes, new or empty; or the checkpoint's own folder, whose weights the graphs then
            point to.
        tasks: What the graphs predict: each alone, and all at once. None for all that the checkpoint does.
        precision: One of `PRECISIONS`.
        size: (h, w) that the network sees; None for any.

    Raises:
        CheckpointError: The folder is in use, can't be written, or a graph differs from torch.
        InvalidInputError: A graph can't express this network, or an argument is impossible.
    """
    facts, network = checkpoint.facts, checkpoint.model
    if precision not in PRECISIONS:
        raise InvalidInputError(f"expected precision {' or '.join(PRECISIONS)}, got {precision!r}")
    factor = down_factor_of(network.vae.config)
    if size is not None and not all(1 <= side <= MAX_RESOLUTION and side % factor == 0 for side in size):
        raise InvalidInputError(
            f"expected a size of multiples of {factor} up to {MAX_RESOLUTION}, got {size[0]}x{size[1]}"
        )
    wanted = [task for task in Task if task in (tasks or facts.tasks)]
    absent = [task.value for task in wanted if task not in facts.tasks]
    if absent:
        raise InvalidInputError(f"{facts.name}: expected tasks that it predicts, got {' and '.join(absent)}")
    if is_own_folder(folder, facts) and set(wanted) != facts.tasks:
        raise InvalidInputError(
            f"expected all tasks in the checkpoint's own folder, {_words(facts.tasks)}, as graphs stand for "
            f"what lies beside them, got {_words(wanted)}"
        )
    sets = [(task,) for task in wanted] + ([tuple(wanted)] if len(wanted) > 1 else [])
    graphs = {of: write_network(network, of, dtype=getattr(torch, precision), size=size) for of in sets}
    with _workplace(folder, facts) as place:
        difference = _write_graphs(graphs, place, checkpoint, precision, size, is_own=place == facts.folder)
        names = [
            path for path in (place / WEIGHTS_FILE, *(place / name for name in difference)) if path.exists()
        ]
        if place == facts.folder:
            names += [path for path in facts.files if path.suffix != ".txt"]
        hashes = {path.relative_to(place).as_posix(): sha256(path) for path in names}
        model = ExportedModel(
            folder,
            _facts(facts, wanted, factor, size),
            {frozenset(of): f"{graph.name}.onnx" for of, graph in graphs.items()},
            precision,
            size,
            hashes,
        )
        model.write(place)
    return Exported(model, difference)


def _write_graphs(
    graphs: dict[tuple[Task, ...], Graph],
    folder: Path,
    checkpoint: LoadedCheckpoint,
    precision: str,
    size: Size | None,
    *,
    is_own: bool,
) -> dict[str, float]:
    """Write graphs and weights, and compare each graph with torch."""
    facts = checkpoint.facts
    if is_own:
        places = places_in({part: facts.weight_files(part) for part in facts.components})
    else:
        places = write_weights(graphs.values(), folder)
    difference = {}
    drafts = {
        folder / f".draft_{name}": folder / name for name in (f"{g.name}.onnx" for g in graphs.values())
    }
    try:
        for (tasks, graph), (draft, path) in zip(graphs.items(), drafts.items(), strict=True):
            onnx.save_model(graph.model(initializers(graph, places, folder)), str(draft))
            found = largest_difference(checkpoint.model, tasks, draft, precision, size)
            if not found <= TOLERANCES[precision]:
                raise CheckpointError(
                    f"{path.name}: expected what torch decodes, to {TOLERANCES[precision]:g}, got a "
                    f"difference of {found:.3g}; nothing was exported"
                )
            difference[path.name] = found
        for draft, path in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return difference


@torch.inference_mode()
def largest_difference(
    network: LatentNetwork, tasks: Sequence[Task], graph: Path, precision: str, size: Size | None
) -> float:
    """Compare a graph, run by ONNX Runtime on the CPU, with the network itself, run by torch.

    Returns:
        The largest difference of decoded values, for two images of noise, at an odd number of latents.
    """
    factor = down_factor_of(network.vae.config)
    height, width = size or (5 * factor, 7 * factor)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    latents = network.denoise(network.encode(pixels), list(tasks))
    expected = network.decode(latents).numpy().reshape(len(tasks), 2, 3, height, width)
    found = OnnxRuntime("cpu", precision).load(graph).run(pixels.numpy())
    largest = 0.0
    for task, decoded in zip(tasks, expected, strict=True):
        wanted = decoded.mean(axis=1, keepdims=True) if task is Task.DEPTH else decoded
        largest = max(largest, float(np.abs(found[task.value] - wanted).max(initial=0.0)))
    return largest


def _facts(facts: CheckpointFacts, tasks: Sequence[Task], factor: int, size: Size | None) -> ExportedFacts:
    return ExportedFacts(
        name=facts.name,
        tasks=frozenset(tasks),
        processing_resolution=facts.processing_resolution if size is None else max(size),
        depth_kind=facts.depth_kind,
        normals_signs=facts.normals_signs,
        full_z_range=facts.full_z_range,
        clips_normals=facts.clips_normals,
        upsampling=facts.upsampling,
        down_factor=factor,
        activation_floats=facts.activation_floats,
    )


def _words(tasks: Iterable[Task]) -> str:
    return " and ".join(sorted(task.value for task in tasks))


def is_own_folder(folder: Path, facts: CheckpointFacts) -> bool:
    """Whether a folder is that of the checkpoint, whose weights graphs in it share."""
    return facts.folder is not None and folder.resolve() == facts.folder.resolve()


@contextmanager
def _workplace(folder: Path, facts: CheckpointFacts) -> Iterator[Path]:
    """Give a folder that takes the wanted one's place when all is there; or the checkpoint's own."""
    if facts.folder is not None and is_own_folder(folder, facts):
        try:
            yield facts.folder
        except OSError as error:
            raise CheckpointError(f"cannot write to {folder}: {error.strerror or error}") from error
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"expected a new or empty folder for the exported model, got {folder}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
            scratch = Path(name) / folder.name
            scratch.mkdir()
            yield scratch
            if folder.exists():
                folder.rmdir()
            scratch.rename(folder)
    except OSError as error:
        raise CheckpointError(f"cannot write to {folder}: {error.strerror or error}") from error
