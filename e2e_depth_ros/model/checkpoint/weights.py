"""Tensors from safetensors files into modules, each checked: present, of the right shape, finite."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.core.user_file import check_file, open_file
from e2e_depth_ros.model.checkpoint.configs import check_vae_config, read_json
from e2e_depth_ros.model.checkpoint.locate import weight_files

MAX_WEIGHT: Final = 1e6
"""The largest weight that is believed: a broken bit can make 1e30 of a small one."""

_FLOATS: Final = ("F64", "F32", "F16", "BF16")
_HALVES: Final = ("F16", "BF16")

# RuntimeError is torch's where it can't map a file that is larger than memory.
_UNREADABLE = (SafetensorError, OSError, ValueError, RuntimeError)
_SHOWN = 3  # names in an error message
_NUMBERS_OF_A_PART: Final = 1 << 26  # read from an open file: 128 to 256 MB
_MAX_HEADER_BYTES = 1 << 24  # a UNet's names, shapes and offsets take a hundredth

# Up to version 0.16 diffusers named the VAE's attention layers otherwise; published files still do.
_OLD_ATTENTION_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_ATTENTION = re.compile(r"(.*\.attentions\.\d+\.)(query|key|value|proj_attn)(\.(?:weight|bias))")


class TensorInfo(NamedTuple):
    """Where a tensor is stored, and its stored form."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int  # of its first byte in the file


def read_tensor_table(files: Iterable[Path]) -> dict[str, TensorInfo]:
    """List the tensors of safetensors files by their present-day names, reading no data.

    Raises:
        CheckpointError: A file is empty, cut off, a git-lfs pointer, or no safetensors file; or a tensor is
            there twice.
    """
    table: dict[str, TensorInfo] = {}
    for file in files:
        try:
            begin, header = _read_header(file)
            with safe_open(file, framework="pt") as handle:
                for stored_name in handle.keys():  # noqa: SIM118 - not a mapping
                    stored = handle.get_slice(stored_name)
                    shape, dtype = tuple(stored.get_shape()), str(stored.get_dtype())
                    offset = begin + header[stored_name]["data_offsets"][0]
                    info = TensorInfo(file, stored_name, shape, dtype, offset)
                    name = _present_day_name(stored_name)
                    if name in table:
                        raise CheckpointError(
                            f"{file}: expected each tensor once, got {stored_name} here and "
                            f"{table[name].name} in {table[name].file.name}"
                        )
                    table[name] = info
        except _UNREADABLE as error:  # noqa: PERF203 - a few files
            raise CheckpointError(_why_unreadable(file, error)) from error
    return table


def empty_module(name: str, module_class: Any, config: Mapping[str, Any]) -> nn.Module:
    """Build one of diffusers' modules on the meta device, without memory for its weights.

    Args:
        name: Of the checkpoint, for errors.
        module_class: Of diffusers.
        config: As `check_network_config` lets it pass.

    Raises:
        CheckpointError: Such a module can't be built.
    """
    try:
        with torch.device("meta"):
            module: nn.Module = module_class.from_config(dict(config))
    except Exception as error:  # a config can make diffusers fail anywhere
        raise CheckpointError(
            f"{name}: diffusers can't build the network of its configs ({first_line(error)})"
        ) from error
    return module


def empty_unet(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a UNet without memory for its weights; see `empty_module`."""
    from diffusers.models import UNet2DConditionModel  # noqa: PLC0415 - slow

    return empty_module(name, UNet2DConditionModel, config)


def empty_autoencoder(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Build an AutoencoderKL or AutoencoderTiny without memory for its weights; see `empty_module`."""
    from diffusers.models import AutoencoderKL, AutoencoderTiny  # noqa: PLC0415 - slow

    is_tiny = "encoder_block_out_channels" in config
    return empty_module(name, AutoencoderTiny if is_tiny else AutoencoderKL, without_derived(config))


def load_autoencoder(folder: Path) -> nn.Module:
    """Load the autoencoder of a checkpoint, or of a folder with nothing else, in float32 onto the CPU.

    Raises:
        CheckpointError: Something is missing, broken, of the wrong shape or not finite, by name.
    """
    path = folder / "vae" / "config.json"
    config = read_json(path)
    check_vae_config(config, path)
    vae = empty_autoencoder(str(folder), config)
    load_weights(vae, weight_files(folder / "vae", torch.float32), torch.float32)
    return vae


def without_derived(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what AutoencoderTiny adds to its config though it takes no such argument, and warns of."""
    is_tiny = "encoder_block_out_channels" in config
    return {key: value for key, value in config.items() if not (is_tiny and key == "block_out_channels")}


def load_weights(module: nn.Module, files: Iterable[Path], dtype: torch.dtype) -> None:
    """Fill a module, which may be on the meta device, with the tensors of safetensors files.

    Args:
        module: Every tensor of its state must be in the files, and nothing else.
        files: Where the tensors are.
        dtype: What they are converted to.

    Raises:
        CheckpointError: A tensor is missing, unexpected, of the wrong shape or dtype, or not finite.
    """
    table = check_tensors(module, files)
    state = {name: tensor for name, tensor in _read_tensors(table, module, dtype)}  # noqa: C416
    module.load_state_dict(state, strict=True, assign=True)


def check_tensors(module: nn.Module, files: Iterable[Path]) -> dict[str, TensorInfo]:
    """Make sure that files have a module's tensors, and tell where; no data is read; see `load_weights`."""
    files = tuple(files)
    table = read_tensor_table(files)
    _check_table(table, module, files[0].parent)
    check_dtypes(table)
    return table


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
    largest = _largest(tensor)
    if not math.isfinite(largest):
        broken = tensor.numel() - int(torch.isfinite(tensor).sum())
        return f"{broken} of {tensor.numel()} values that are not finite"
    if largest > MAX_WEIGHT:
        return f"values of up to {largest:.3g}, expected up to {MAX_WEIGHT:g}"
    return None


def _largest(tensor: Tensor) -> float:
    """Return the largest magnitude, NaN where a value is, in one pass and without a copy of the tensor."""
    if tensor.numel() == 0:
        return 0.0
    low, high = (float(extreme) for extreme in torch.aminmax(tensor.detach()))
    return max(abs(low), abs(high))


def _read_header(file: Path) -> tuple[int, Any]:
    """Read where the data begin, and the header; the library, which opens the file next, checks the latter.

    One that names a tensor twice is refused: the library keeps one of the two, and says nothing.
    """
    with open_file(file) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _MAX_HEADER_BYTES:
            raise InvalidInputError(f"expected a header of up to {_MAX_HEADER_BYTES} bytes, got {length}")
        try:
            return 8 + length, json.loads(stream.read(length), object_pairs_hook=_unique)
        except RecursionError as error:
            raise InvalidInputError("expected a header of names, got one nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidInputError(f"expected each name once in its header, got {twice} twice")
    return content


def _present_day_name(name: str) -> str:
    match = _OLD_ATTENTION.fullmatch(name)
    return f"{match[1]}{_OLD_ATTENTION_NAMES[match[2]]}{match[3]}" if match else name


def _check_table(table: Mapping[str, TensorInfo], module: nn.Module, folder: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    missing = sorted(expected.keys() - table.keys())
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} of {len(expected)} tensors are missing ({_some(missing)})"
        )
    unexpected = sorted(table.keys() - expected.keys())
    if unexpected:
        raise CheckpointError(
            f"{folder}: {len(unexpected)} tensors don't belong to a {type(module).__name__} of this config "
            f"({_some(unexpected)})"
        )
    wrong = [
        f"{name}: expected {shape}, got {table[name].shape}"
        for name, shape in expected.items()
        if not _same_shape(table[name].shape, shape)
    ]
    if wrong:
        raise CheckpointError(f"{folder}: {len(wrong)} tensors of the wrong shape ({_some(wrong)})")


def _same_shape(stored: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Tell whether shapes agree; old files store linear layers as convolutions of 1 x 1."""
    return stored == expected or (stored[2:] == (1, 1) and stored[:2] == expected)


def _read_tensors(
    table: Mapping[str, TensorInfo], module: nn.Module, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    for part in _parts(table):
        # A file that is open keeps in memory what was read of it: each part opens it anew.
        with safe_open(part[0][1].file, framework="pt") as handle:
            for name, info in part:
                stored: Tensor = handle.get_tensor(info.name)
                check_values(stored, name, info.file)
                # A copy: what was read is a map of the file, unaligned, and gone if the file shrinks.
                tensor = stored.to(dtype, copy=True)
                if dtype == torch.float16 and not math.isfinite(_largest(tensor)):
                    raise CheckpointError(
                        f"{info.file}: {name} has values of up to {_largest(stored):.3g}, "
                        "too large for float16; use bfloat16 or float32"
                    )
                yield name, tensor.reshape(shapes[name])


def _parts(table: Mapping[str, TensorInfo]) -> Iterator[list[tuple[str, TensorInfo]]]:
    """Part tensors into lists, each of one file and of few bytes."""
    part: list[tuple[str, TensorInfo]] = []
    numbers = 0
    for name, info in sorted(table.items(), key=lambda item: item[1].file):
        size = math.prod(info.shape)
        if part and (info.file != part[0][1].file or numbers + size > _NUMBERS_OF_A_PART):
            yield part
            part, numbers = [], 0
        part.append((name, info))
        numbers += size
    if part:
        yield part


def _why_unreadable(file: Path, error: Exception) -> str:
    try:
        check_file(file)
    except InvalidInputError as what:
        return str(what)
    size = file.stat().st_size
    if size == 0:
        return f"{file}: expected a safetensors file, got an empty one; download it again"
    with file.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(b"version https://git-lfs"):
        return (
            f"{file}: expected a safetensors file, got a git-lfs pointer of {size} bytes; "
            "run `git lfs pull` there, or download the file itself"
        )
    return f"{file}: expected a whole safetensors file, could not read these {size} bytes ({error})"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown
