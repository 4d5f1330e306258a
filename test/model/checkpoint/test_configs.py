"""Configs that lie are refused in one line, before a network is built of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.model.families.registry import load_checkpoint
from helpers.broken import change, refused

_UNET, _VAE = "unet/config.json", "vae/config.json"


_SCHEDULER, _INDEX = "scheduler/scheduler_config.json", "model_index.json"


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "checkpoint")


@pytest.mark.parametrize(
    "value", [0, 0.0, float("nan"), float("inf"), -0.18215, 1e30, 1e-30, "0.18215", True, [1]]
)
def test_refuses_impossible_scaling_factors(folder: Path, value: Any) -> None:
    change(folder / "vae" / "config.json", scaling_factor=value)
    refused(folder, rf"vae/config\.json: expected scaling_factor .*, got {re.escape(repr(value))}$")
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
        (
            _VAE,
            {"encoder_block_out_channels": [8, 4, 8], "decoder_block_out_channels": [8] * 3},
            "encoder_block_out_channels alike",
        ),
        (_VAE, {"decoder_block_out_channels": [8, 4]}, "decoder_block_out_channels alike"),
        (
            _VAE,
            {"encoder_block_out_channels": [8] * 3, "decoder_block_out_channels": [8] * 4},
            "decoder_block_out_channels with 3 entries, as encoder_block_out_channels has",
        ),
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
    change(folder / file, **changes)
    refused(folder, message)


def test_a_vae_that_shifts_by_nothing_is_read(folder: Path) -> None:
    change(folder / "vae" / "config.json", shift_factor=0.0, latents_mean=None)
    assert load_checkpoint(folder).facts.latent_channels == 4


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + " " * 5_000_000 + "1}"], ids=range(3)
)
def test_refuses_deep_and_long_json(folder: Path, text: str) -> None:
    for file in (_INDEX, _UNET, _SCHEDULER):
        before = (folder / file).read_text()
        (folder / file).write_text(text)
        refused(folder, rf"{Path(file).name}: expected a JSON object, could not read it")
        (folder / file).write_text(before)
