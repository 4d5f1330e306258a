"""Tensors from safetensors files into modules, each checked: present, of the right shape, finite."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, first_line
from e2e_depth_ros.core.user_file import MAX_JSON_BYTES, check_file, json_from_text, open_file, read_text
from e2e_depth_ros.model.tensor_checks import TensorInfo, check_dtypes, check_values

MODEL_STEM = "diffusion_pytorch_model"
"""How diffusers names the weights of a component; transformers says "model"."""

_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".msgpack", ".h5")
# RuntimeError is torch's where it can't map a file that is larger than memory.
_UNREADABLE = (SafetensorError, OSError, ValueError, RuntimeError)
_SHOWN = 3  # names in an error message
_MAX_HEADER_BYTES = 1 << 24  # a UNet's names, shapes and offsets take a hundredth

# Up to version 0.16 diffusers named the VAE's attention layers otherwise; published files still do.
_OLD_ATTENTION_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_ATTENTION = re.compile(r"(.*\.attentions\.\d+\.)(query|key|value|proj_attn)(\.(?:weight|bias))")


def choose_weights(names: Collection[str], dtype: torch.dtype, stem: str = MODEL_STEM) -> str | None:
    """Choose among a component's files: the variant that fits the dtype, or else what there is.

    Args:
        names: File names in the component's folder.
        dtype: What the weights will be used in.
        stem: How the file names begin.

    Returns:
        The name of a safetensors file, or of the index of a sharded one; None where there is neither.
    """
    preferred = {torch.float16: ("fp16", ""), torch.bfloat16: ("bf16", "fp16", "")}.get(dtype, ("",))
    for variant in (*preferred, "", "fp16", "bf16"):
        dotted = f".{variant}" if variant else ""
        for name in (
            f"{stem}{dotted}.safetensors",
            f"{stem}.safetensors.index{dotted}.json",
            f"{stem}{dotted}.safetensors.index.json",
        ):
            if name in names:
                return name
    return None


def variant_of(name: str) -> str:
    """Return the variant of a weight file, a shard or an index: "fp16", "bf16" or ""."""
    return next((variant for variant in ("fp16", "bf16") if f".{variant}" in name), "")


def weight_files(folder: Path, dtype: torch.dtype, stem: str = MODEL_STEM) -> tuple[Path, ...]:
    """Return the safetensors files that hold a component, several where it is sharded.

    Raises:
        CheckpointError: There are none, only pickles, or a shard is missing.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    chosen = choose_weights(names, dtype, stem)
    if chosen is None:
        pickles = sorted(name for name in names if name.endswith(_PICKLES))
        if pickles:
            raise CheckpointError(
                f"{folder}: expected safetensors, got only {', '.join(pickles)}; a pickle can run code when "
                "it is read, so it is refused. Save the checkpoint again with diffusers' save_pretrained"
            )
        raise CheckpointError(f"{folder}: expected {stem}.safetensors, found no weights; download it again")
    if not chosen.endswith(".json"):
        return (folder / chosen,)
    weight_map = read_json(folder / chosen).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder / chosen}: expected a weight_map that names the shards")
    shards = sorted({str(shard) for shard in weight_map.values()})
    missing = [shard for shard in shards if shard not in names]
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} of {len(shards)} shards are missing ({_some(missing)}); "
            "download it again"
        )
    return tuple(folder / shard for shard in shards)


def read_tensor_table(files: Iterable[Path]) -> dict[str, TensorInfo]:
    """List the tensors of safetensors files by their present-day names, reading no data.

    Raises:
        CheckpointError: A file is empty, cut off, a git-lfs pointer, or no safetensors file; or a tensor is
            there twice.
    """
    table: dict[str, TensorInfo] = {}
    for file in files:
        try:
            _check_header(file)
            with safe_open(file, framework="pt") as handle:
                for stored_name in handle.keys():  # noqa: SIM118 - not a mapping
                    stored = handle.get_slice(stored_name)
                    info = TensorInfo(file, stored_name, tuple(stored.get_shape()), str(stored.get_dtype()))
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


def load_weights(module: nn.Module, files: Iterable[Path], dtype: torch.dtype) -> None:
    """Fill a module, which may be on the meta device, with the tensors of safetensors files.

    Args:
        module: Every tensor of its state must be in the files, and nothing else.
        files: Where the tensors are.
        dtype: What they are converted to.

    Raises:
        CheckpointError: A tensor is missing, unexpected, of the wrong shape or dtype, or not finite.
    """
    files = tuple(files)
    table = read_tensor_table(files)
    _check_table(table, module, files[0].parent)
    check_dtypes(table)
    state = {name: tensor for name, tensor in _read_tensors(table, module, dtype)}  # noqa: C416
    module.load_state_dict(state, strict=True, assign=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hash_of(path, hashlib.sha256())


def hash_of(path: Path, digest: Any) -> str:
    """Feed a file to a digest of hashlib, and return what comes out, in hexadecimal.

    Raises:
        CheckpointError: It is no file.
    """
    try:
        with open_file(path) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except InvalidInputError as error:
        raise CheckpointError(str(error)) from error
    return str(digest.hexdigest())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing, broken, or holds something else.
    """
    try:
        content = json_from_text(read_text(path, MAX_JSON_BYTES))
    except ValueError as error:
        raise CheckpointError(f"{path}: expected a JSON object, could not read it ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return content


def _check_header(file: Path) -> None:
    """Refuse a header that names a tensor twice: the library keeps one of the two, and says nothing."""
    with open_file(file) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _MAX_HEADER_BYTES:
            raise InvalidInputError(f"expected a header of up to {_MAX_HEADER_BYTES} bytes, got {length}")
        try:
            json.loads(stream.read(length), object_pairs_hook=_unique)
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
    for file in sorted({info.file for info in table.values()}):
        with safe_open(file, framework="pt") as handle:
            for name, info in table.items():
                if info.file != file:
                    continue
                stored: Tensor = handle.get_tensor(info.name)
                check_values(stored, name, file)
                # A copy: what was read is a map of the file, unaligned, and gone if the file shrinks.
                tensor = stored.to(dtype, copy=True)
                if tensor.dtype == torch.float16 and not torch.isfinite(tensor).all():
                    raise CheckpointError(
                        f"{file}: {name} has values of up to {float(stored.abs().max()):.3g}, "
                        "too large for float16; use bfloat16 or float32"
                    )
                yield name, tensor.reshape(shapes[name])


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
