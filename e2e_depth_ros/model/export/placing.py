"""Where the weights of graphs lie: in safetensors files beside them, once, whatever the number of graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from safetensors import SafetensorError
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError, first_line
from e2e_depth_ros.model.checkpoint.saving import save_tensors
from e2e_depth_ros.model.checkpoint.weights import read_tensor_table
from e2e_depth_ros.model.export.graph import Graph, external, inline

WEIGHTS_FILE = "weights.safetensors"
"""What is written where there is nothing to point to."""

_DTYPES = {"F32": torch.float32, "F16": torch.float16}


class Place(NamedTuple):
    """Where a tensor lies: a file, its first byte there, and its format."""

    file: Path
    offset: int
    dtype: torch.dtype


def places_in(components: Mapping[str, Iterable[Path]]) -> dict[str, Place]:
    """Find the tensors of a checkpoint's files.

    Args:
        components: The safetensors files of each part of a network, "unet" and "vae".

    Returns:
        The places by the names that the network has for its weights, "unet.conv_in.weight".
    """
    return {
        f"{component}.{name}": place
        for component, files in components.items()
        for name, place in _places(files).items()
    }


def write_weights(graphs: Iterable[Graph], folder: Path) -> dict[str, Place]:
    """Write the named weights of graphs into one file, each once, in half the size where that loses nothing.

    Raises:
        CheckpointError: It can't be written.
    """
    tensors: dict[str, Tensor] = {}
    for graph in graphs:
        for name, tensor in graph.weights.items():
            if graph.is_named(name):
                tensors.setdefault(name, smallest(tensor).contiguous())
    path = folder / WEIGHTS_FILE
    try:
        save_tensors(tensors, path)
    except (OSError, SafetensorError) as error:  # the library's own, where there is no space left
        raise CheckpointError(f"cannot write {path}: {first_line(error)}") from error
    return _places([path])


def initializers(graph: Graph, places: Mapping[str, Place], folder: Path) -> dict[str, onnx.TensorProto]:
    """Make what stands for a graph's weights: a place in a file, or the numbers themselves.

    Args:
        graph: It lies in the folder.
        places: See `places_in`; what is nowhere there lies in the graph.
        folder: The files lie in it or below.
    """
    made = {}
    for name, tensor in graph.weights.items():
        place = places.get(name)
        if place is None:
            made[name] = inline(tensor if tensor.dtype == graph.dtype else tensor.to(graph.dtype), name)
        else:
            location = place.file.relative_to(folder).as_posix()
            made[name] = external(tensor.to(place.dtype), name, location, place.offset)
    return made


def smallest(tensor: Tensor) -> Tensor:
    """Return the same numbers in float16 where it has all of them."""
    half = tensor.half()
    return half if torch.equal(half.to(tensor.dtype), tensor) else tensor


def _places(files: Iterable[Path]) -> dict[str, Place]:
    return {
        name: Place(info.file, info.offset, _DTYPES[info.dtype])
        for name, info in read_tensor_table(files).items()
        if info.dtype in _DTYPES
    }
