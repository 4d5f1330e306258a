"""A converted checkpoint computes what the original did, and no tensor goes astray."""

from __future__ import annotations

import json
import re

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file, save_file

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.instruct.conversion import convert_checkpoint
from helpers.ldm_tiny import make_ldm_checkpoint, write_tokenizer


@torch.no_grad()
def test_unet_computes_what_the_original_computes(converted):
    unet = UNet2DConditionModel.from_pretrained(converted.folder / "unet", use_safetensors=True).eval()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 8, 12, 20, generator=generator)
    timesteps = torch.tensor([811.0, 17.25])  # they may fall between two
    context = torch.randn(2, 77, 128, generator=generator)
    expected = converted.original.unet(x, timesteps, context)
    assert expected.std() > 0.1
    torch.testing.assert_close(unet(x, timesteps, context).sample, expected, rtol=0, atol=2e-5)


@torch.no_grad()
def test_vae_computes_what_the_original_computes(converted):
    vae = AutoencoderKL.from_pretrained(converted.folder / "vae", use_safetensors=True).eval()
    images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(2)) * 2 - 1
    latents = converted.original.vae.encode(images)
    assert latents.shape == (2, 4, 5, 7)
    torch.testing.assert_close(vae.encode(images).latent_dist.mode(), latents, rtol=0, atol=2e-5)
    decoded = converted.original.vae.decode(latents)
    torch.testing.assert_close(vae.decode(latents).sample, decoded, rtol=0, atol=2e-5)
    assert vae.config.scaling_factor == 0.18215


def test_tensors_are_named_as_diffusers_names_them(converted):
    tensors = converted.original.tensors
    for component, convert in (("unet", convert_ldm_unet_checkpoint), ("vae", convert_ldm_vae_checkpoint)):
        config = json.loads((converted.folder / component / "config.json").read_text())
        expected = convert(dict(tensors), config)
        found = load_file(converted.folder / component / "diffusion_pytorch_model.safetensors")
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name].reshape(found[name].shape)) for name in found)


def test_every_tensor_is_accounted_for(converted):
    conversion = converted.conversion
    assert conversion.written == len(converted.original.tensors)
    assert conversion.from_ema == 0
    assert conversion.unused == ()


def test_pipeline_of_diffusers_loads_it(converted):
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(converted.folder)
    assert isinstance(pipeline.scheduler, EulerAncestralDiscreteScheduler)
    assert pipeline.tokenizer.model_max_length == 77
    assert pipeline.tokenizer("ab").input_ids == [512, 64, 321, 513]  # begin, "a", "b</w>", end


def test_moving_averages_are_taken_and_the_rest_is_named(converted, save_ldm, tmp_path):
    tensors = converted.original.tensors
    unet = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    averages = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): tensor + 0.5
        for name, tensor in unet.items()
    }
    schedule = EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).alphas_cumprod
    others = {
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(7),
        "alphas_cumprod": schedule,
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "first_stage_model.loss.logvar": torch.tensor(0.0),
    }
    scale = {"scale_factor": torch.tensor(0.25)}
    source = save_ldm({**tensors, **averages, **others, **scale})
    conversion = convert_checkpoint(source, tmp_path / "out", tokenizer=converted.tokenizer)
    assert conversion.from_ema == len(unet)
    assert conversion.written == len(tensors)
    assert set(conversion.unused) == others.keys()
    original = load_file(converted.folder / "unet" / "diffusion_pytorch_model.safetensors")
    found = load_file(tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(found[name], original[name] + 0.5) for name in original)
    assert json.loads((tmp_path / "out" / "vae" / "config.json").read_text())["scaling_factor"] == 0.25


def test_half_precision_has_the_usual_name(converted, tmp_path):
    convert_checkpoint(converted.source, tmp_path / "out", tokenizer=converted.tokenizer, dtype=torch.float16)
    unet = load_file(tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in unet.values()} == {torch.float16}
    assert (tmp_path / "out" / "text_encoder" / "model.safetensors").is_file()


def test_safetensors_are_read_as_well(converted, tmp_path):
    save_file({k: v.contiguous() for k, v in converted.original.tensors.items()}, tmp_path / "a.safetensors")
    conversion = convert_checkpoint(
        tmp_path / "a.safetensors", tmp_path / "out", tokenizer=converted.tokenizer
    )
    assert conversion.written == converted.conversion.written


def test_wrong_sources_are_told_in_one_line(converted, save_ldm, tmp_path):
    def problem(source, **options):
        with pytest.raises((CheckpointError, InvalidInputError)) as caught:
            convert_checkpoint(source, tmp_path / "out", **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "found none" in problem(tmp_path / "absent.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    assert "can't read it" in problem(tmp_path / "text.ckpt") or "refused" in problem(tmp_path / "text.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(converted.source.read_bytes()[:50_000])
    assert "cut.ckpt" in problem(tmp_path / "cut.ckpt")
    assert "expected a UNet under 'model.diffusion_model.'" in problem(save_ldm({"a": torch.zeros(2)}))
    assert "got none" in problem(save_ldm({"a": 3}))

    tensors = converted.original.tensors
    name = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    without = {key: tensor for key, tensor in tensors.items() if key != name}
    assert re.search(
        r"unet: 1 of \d+ .*missing \(mid_block\.resnets\.0\.conv1\.weight\)", problem(save_ldm(without))
    )
    assert f"{name}: expected shape" in problem(save_ldm({**tensors, name: torch.zeros(64, 64, 1, 1)}))
    assert f"{name} has 36864 of 36864 values that are not finite" in problem(
        save_ldm({**tensors, name: tensors[name] / 0})
    )
    schedule = {"alphas_cumprod": torch.linspace(1, 0, 1000)}
    assert "noise schedule" in problem(save_ldm({**tensors, **schedule}))
    four = make_ldm_checkpoint(unet_inputs=4).tensors
    assert "expected a UNet that reads 8 channels, target and image, got one of 4" in problem(save_ldm(four))
    second = {**tensors, "model.diffusion_model.middle_block.1.proj_in.weight": torch.zeros(64, 64)}
    assert "Stable Diffusion 2" in problem(save_ldm(second))

    other = write_tokenizer(tmp_path / "clip")
    (other / "vocab.json").write_text(json.dumps({"a": 0}))
    assert "vocabulary of 514 tokens" in problem(converted.source, tokenizer=other)
    assert "vocab.json, merges.txt missing" in problem(converted.source, tokenizer=tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    assert "new or empty folder" in problem(converted.source)
