"""Writes tiny checkpoints with random weights, in the layout of each published family.

Where an index is silent, a layout's name tells what it predicts, as hub ids do.

They are real: diffusers' own classes read them, and so does its Marigold pipeline, which is the oracle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from helpers.published import DDIM as _DDIM

_EMBEDDING_SIZE = 12

# Stable Diffusion 2's, as Marigold's checkpoints save it: with the flawed spacing.
_SCHEDULER = {key: value for key, value in _DDIM.items() if key != "_class_name"}
_ZERO_SNR = {**_DDIM, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
_LCM = {
    **_SCHEDULER,
    "_class_name": "LCMScheduler",
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
}
_DDPM = {"_class_name": "DDPMScheduler", **_SCHEDULER, "timestep_spacing": "trailing"}
_NO_SIGNAL = {**_DDIM, "beta_start": 1.0, "beta_end": 1.0}
_DEPTH = {
    "prediction_type": "depth",
    "scale_invariant": True,
    "shift_invariant": True,
    "default_denoising_steps": 1,
    "default_processing_resolution": 96,
}
_NORMALS = {
    "prediction_type": "normals",
    "use_full_z_range": True,
    "default_denoising_steps": 1,
    "default_processing_resolution": 96,
}


@dataclass(frozen=True)
class _Layout:
    pipeline: str = "MarigoldDepthPipeline"
    index: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=lambda: dict(_DDIM))
    input_halves: int = 2  # the UNet reads [image, target], or only [image]
    latent_channels: int = 4
    vae_blocks: int = 4  # the image is 2 ** (blocks - 1) times larger than its latents
    tiny_vae: bool = False
    variant: str | None = None
    shard_size: str = "10GB"
    text_encoder: bool = True
    class_size: int | None = None  # GeoWizard's: 10 with an image encoder, or 4; Lotus': 4


_SD = "StableDiffusionPipeline"
_NORMALS_PIPELINE = "MarigoldNormalsPipeline"
_LAYOUTS = {
    "e2e_ft_depth": _Layout(pipeline=_SD, scheduler=_DDPM),
    "e2e_ft_normals": _Layout(pipeline=_SD, scheduler=_DDPM),
    "marigold_depth": _Layout(index=_DEPTH),
    "marigold_normals": _Layout("MarigoldNormalsPipeline", _NORMALS),
    "marigold_normals_half_z": _Layout("MarigoldNormalsPipeline", {**_NORMALS, "use_full_z_range": False}),
    # As Marigold publishes them: they start from noise.
    "marigold_depth_v1_0": _Layout(index={**_DEPTH, "default_denoising_steps": 10}),
    "marigold_depth_v1_1": _Layout(index={**_DEPTH, "default_denoising_steps": 4}, scheduler=_ZERO_SNR),
    "marigold_depth_lcm": _Layout(index=_DEPTH, scheduler=_LCM),
    "marigold_normals_v0_1": _Layout(_NORMALS_PIPELINE, {**_NORMALS, "default_denoising_steps": 10}),
    "marigold_normals_v1_1": _Layout(
        _NORMALS_PIPELINE, {**_NORMALS, "default_denoising_steps": 4}, scheduler=_ZERO_SNR
    ),
    "marigold_normals_lcm": _Layout(_NORMALS_PIPELINE, _NORMALS, scheduler=_LCM),
    "leading_and_silent_depth": _Layout(pipeline=_SD),  # an index without Marigold's entries
    "geowizard_v1": _Layout("GeoWizardPipeline", text_encoder=False, class_size=10),
    "geowizard_v2": _Layout("GeoWizardPipeline", class_size=4),
    "geowizard_e2e_ft": _Layout(
        "GeoWizardPipeline",
        scheduler={**_DDIM, "timestep_spacing": "trailing"},
        text_encoder=False,
        class_size=10,
    ),
    "geowizard_v2_e2e_ft": _Layout(
        "GeoWizardPipeline", scheduler={**_DDIM, "timestep_spacing": "trailing"}, class_size=4
    ),
    "lotus_d_depth": _Layout("LotusDPipeline", class_size=4, input_halves=1),
    "lotus_d_disparity": _Layout("LotusDPipeline", class_size=4, input_halves=1),
    "lotus_d_normals": _Layout("LotusDPipeline", class_size=4, input_halves=1),
    "lotus_g_depth": _Layout("LotusGPipeline", class_size=4),
    "genpercept_depth": _Layout("GenPerceptPipeline", scheduler=_NO_SIGNAL, input_halves=1),
    "genpercept_disparity": _Layout("GenPerceptPipeline", scheduler=_NO_SIGNAL, input_halves=1),
    "genpercept_normals": _Layout("GenPerceptPipeline", scheduler=_NO_SIGNAL, input_halves=1),
    "stable_diffusion": _Layout(_SD, input_halves=1),  # makes images: to start a training from, or to join
    "zero_snr": _Layout(index=_DEPTH, scheduler=_ZERO_SNR),
    "epsilon": _Layout(index=_DEPTH, scheduler={**_DDIM, "prediction_type": "epsilon"}),
    "sample": _Layout(index=_DEPTH, scheduler={**_DDIM, "prediction_type": "sample", "clip_sample": True}),
    "four_channels": _Layout(index=_DEPTH, input_halves=1),
    "tiny_vae": _Layout(index=_DEPTH, tiny_vae=True),
    "fp16": _Layout(index=_DEPTH, variant="fp16"),
    "sharded": _Layout(index=_DEPTH, shard_size="40KB"),
    "embedded": _Layout(
        index={**_DEPTH, "tasks": ["depth", "normals"], "upsampling": "guided"},
        scheduler={**_DDIM, "timestep_spacing": "trailing", "set_alpha_to_one": True},
        latent_channels=8,
        vae_blocks=3,
        variant="fp16",
        text_encoder=False,
    ),
}
LAYOUTS = tuple(name for name in _LAYOUTS if name != "stable_diffusion")
"""The names of all layouts that predict, to parametrise tests with."""


def write_tiny_checkpoint(folder: str | Path, layout: str = "marigold_depth", seed: int = 0) -> Path:
    """Write a checkpoint of a layout (see `LAYOUTS`) into `folder`; the same seed, the same weights."""
    folder, spec = Path(folder), _LAYOUTS[layout]
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet, vae = _unet(spec), _vae(spec)
        for component, model in (("unet", unet), ("vae", vae)):
            if spec.variant == "fp16":
                model = model.half()  # noqa: PLW2901
            model.save_pretrained(folder / component, variant=spec.variant, max_shard_size=spec.shard_size)
        if spec.text_encoder:
            _write_text_encoder(folder, spec.variant)
        elif spec.class_size:
            _write_image_encoder(folder)
        else:
            save_file(
                {task: torch.randn(1, 2, _EMBEDDING_SIZE) for task in ("depth", "normals")},
                folder / "prompt_embedding.safetensors",
            )
    _write_json(folder / "scheduler" / "scheduler_config.json", spec.scheduler)
    has_text = spec.text_encoder
    _write_json(
        folder / "model_index.json",
        {
            "_class_name": spec.pipeline,
            "_diffusers_version": "0.30.0",
            "scheduler": ["diffusers", spec.scheduler["_class_name"]],
            "text_encoder": ["transformers", "CLIPTextModel"] if has_text else [None, None],
            "tokenizer": ["transformers", "CLIPTokenizer"] if has_text else [None, None],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", type(vae).__name__],
            **spec.index,
        },
    )
    return folder


def _unet(spec: _Layout) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=12,
        in_channels=spec.input_halves * spec.latent_channels,
        out_channels=spec.latent_channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=_EMBEDDING_SIZE,
        attention_head_dim=(2, 4),
        norm_num_groups=4,
        use_linear_projection=True,
        class_embed_type="projection" if spec.class_size else None,
        projection_class_embeddings_input_dim=spec.class_size,
    )
    # Random weights answer all but the same everywhere: widen their range, so that mistakes show.
    _amplify(unet.conv_out, 3.0)
    return unet.eval()


def _vae(spec: _Layout) -> AutoencoderKL | AutoencoderTiny:
    if spec.tiny_vae:
        vae = AutoencoderTiny(
            encoder_block_out_channels=(8,) * spec.vae_blocks,
            decoder_block_out_channels=(8,) * spec.vae_blocks,
            num_encoder_blocks=(1,) * spec.vae_blocks,
            num_decoder_blocks=(1,) * spec.vae_blocks,
            latent_channels=spec.latent_channels,
        )
        _amplify(vae.decoder.layers[-1], 100.0)
        torch.nn.init.constant_(vae.decoder.layers[-1].bias, 0.5)  # the decoder's 0.5 is grey
        return vae.eval()
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * spec.vae_blocks,
        up_block_types=("UpDecoderBlock2D",) * spec.vae_blocks,
        block_out_channels=(8,) * spec.vae_blocks,
        layers_per_block=1,
        latent_channels=spec.latent_channels,
        norm_num_groups=4,
        sample_size=64,
    )
    with torch.no_grad():  # decoded vectors far from zero: the direction of a short one is all rounding
        vae.decoder.conv_out.bias.copy_(torch.tensor([0.2, -0.3, 0.8]))
    return vae.eval()


def _amplify(layer: torch.nn.Module, factor: float) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(factor)


def _write_text_encoder(folder: Path, variant: str | None) -> None:
    """Write a CLIP text encoder, and a tokenizer whose vocabulary is the 256 bytes."""
    byte_letters = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256))]
    byte_letters += [chr(256 + n) for n in range(256 - len(byte_letters))]
    words = [*byte_letters, *(letter + "</w>" for letter in byte_letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = folder / "tokenizer"
    _write_json(tokenizer / "vocab.json", {word: index for index, word in enumerate(words)})
    (tokenizer / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": words[-2], "eos_token": words[-1], "unk_token": words[-1], "pad_token": words[-1]}
    _write_json(tokenizer / "special_tokens_map.json", special)
    _write_json(
        tokenizer / "tokenizer_config.json",
        {**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "add_prefix_space": False},
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=_EMBEDDING_SIZE,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=len(words) - 2,
            eos_token_id=len(words) - 1,
            pad_token_id=len(words) - 1,
        )
    ).eval()
    with torch.no_grad():
        for parameter in text_encoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    text_encoder.save_pretrained(folder / "text_encoder", variant=variant)


def _write_image_encoder(folder: Path) -> None:
    """Write a CLIP image encoder, and how its images are prepared."""
    clip = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            projection_dim=_EMBEDDING_SIZE,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        )
    ).eval()
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    clip.save_pretrained(folder / "image_encoder")
    _write_json(
        folder / "feature_extractor" / "preprocessor_config.json",
        {
            "crop_size": {"height": 28, "width": 28},
            "image_mean": [0.48, 0.46, 0.41],
            "image_std": [0.27, 0.26, 0.28],
        },
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
