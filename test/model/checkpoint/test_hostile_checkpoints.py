"""A checkpoint that lies is refused in one line, before it costs memory or time, and never becomes depth."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from helpers.broken import change, refused

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_UNET, _VAE = "unet/config.json", "vae/config.json"
_SCHEDULER, _INDEX = "scheduler/scheduler_config.json", "model_index.json"


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "checkpoint")


def _rewrite_header(path: Path, edit: Callable[[str], str]) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = edit(content[8 : 8 + length].decode()).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])


def _relabel(path: Path, name: str, dtype: str) -> None:
    def edit(header: str) -> str:
        tensors = json.loads(header)
        tensors[name]["dtype"] = dtype
        return json.dumps(tensors)

    _rewrite_header(path, edit)


def _with_first_again(header: str) -> str:
    first = header[header.index('"conv_in.bias"') : header.index("]}") + 2]
    return f"{header.rstrip()[:-1]},{first}}}"


@pytest.mark.parametrize("dtype", ["I32", "U32"])
def test_refuses_whole_numbers_as_weights(folder: Path, dtype: str) -> None:
    _relabel(folder / "unet" / _WEIGHTS, "conv_in.bias", dtype)
    refused(folder, rf"unet/{_WEIGHTS}: expected conv_in\.bias as F64, F32, F16, BF16, got {dtype}")


@pytest.mark.parametrize("dtype", ["I16", "U16", "BF16"])
def test_refuses_half_precision_under_another_name(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, dtype: str
) -> None:
    folder = shutil.copytree(tiny_checkpoint("fp16"), tmp_path / "checkpoint")
    _relabel(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors", "decoder.conv_out.bias", dtype)
    refused(folder, rf"fp16\.safetensors: expected .* as .*F16.*, got (F16|{dtype})", torch.float16)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_refuses_other_dtypes(folder: Path, dtype: torch.dtype) -> None:
    path = folder / "vae" / _WEIGHTS
    tensors = load_file(path)
    tensors["decoder.conv_out.bias"] = tensors["decoder.conv_out.bias"].to(dtype)
    save_file(tensors, path)
    refused(folder, r"expected decoder\.conv_out\.bias as F64, F32, F16, BF16, got [A-Z0-9_]+$")


def test_floats_of_other_sizes_may_be_mixed(folder: Path) -> None:
    path = folder / "vae" / _WEIGHTS
    tensors = load_file(path)
    tensors["decoder.conv_out.bias"] = tensors["decoder.conv_out.bias"].half()
    tensors["decoder.conv_in.bias"] = tensors["decoder.conv_in.bias"].double()
    save_file(tensors, path)
    loaded = load_checkpoint(folder).model.vae.state_dict()
    torch.testing.assert_close(loaded["decoder.conv_in.bias"], tensors["decoder.conv_in.bias"].float())


@pytest.mark.parametrize("value", [1e30, -1e30, 1e7])
def test_refuses_a_weight_that_no_training_leaves(folder: Path, value: float) -> None:
    path = folder / "unet" / _WEIGHTS
    tensors = load_file(path)
    tensors["conv_out.weight"].view(-1)[7] = value
    save_file(tensors, path)
    refused(folder, rf"unet/{_WEIGHTS}: conv_out\.weight has values of up to 1e\+\d\d, expected up to 1e")


def test_refuses_permuted_shapes(folder: Path) -> None:
    path = folder / "unet" / _WEIGHTS
    tensors = load_file(path)
    weight = tensors["conv_in.weight"]  # (8, 8, 3, 3)
    for shape in ((3, 8, 8, 3), (64, 3, 3), (576,), (8, 8, 3, 3, 1)):
        save_file({**tensors, "conv_in.weight": weight.reshape(shape)}, path)
        refused(folder, r"conv_in\.weight: expected \(8, 8, 3, 3\), got \(")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("[0,", "[4,", 1), "whole safetensors file"),  # a gap, then an overlap
        (lambda text: text.replace('"shape":[8]', '"shape":[9]', 1), "whole safetensors file"),
        (lambda text: text.replace('"shape":[8]', '"shape":[-8]', 1), "whole safetensors file"),
        (lambda text: text.replace('"shape":[8]', f'"shape":[8,{2**63}]', 1), "whole safetensors file"),
        (lambda text: text.replace("F32", "F31", 1), "whole safetensors file"),
        (lambda text: text.rstrip()[:-1], "whole safetensors file"),
        (lambda _: "[" * 100_000, "whole safetensors file"),
        (lambda _: '{"a":' * 100_000, "whole safetensors file"),
        (_with_first_again, "each name once in its header, got conv_in.bias twice"),
    ],
    ids=["offsets", "shape", "negative", "overflow", "dtype", "cut", "brackets", "deep", "twice"],
)
def test_refuses_headers_that_lie(folder: Path, edit: Callable[[str], str], message: str) -> None:
    tensors = load_file(folder / "unet" / _WEIGHTS)
    first = {"conv_in.bias": tensors.pop("conv_in.bias")}
    save_file({**first, **tensors}, folder / "unet" / _WEIGHTS)
    _rewrite_header(folder / "unet" / _WEIGHTS, edit)
    refused(folder, f"unet/{_WEIGHTS}: .*{message}")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**8, 10**7, 5, 0])
def test_refuses_header_lengths_that_lie(folder: Path, length: int) -> None:
    path = folder / "unet" / _WEIGHTS
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refused(folder, f"unet/{_WEIGHTS}: expected a whole safetensors file")


def test_refuses_a_tensor_that_two_files_hold(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("sharded"), tmp_path / "checkpoint")
    one, other = sorted(folder.glob("unet/*-of-*.safetensors"))[:2]
    name, tensor = next(iter(load_file(one).items()))
    save_file({**load_file(other), name: tensor}, other)
    refused(folder, f"{other.name}: expected each tensor once, got {name} here and {name} in {one.name}")


def test_a_named_pipe_in_place_of_any_file_is_told(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = []
    for layout in ("marigold_depth", "embedded", "geowizard_v1"):
        source = tiny_checkpoint(layout)
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source)
            if name.name == "generation_config.json":
                continue
            folder = shutil.copytree(source, tmp_path / layout / name)
            (folder / name).unlink()
            os.mkfifo(folder / name)
            refused(folder, f"{name.name} is a named pipe")
            names.append(name.as_posix())
    assert {"model_index.json", f"unet/{_WEIGHTS}", "tokenizer/vocab.json", "text_encoder/config.json"} <= {
        *names
    }
    assert {"prompt_embedding.safetensors", "image_encoder/model.safetensors"} <= {*names}


def test_absurd_sizes_cost_no_memory(folder: Path, run_within_memory: Callable[..., Any]) -> None:
    """Sparse files of a terabyte, and configs to fit them."""
    change(folder / "unet" / "config.json", block_out_channels=[2**16, 2**16])
    size = 4 * 2**16 * 2**16 * 9
    header = json.dumps(
        {"conv_in.weight": {"dtype": "F32", "shape": [2**16, 2**16, 3, 3], "data_offsets": [0, size]}}
    )
    with (folder / "unet" / _WEIGHTS).open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header.encode())
        stream.truncate(8 + len(header) + size)
    done = run_within_memory(
        """
from pathlib import Path
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.core.errors import CheckpointError
""",
        """
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: load_checkpoint(Path(sys.argv[1]))
except CheckpointError as error: print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
""",
        folder,
        more_mb=2 << 20,  # of addresses: the file is mapped
    )
    assert done.returncode == 0, done.stderr
    message, grown_mb = done.stdout.splitlines()
    assert "tensors are missing" in message or "Cannot allocate memory" in message
    assert int(grown_mb) < 100


def test_a_processing_resolution_has_an_end(tiny_checkpoint: Callable[..., Path]) -> None:
    for resolution in (-1, 8193, 10**9):
        with pytest.raises(InvalidInputError, match=f"processing resolution of 0 to 8192, got {resolution}"):
            Estimator.load(tiny_checkpoint(), processing_resolution=resolution)


def test_the_shipped_checkpoint_passes() -> None:
    folder = find_checkpoint("embedded")
    assert read_facts(folder).processing_resolution == 160
    load_checkpoint(folder, dtype=torch.float16)
