from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.registry import load_checkpoint

_WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "checkpoint")


def _edit(path: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def _refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_refuses_a_missing_tensor(folder: Path) -> None:
    _edit(folder / "unet" / _WEIGHTS, lambda tensors: tensors.pop("conv_in.bias"))
    _refused(folder, r"unet: 1 of \d+ tensors are missing \(conv_in\.bias\)")


def test_refuses_an_unexpected_tensor(folder: Path) -> None:
    _edit(folder / "vae" / _WEIGHTS, lambda tensors: tensors.update(extra=torch.zeros(1)))
    _refused(folder, r"vae: 1 tensors don't belong to a AutoencoderKL of this config \(extra\)")


def test_refuses_a_wrong_shape(folder: Path) -> None:
    _edit(folder / "unet" / _WEIGHTS, lambda tensors: tensors.update({"conv_in.bias": torch.zeros(5)}))
    _refused(folder, r"conv_in\.bias: expected \(8,\), got \(5,\)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_values_that_are_not_finite(folder: Path, value: float) -> None:
    _edit(folder / "vae" / _WEIGHTS, lambda tensors: tensors["decoder.conv_out.bias"][1:].fill_(value))
    _refused(folder, r"decoder\.conv_out\.bias has 2 of 3 values that are not finite")


def test_refuses_values_too_large_for_float16(folder: Path) -> None:
    _edit(folder / "vae" / _WEIGHTS, lambda tensors: tensors["decoder.conv_out.bias"].fill_(1e5))
    load_checkpoint(folder)
    with pytest.raises(CheckpointError, match=r"decoder\.conv_out\.bias has values of up to 1e\+05"):
        load_checkpoint(folder, dtype=torch.float16)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty one"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs pointer"),
        (b"\x80\x02}q\x00.", "could not read these 6 bytes"),
    ],
)
def test_refuses_a_file_that_is_no_safetensors(folder: Path, content: bytes, message: str) -> None:
    (folder / "unet" / _WEIGHTS).write_bytes(content)
    _refused(folder, f"unet/{_WEIGHTS}: expected a .*{message}")


def test_refuses_a_file_that_was_cut_off(folder: Path) -> None:
    path = folder / "vae" / _WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    _refused(folder, f"vae/{_WEIGHTS}: expected a whole safetensors file")


def test_refuses_pickles(folder: Path) -> None:
    (folder / "unet" / _WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    _refused(folder, r"only diffusion_pytorch_model\.bin; a pickle can run code")


def test_refuses_a_component_without_weights(folder: Path) -> None:
    (folder / "vae" / _WEIGHTS).unlink()
    _refused(folder, f"vae: expected {_WEIGHTS}, found no weights")


def test_refuses_a_config_that_diffusers_cannot_build(folder: Path) -> None:
    path = folder / "unet" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "down_block_types": ["NoSuchBlock", "DownBlock2D"]}))
    _refused(folder, "diffusers can't build")


def test_refuses_a_missing_shard(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("sharded"), tmp_path / "checkpoint")
    next(folder.glob("unet/*-00002-of-*")).unlink()
    _refused(folder, r"1 of \d+ shards are missing \(diffusion_pytorch_model-00002-of-")


def test_half_weights_are_preferred_for_half_precision(folder: Path) -> None:
    full = load_file(folder / "unet" / _WEIGHTS)
    marked = {name: tensor.half() for name, tensor in full.items()}
    marked["conv_in.bias"] = torch.full_like(marked["conv_in.bias"], 0.5)
    save_file(marked, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    half, single = load_checkpoint(folder, dtype=torch.float16), load_checkpoint(folder)
    assert half.model.unet.conv_in.bias.unique().tolist() == [0.5]
    assert single.model.unet.conv_in.bias.dtype == torch.float32
    torch.testing.assert_close(single.model.unet.conv_in.bias.data, full["conv_in.bias"])


def test_reads_old_names_of_attention(folder: Path) -> None:
    def age(tensors: dict[str, torch.Tensor]) -> None:
        old_names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        for name in [name for name in tensors if ".attentions.0.to_" in name]:
            new = next(part for part in old_names if f".{part}." in name)
            tensor = tensors.pop(name)
            tensor = tensor[..., None, None] if tensor.ndim == 2 else tensor
            tensors[name.replace(new, old_names[new])] = tensor.contiguous()

    expected = load_checkpoint(folder).model.vae.state_dict()
    _edit(folder / "vae" / _WEIGHTS, age)
    assert any("proj_attn" in name for name in load_file(folder / "vae" / _WEIGHTS))
    for name, tensor in load_checkpoint(folder).model.vae.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
