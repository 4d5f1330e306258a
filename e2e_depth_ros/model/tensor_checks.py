"""Whether stored tensors can be the weights of a network: their dtypes, and their values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError

MAX_WEIGHT: Final = 1e6
"""The largest weight that is believed: a broken bit can make 1e30 of a small one."""

_FLOATS: Final = ("F64", "F32", "F16", "BF16")
_HALVES: Final = ("F16", "BF16")


class TensorInfo(NamedTuple):
    """Where a tensor is stored, and its stored form."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


def check_dtypes(table: Mapping[str, TensorInfo], whole_numbers: Collection[str] = ()) -> None:
    """Refuse tensors that aren't stored as floating-point numbers: read as such they would be garbage.

    Args:
        table: See `read_tensor_table`.
        whole_numbers: Ends of the names of those that are no weights, but indices.

    Raises:
        CheckpointError: Names the file, the tensor and its dtype.
    """
    halves: dict[str, tuple[str, TensorInfo]] = {}
    for name, info in table.items():
        if name.endswith(tuple(whole_numbers)):
            continue
        if info.dtype not in _FLOATS:
            raise CheckpointError(f"{info.file}: expected {name} as {', '.join(_FLOATS)}, got {info.dtype}")
        if info.dtype in _HALVES:
            halves.setdefault(info.dtype, (name, info))
    if len(halves) > 1:  # each is garbage when read as the other, and no writer mixes them
        first, other = halves.values()
        raise CheckpointError(
            f"{other[1].file}: expected {other[0]} as {first[1].dtype} like {first[0]}, got {other[1].dtype}"
        )


def check_values(tensor: Tensor, name: str, file: Path) -> None:
    """Refuse a tensor with values that no training leaves behind.

    Raises:
        CheckpointError: Names the file, the tensor, and what is wrong with its values.
    """
    problem = problem_of(tensor)
    if problem:
        raise CheckpointError(f"{file}: {name} has {problem}")


def problem_of(tensor: Tensor) -> str | None:
    """Tell what is wrong with the values of a tensor; None where nothing is."""
    if tensor.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        return f"values of {tensor.dtype}, expected floating-point numbers"
    finite = torch.isfinite(tensor)
    if not finite.all():
        return f"{int((~finite).sum())} of {tensor.numel()} values that are not finite"
    largest = float(tensor.abs().max()) if tensor.numel() else 0.0
    if largest > MAX_WEIGHT:
        return f"values of up to {largest:.3g}, expected up to {MAX_WEIGHT:g}"
    return None
