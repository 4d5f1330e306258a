"""A checkpoint that lies is refused in one line, before it costs memory or time, and never becomes depth."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_UNET, _VAE = "unet/config.json", "vae/config.json"
_SCHEDULER, _INDEX = "scheduler/scheduler_config.json", "model_index.json"


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "checkpoint")


def _refused(folder: Path, message: str, dtype: torch.dtype = torch.float32) -> None:
    with pytest.raises(CheckpointError, match=message) as refusal:
        load_checkpoint(folder, dtype=dtype)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1500


def _change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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
    _refused(folder, rf"unet/{_WEIGHTS}: expected conv_in\.bias as F64, F32, F16, BF16, got {dtype}")


@pytest.mark.parametrize("dtype", ["I16", "U16", "BF16"])
def test_refuses_half_precision_under_another_name(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, dtype: str
) -> None:
    folder = shutil.copytree(tiny_checkpoint("fp16"), tmp_path / "checkpoint")
    _relabel(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors", "decoder.conv_out.bias", dtype)
    _refused(folder, rf"fp16\.safetensors: expected .* as .*F16.*, got (F16|{dtype})", torch.float16)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_refuses_other_dtypes(folder: Path, dtype: torch.dtype) -> None:
    path = folder / "vae" / _WEIGHTS
    tensors = load_file(path)
    tensors["decoder.conv_out.bias"] = tensors["decoder.conv_out.bias"].to(dtype)
    save_file(tensors, path)
    _refused(folder, r"expected decoder\.conv_out\.bias as F64, F32, F16, BF16, got [A-Z0-9_]+$")


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
    _refused(folder, rf"unet/{_WEIGHTS}: conv_out\.weight has values of up to 1e\+\d\d, expected up to 1e")


def test_refuses_permuted_shapes(folder: Path) -> None:
    path = folder / "unet" / _WEIGHTS
    tensors = load_file(path)
    weight = tensors["conv_in.weight"]  # (8, 8, 3, 3)
    for shape in ((3, 8, 8, 3), (64, 3, 3), (576,), (8, 8, 3, 3, 1)):
        save_file({**tensors, "conv_in.weight": weight.reshape(shape)}, path)
        _refused(folder, r"conv_in\.weight: expected \(8, 8, 3, 3\), got \(")


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
    _refused(folder, f"unet/{_WEIGHTS}: .*{message}")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**8, 10**7, 5, 0])
def test_refuses_header_lengths_that_lie(folder: Path, length: int) -> None:
    path = folder / "unet" / _WEIGHTS
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    _refused(folder, f"unet/{_WEIGHTS}: expected a whole safetensors file")


def test_refuses_a_tensor_that_two_files_hold(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("sharded"), tmp_path / "checkpoint")
    one, other = sorted(folder.glob("unet/*-of-*.safetensors"))[:2]
    name, tensor = next(iter(load_file(one).items()))
    save_file({**load_file(other), name: tensor}, other)
    _refused(folder, f"{other.name}: expected each tensor once, got {name} here and {name} in {one.name}")


@pytest.mark.parametrize(
    "value", [0, 0.0, float("nan"), float("inf"), -0.18215, 1e30, 1e-30, "0.18215", True, [1]]
)
def test_refuses_impossible_scaling_factors(folder: Path, value: Any) -> None:
    _change(folder / "vae" / "config.json", scaling_factor=value)
    _refused(folder, rf"vae/config\.json: expected scaling_factor .*, got {re.escape(repr(value))}$")
    with pytest.raises(CheckpointError, match="scaling_factor"):
        load_autoencoder(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (_VAE, {"shift_factor": 0.0609}, "shift_factor null or 0, got 0.0609"),
        (_VAE, {"shift_factor": "0"}, "shift_factor null or 0"),
        (_VAE, {"latents_mean": [0.1] * 4}, "latents_mean null"),
        (_VAE, {"latents_std": [1] * 4}, "latents_std null"),
        (_VAE, {"latent_channels": "four"}, "latent_channels of 1 to 65536, got 'four'"),
        (_VAE, {"latent_channels": 0}, "latent_channels"),
        (_VAE, {"block_out_channels": []}, "block_out_channels with 1 to 16 entries"),
        (_VAE, {"block_out_channels": [8] * 100_000}, "block_out_channels with 1 to 16"),
        (_VAE, {"block_out_channels": ["8"] * 4}, "block_out_channels of 1 to 65536"),
        (_VAE, {"layers_per_block": 10**6}, "layers_per_block of 0 to 1024, got 1000000"),
        (_UNET, {"layers_per_block": 10**6}, "layers_per_block of 0 to 1024"),
        (_UNET, {"layers_per_block": 1000}, "for up to 1024 layers, not 2000"),
        (_UNET, {"transformer_layers_per_block": 10**6}, "transformer_layers_per_block of 0"),
        (_UNET, {"transformer_layers_per_block": [[10**6]]}, "transformer_layers_per_block of 0"),
        (_UNET, {"block_out_channels": [10**9, 10**9]}, "block_out_channels of 1 to 65536"),
        (_UNET, {"block_out_channels": [2**16, 2**16]}, "tensors don't belong"),
        (_UNET, {"block_out_channels": 8}, "block_out_channels with 1 to 16"),
        (_UNET, {"sample_size": 10**9}, "sample_size of 1 to 65536"),
        (_UNET, {"sample_size": [10**9, 1]}, "sample_size of 1 to 65536"),
        (_UNET, {"sample_size": "wide"}, "sample_size of 1 to 65536, got 'wide'"),
        (_UNET, {"in_channels": True}, "in_channels of 1 to 65536, got True"),
        (_UNET, {"norm_num_groups": 0}, "norm_num_groups"),
        (_UNET, {"norm_num_groups": 7}, "diffusers can't build"),
        (_UNET, {"norm_eps": float("nan")}, "norm_eps to be finite"),
        (_UNET, {"attention_head_dim": [0, 0]}, "attention_head_dim"),
        (_UNET, {"time_embedding_dim": 10**12}, "time_embedding_dim of up to 65536"),
        (_UNET, {"down_block_types": ["DownBlock2D"] * 10**5}, "down_block_types with up to 16"),
        (_UNET, {"down_block_types": "x" * 10**6}, "down_block_types of up to 1000 characters"),
        (_UNET, {"cross_attention_dim": "x" * 10**6}, "cross_attention_dim"),
        (_SCHEDULER, {"num_train_timesteps": 0}, "num_train_timesteps of 1 to 100000, got 0"),
        (_SCHEDULER, {"num_train_timesteps": 10**9}, "num_train_timesteps of 1"),
        (_SCHEDULER, {"num_train_timesteps": [1000]}, "num_train_timesteps as one number"),
        (_SCHEDULER, {"num_train_timesteps": 999.5}, "num_train_timesteps of 1"),
        (_SCHEDULER, {"beta_start": float("nan")}, "beta_start of 0 to 1, got nan"),
        (_SCHEDULER, {"beta_end": float("inf")}, "beta_end of 0 to 1, got inf"),
        (_SCHEDULER, {"beta_end": -1}, "beta_end of 0 to 1, got -1"),
        (_SCHEDULER, {"beta_end": "0.012"}, "beta_end of 0 to 1"),
        (_SCHEDULER, {"trained_betas": [0.1, float("nan")]}, "trained_betas of 0 to 1"),
        (_SCHEDULER, {"trained_betas": [[0.1]]}, "trained_betas as a list"),
        (_SCHEDULER, {"trained_betas": []}, "trained_betas with 1"),
        (
            _SCHEDULER,
            {"beta_start": 0, "beta_end": 0, "rescale_betas_zero_snr": True},
            "leave 0..1 of the signal",
        ),
        (_SCHEDULER, {"set_alpha_to_one": "false"}, "set_alpha_to_one true or false, got 'false'"),
        (_SCHEDULER, {"clip_sample": True, "clip_sample_range": 0}, "clip_sample_range"),
        (_INDEX, {"default_processing_resolution": 10**9}, "default_processing_resolution of 0 to 8192"),
        (_INDEX, {"default_processing_resolution": -1}, "default_processing_resolution of 0"),
        (_INDEX, {"default_processing_resolution": "768"}, "default_processing_resolution of 0"),
        (_INDEX, {"default_denoising_steps": 10**9}, "default_denoising_steps of 1"),
        (_INDEX, {"default_denoising_steps": "1"}, "default_denoising_steps of 1"),
        (_INDEX, {"scale_invariant": "false"}, "scale_invariant true or false, got 'false'"),
        (_INDEX, {"tasks": []}, "tasks like"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refuses_impossible_configs(folder: Path, file: str, changes: dict[str, Any], message: str) -> None:
    _change(folder / file, **changes)
    _refused(folder, message)


def test_a_vae_that_shifts_by_nothing_is_read(folder: Path) -> None:
    _change(folder / "vae" / "config.json", shift_factor=0.0, latents_mean=None)
    assert load_checkpoint(folder).facts.latent_channels == 4


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + " " * 5_000_000 + "1}"], ids=range(3)
)
def test_refuses_deep_and_long_json(folder: Path, text: str) -> None:
    for file in (_INDEX, _UNET, _SCHEDULER):
        before = (folder / file).read_text()
        (folder / file).write_text(text)
        _refused(folder, rf"{Path(file).name}: expected a JSON object, could not read it")
        (folder / file).write_text(before)


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
            _refused(folder, f"{name.name} is a named pipe")
            names.append(name.as_posix())
    assert {"model_index.json", f"unet/{_WEIGHTS}", "tokenizer/vocab.json", "text_encoder/config.json"} <= {
        *names
    }
    assert {"prompt_embedding.safetensors", "image_encoder/model.safetensors"} <= {*names}


def test_refuses_prompts_that_ask_for_all_memory(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "checkpoint")
    path = folder / "prompt_embedding.safetensors"
    for embedding, message in (
        (torch.zeros(1, 100_000, 12), r"shape \(1, 1\.\.1024, 12\), got \(1, 100000, 12\)"),
        (torch.zeros(1, 0, 12), r"got \(1, 0, 12\)"),
        (torch.full((1, 2, 12), 1e30), "values of up to 1e.30"),
        (torch.zeros(1, 2, 12, dtype=torch.int32), "got I32"),
    ):
        save_file({"depth": embedding, "normals": embedding.clone()}, path)
        _refused(folder, f"prompt_embedding.*{message}")


def test_refuses_text_encoders_that_lie(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, (changes, message) in enumerate(
        (
            ({"hidden_size": 10**9}, "hidden_size of up to 65536"),
            ({"num_hidden_layers": 10**6}, "num_hidden_layers of 0 to 1024"),
            ({"hidden_size": "wide"}, "transformers can't build"),
            ({"hidden_size": 24}, "text_encoder: "),
        )
    ):
        folder = shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / str(number))
        _change(folder / "text_encoder" / "config.json", **changes)
        _refused(folder, message)
    path = folder / "text_encoder" / "model.safetensors"
    for broken, message in (
        (lambda t: t.to(torch.int32), "got I32"),
        (lambda t: t * 1e30, "values of up to"),
    ):
        shutil.rmtree(folder)
        shutil.copytree(tiny_checkpoint("marigold_depth"), folder)
        tensors = load_file(path)
        name = next(name for name in tensors if name.endswith("token_embedding.weight"))
        save_file({**tensors, name: broken(tensors[name] + 1)}, path, {"format": "pt"})
        _refused(folder, f"token_embedding.*{message}")


def test_absurd_sizes_cost_no_memory(folder: Path, run_within_memory: Callable[..., Any]) -> None:
    """Sparse files of a terabyte, and configs to fit them."""
    _change(folder / "unet" / "config.json", block_out_channels=[2**16, 2**16])
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
