"""Read a checkpoint that is one file, without trusting it."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.core.user_file import check_file

_REFUSED_NAME = re.compile(r"GLOBAL ([\w.]+)")


def read_single_file(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .ckpt or .safetensors file, onto the CPU.

    A .ckpt is a pickle, which can run code when it is read. It is read only by torch's restricted reader,
    which makes tensors and plain containers and refuses all else.

    Args:
        path: The file.

    Returns:
        The tensors by name: those under "state_dict" where there is such an entry.

    Raises:
        CheckpointError: It is no such file, broken, or contains more than tensors and plain values.
    """
    try:
        check_file(path)
    except InvalidInputError as error:
        raise CheckpointError(
            f"{path}: expected a .ckpt or .safetensors file, found none ({error})"
        ) from error
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: expected a whole safetensors file ({error})") from error
    content = _unpickle(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected tensors by name, got a {type(state).__name__}")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: expected tensors by name, got none ({len(state)} entries)")
    return tensors


def _unpickle(path: Path) -> Any:
    try:
        # Mapped, not copied: the published file is several gigabytes.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        found = _REFUSED_NAME.search(str(error))
        what = found[1] if found else "something else"
        raise CheckpointError(
            f"{path}: expected a pickle of tensors alone, refused to load {what}, which could run code; "
            "save its state_dict as safetensors where you trust it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint saved by torch, can't read it ({first_line(error)})"
        ) from error
