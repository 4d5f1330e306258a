"""Stable Diffusion's original layout (LDM, for latent diffusion models) in diffusers' terms: names and sizes.

LDM numbers its blocks through, diffusers groups them by resolution. LDM stores no config: the shapes tell it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from e2e_depth_ros.core.errors import CheckpointError

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer."

# What LDM's configs say of every Stable Diffusion 1 and no shape shows.
_ATTENTION_HEADS = 8
_TEXT_HEAD_SIZE = 64

_UNET_TOP = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_UNET_MIDDLE = ("resnets.0", "attentions.0", "resnets.1")
_UNET_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "op": "conv",
}
_VAE_MIDDLE = {"block_1": "resnets.0", "attn_1": "attentions.0", "block_2": "resnets.1"}
_VAE_PARTS = {
    "nin_shortcut": "conv_shortcut",
    "norm_out": "conv_norm_out",
    "attentions.0.norm": "attentions.0.group_norm",
    "attentions.0.q": "attentions.0.to_q",
    "attentions.0.k": "attentions.0.to_k",
    "attentions.0.v": "attentions.0.to_v",
    "attentions.0.proj_out": "attentions.0.to_out.0",
}
_BLOCK = re.compile(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)")
_MIDDLE_BLOCK = re.compile(r"middle_block\.(\d)\.(.+)")
_VAE_BLOCK = re.compile(r"(encoder\.down|decoder\.up)\.(\d+)\.(?:block\.(\d+)|(?:down|up)sample)\.(.+)")
_VAE_MIDDLE_BLOCK = re.compile(r"(encoder|decoder)\.mid\.(\w+)\.(.+)")


def unet_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return diffusers' config of a UNet2DConditionModel.

    Args:
        tensors: Of the UNet, by LDM's names without `UNET_PREFIX`.

    Raises:
        CheckpointError: The tensors are not those of Stable Diffusion 1.
    """
    blocks = _count(tensors, r"input_blocks\.(\d+)\.")
    levels = sum(name.endswith(".0.op.weight") for name in tensors) + 1
    layers = blocks // levels - 1
    channels, attends = [], []
    for level in range(levels):
        first = 1 + level * (layers + 1)
        channels.append(_shape(tensors, f"input_blocks.{first}.0.out_layers.3.weight")[0])
        attends.append(f"input_blocks.{first}.1.proj_in.weight" in tensors)
    if len(_shape(tensors, "middle_block.1.proj_in.weight")) != 4:
        raise CheckpointError(
            "expected a Stable Diffusion 1 UNet, whose attention has convolutions of 1 x 1 around it; "
            "got linear layers, as in Stable Diffusion 2"
        )
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 64,
        "in_channels": _shape(tensors, "input_blocks.0.0.weight")[1],
        "out_channels": _shape(tensors, "out.2.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        "cross_attention_dim": _shape(tensors, _MIDDLE_KEY)[1],
        "attention_head_dim": _ATTENTION_HEADS,  # diffusers' name for their number
    }


def vae_config(tensors: Mapping[str, Tensor], scaling_factor: float) -> dict[str, Any]:
    """Return diffusers' config of an AutoencoderKL.

    Args:
        tensors: Of the VAE, by LDM's names without `VAE_PREFIX`.
        scaling_factor: From latents to latents of unit variance.

    Raises:
        CheckpointError: A tensor that shows a size is missing.
    """
    levels = _count(tensors, r"encoder\.down\.(\d+)\.")
    channels = [_shape(tensors, f"encoder.down.{level}.block.0.conv2.weight")[0] for level in range(levels)]
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": _shape(tensors, "encoder.conv_in.weight")[1],
        "out_channels": _shape(tensors, "decoder.conv_out.weight")[0],
        "latent_channels": _shape(tensors, "post_quant_conv.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": _count(tensors, r"encoder\.down\.0\.block\.(\d+)\."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "sample_size": 512,
        "scaling_factor": scaling_factor,
    }


def text_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return transformers' config of a CLIPTextModel.

    Args:
        tensors: Of the text encoder, without `TEXT_PREFIX`.

    Raises:
        CheckpointError: A tensor that shows a size is missing.
    """
    vocabulary, width = _shape(tensors, "text_model.embeddings.token_embedding.weight")
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "projection_dim": width,
        "intermediate_size": _shape(tensors, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": _count(tensors, r"text_model\.encoder\.layers\.(\d+)\."),
        "num_attention_heads": max(1, width // _TEXT_HEAD_SIZE),
        "max_position_embeddings": _shape(tensors, "text_model.embeddings.position_embedding.weight")[0],
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        # CLIP's vocabulary ends with the tokens of begin and end.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def unet_namer(config: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what translates a UNet's tensor names. Unknown names stay, and so match nothing."""
    per_level = config["layers_per_block"] + 1

    def translate(name: str) -> str:
        module, _, parameter = name.rpartition(".")
        if module in _UNET_TOP:
            return f"{_UNET_TOP[module]}.{parameter}"
        if match := _MIDDLE_BLOCK.fullmatch(name):
            return f"mid_block.{_UNET_MIDDLE[int(match[1])]}.{_replaced(match[2], _UNET_RESNET)}"
        if not (match := _BLOCK.fullmatch(name)):
            return name
        is_input, number, part, rest = match[1] == "input", int(match[2]), match[3], match[4]
        level, layer = divmod(number - is_input, per_level)  # the input's block 0 is conv_in
        if rest.startswith("op."):
            place = "downsamplers.0"
        elif rest.startswith("conv."):
            place = "upsamplers.0"
        else:
            place = f"{'resnets' if part == '0' else 'attentions'}.{layer}"
        return f"{'down' if is_input else 'up'}_blocks.{level}.{place}.{_replaced(rest, _UNET_RESNET)}"

    return translate


def vae_namer(config: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what translates a VAE's tensor names. Unknown names stay, and so match nothing."""
    last = len(config["block_out_channels"]) - 1

    def translate(name: str) -> str:
        if match := _VAE_BLOCK.fullmatch(name):
            is_down = match[1] == "encoder.down"
            level = int(match[2]) if is_down else last - int(match[2])  # LDM counts both from the image
            sampler = "downsamplers.0" if is_down else "upsamplers.0"
            part = sampler if match[3] is None else f"resnets.{match[3]}"
            name = f"{match[1]}_blocks.{level}.{part}.{match[4]}"
        elif match := _VAE_MIDDLE_BLOCK.fullmatch(name):
            name = f"{match[1]}.mid_block.{_VAE_MIDDLE.get(match[2], match[2])}.{match[3]}"
        return _replaced(name, _VAE_PARTS)

    return translate


_MIDDLE_KEY = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"


def _replaced(name: str, parts: Mapping[str, str]) -> str:
    """Replace whole dotted parts of a name."""
    dotted = f".{name}."
    for old, new in parts.items():
        dotted = dotted.replace(f".{old}.", f".{new}.")
    return dotted[1:-1]


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(m[1]) for m in map(re.compile(pattern).match, tensors) if m), default=-1)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise CheckpointError(f"expected a tensor {name}, which shows a size of the network; it is missing")
    return tuple(tensors[name].shape)
