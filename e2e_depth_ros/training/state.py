"""The state of an interrupted training: one safetensors file, replaced as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError

FORMAT = "e2e_depth_ros training state 1"
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(tensors, temporary, {"format": FORMAT, "progress": json.dumps(asdict(progress))})
    temporary.replace(path)


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
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"expected format {FORMAT!r} in {path}, got {metadata.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"expected a training state to continue from in {path}: {error}") from error
    _copy(path, {f"model.{name}": tensor for name, tensor in model.state_dict().items()}, tensors)
    _copy(path, {f"averaged.{name}": tensor for name, tensor in averaged.items()}, tensors)
    for name, parameter in model.named_parameters():
        prefix = f"optimiser.{name}."
        if f"{prefix}step" in tensors:
            # Moments laid out in memory as their parameter, which the fused optimiser expects.
            moments = {key: torch.empty_like(parameter) for key in _MOMENTS}
            _copy(path, {prefix + key: moment for key, moment in moments.items()}, tensors)
            step = tensors[f"{prefix}step"].to(parameter.device)
            optimiser.state[parameter] = {"step": step, **moments}
    return Progress(**json.loads(metadata["progress"]))


@torch.no_grad()
def _copy(path: Path, targets: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    for name, target in targets.items():
        source = tensors.get(name)
        if source is None or source.shape != target.shape:
            found = "nothing" if source is None else str(tuple(source.shape))
            raise CheckpointError(
                f"expected {name} of shape {tuple(target.shape)} in {path}, got {found}: "
                "the state belongs to another network"
            )
        target.copy_(source)
