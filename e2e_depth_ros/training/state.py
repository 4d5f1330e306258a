"""The state of an interrupted training: one safetensors file, replaced as a whole."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.user_file import check_file, json_from_text

FORMAT = "e2e_depth_ros training state 1"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: Optimiser steps tried; the next one has this number.
        bad_steps: Steps whose loss or gradient was not finite: they changed nothing.
        bad_in_a_row: Such steps since the last good one.
        seconds: Time spent in training steps, over all runs.
        contents: Images taken from each shard, by source and shard.
    """

    step: int = 0
    bad_steps: int = 0
    bad_in_a_row: int = 0
    seconds: float = 0.0
    contents: dict[str, int] = field(default_factory=dict)


def save_state(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.AdamW,
    averaged: Mapping[str, Tensor],
    progress: Progress,
) -> None:
    """Write all that the next step depends on.

    Args:
        path: The file; a reader sees the old one or the new one, never a part.
        model: Its parameters and buffers.
        optimiser: The moments and step counts of each parameter.
        averaged: The averaged parameters; may be empty.
        progress: How far the training is.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"averaged.{name}": tensor for name, tensor in averaged.items()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{key}"] = value
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _write(temporary, tensors, {"format": FORMAT, "progress": json.dumps(asdict(progress))})
    temporary.replace(path)


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file tensor by tensor: its own writer holds a copy of all in memory.

    The format: the header's length in 8 bytes, the header in JSON, then the numbers, in the header's order
    and without gaps (https://github.com/huggingface/safetensors, "Format").
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)


def load_state(
    path: Path, model: nn.Module, optimiser: torch.optim.AdamW, averaged: dict[str, Tensor]
) -> Progress:
    """Bring model, optimiser and averages to where `save_state` left them.

    Returns:
        How far the training was.

    Raises:
        CheckpointError: There is no such file, it is broken, or it belongs to another network.
    """
    try:
        check_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"expected format {FORMAT!r} in {path}, got {metadata.get('format')!r}")
            names = set(file.keys())

            def read(name: str) -> Tensor | None:  # one by one: a large state isn't in memory twice
                return file.get_tensor(name) if name in names else None

            _copy(path, {f"model.{name}": tensor for name, tensor in model.state_dict().items()}, read)
            _copy(path, {f"averaged.{name}": tensor for name, tensor in averaged.items()}, read)
            for name, parameter in model.named_parameters():
                prefix = f"optimiser.{name}."
                step = read(f"{prefix}step")
                if step is not None:
                    # Moments laid out in memory as their parameter, which the fused optimiser expects.
                    moments = {key: torch.empty_like(parameter) for key in _MOMENTS}
                    _copy(path, {prefix + key: moment for key, moment in moments.items()}, read)
                    optimiser.state[parameter] = {"step": step.clone().to(parameter.device), **moments}
        return Progress(**json_from_text(metadata["progress"]))
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"expected a training state to continue from in {path}: {error}") from error


@torch.no_grad()
def _copy(path: Path, targets: Mapping[str, Tensor], read: Callable[[str], Tensor | None]) -> None:
    for name, target in targets.items():
        source = read(name)
        if source is None or source.shape != target.shape:
            found = "nothing" if source is None else str(tuple(source.shape))
            raise CheckpointError(
                f"expected {name} of shape {tuple(target.shape)} in {path}, got {found}: "
                "the state belongs to another network"
            )
        target.copy_(source)
