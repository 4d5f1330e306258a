from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny, MarigoldDepthPipeline, MarigoldNormalsPipeline
from safetensors.torch import load_file, save_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint import (
    facts_of_new_model,
    load_checkpoint,
    read_facts,
    write_checkpoint,
)
from e2e_depth_ros.model.latent_network import LatentNetwork
from e2e_depth_ros.model.task import Task

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


def test_what_is_written_is_what_is_read(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    written = write_checkpoint(tmp_path / "new" / "written", original.model, original.facts)
    again = load_checkpoint(written)
    assert again.facts.tasks == original.facts.tasks
    assert again.facts.step == original.facts.step
    assert again.facts.processing_resolution == original.facts.processing_resolution
    for name, tensor in original.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name  # fp16 as it was
    assert [path.name for path in written.parent.iterdir()] == ["written"]


def test_diffusers_reads_what_is_written(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint("embedded")).model
    new = LatentNetwork(
        model.unet, model.vae, {task: model.prompt_embedding(task) for task in Task}, model.sampler
    )
    facts = facts_of_new_model("new", new.unet, new.vae, tasks=list(Task), processing_resolution=72)
    written = write_checkpoint(tmp_path / "written", new, facts)
    for pipeline_class in (MarigoldDepthPipeline, MarigoldNormalsPipeline):
        pipeline = pipeline_class.from_pretrained(written, variant="fp16", text_encoder=None, tokenizer=None)
        assert pipeline.default_processing_resolution == 72
        assert pipeline.scheduler.config.timestep_spacing == "trailing"


def test_whoever_the_umask_lets_may_read_what_is_written(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    before = os.umask(0o027)
    try:
        folder = write_checkpoint(tmp_path / "written", original.model, original.facts)
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".safetensors" for path in files) == 3  # UNet, VAE, prompt
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir() if path.is_dir()} == {"0o750"}


def test_loading_a_tiny_vae_warns_of_nothing(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    diffusers_logger = logging.getLogger("diffusers")
    diffusers_logger.addHandler(caplog.handler)  # diffusers' own doesn't propagate
    try:
        original = load_checkpoint(tiny_checkpoint("tiny_vae"))
        assert original.facts.has_tiny_vae
        written = write_checkpoint(tmp_path / "written", original.model, original.facts)
        AutoencoderTiny.from_pretrained(written / "vae", variant="fp16")
    finally:
        diffusers_logger.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert load_checkpoint(written).facts.down_factor == original.facts.down_factor


def test_writing_again_keeps_the_model_card(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    folder = write_checkpoint(tmp_path / "written", original.model, original.facts)
    (folder / "README.md").write_text("card")
    write_checkpoint(folder, original.model, original.facts, torch.float32)
    assert (folder / "README.md").read_text() == "card"
    assert [path.name for path in folder.glob("unet/*.safetensors")] == [_WEIGHTS]
    assert read_facts(folder).tasks == set(Task)


def test_writes_nothing_that_is_not_finite(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    with torch.no_grad():
        original.model.vae.decoder.conv_out.bias.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"decoder\.conv_out\.bias.*not written"):
        write_checkpoint(tmp_path / "written", original.model, original.facts)
    assert list(tmp_path.iterdir()) == []
