"""Names and sizes of the network at its published size; no memory is taken for it."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.instruct.ldm_names import (
    text_config,
    unet_config,
    unet_namer,
    vae_config,
    vae_namer,
)
from helpers.ldm_reference import LdmUnet, LdmVae


def assert_all_named(tensors, namer, module):
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {namer(name): tuple(tensor.shape) for name, tensor in tensors.items()}
    assert found.keys() == expected.keys()
    differing = {name for name in found if found[name] != expected[name]}
    assert all(found[name] == (*expected[name], 1, 1) for name in differing)  # the VAE's attention


def test_unet_of_stable_diffusion_1():
    with torch.device("meta"):
        tensors = LdmUnet(
            (320, 640, 1280, 1280), (True, True, True, False), layers=2, context=768
        ).state_dict()
        config = unet_config(tensors)
        unet = UNet2DConditionModel.from_config(config)
    assert_all_named(tensors, unet_namer(config), unet)
    assert sum(tensor.numel() for tensor in tensors.values()) == 859_520_964 + 4 * 320 * 9  # 4 channels more
    assert config["block_out_channels"] == [320, 640, 1280, 1280]
    assert config["down_block_types"] == ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    assert config["up_block_types"] == ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
    assert (config["in_channels"], config["cross_attention_dim"], config["layers_per_block"]) == (8, 768, 2)


def test_vae_of_stable_diffusion_1():
    with torch.device("meta"):
        tensors = LdmVae((128, 256, 512, 512), layers=2).state_dict()
        config = vae_config(tensors, 0.18215)
        vae = AutoencoderKL.from_config(config)
    assert_all_named(tensors, vae_namer(config), vae)
    assert sum(tensor.numel() for tensor in tensors.values()) == 83_653_863


def test_text_encoder_of_stable_diffusion_1():
    names = {
        "embeddings.token_embedding": (49408, 768),
        "embeddings.position_embedding": (77, 768),
        "encoder.layers.0.mlp.fc1": (3072, 768),
        "encoder.layers.11.mlp.fc1": (3072, 768),
    }
    config = text_config(
        {f"text_model.{name}.weight": torch.empty(s, device="meta") for name, s in names.items()}
    )
    assert (config["num_hidden_layers"], config["num_attention_heads"]) == (12, 12)
    assert (config["intermediate_size"], config["hidden_act"]) == (3072, "quick_gelu")
    assert (config["bos_token_id"], config["eos_token_id"]) == (49406, 49407)


def test_unknown_names_stay():
    namer = unet_namer({"layers_per_block": 2})
    assert namer("label_emb.0.0.weight") == "label_emb.0.0.weight"


def test_a_missing_size_is_named():
    with pytest.raises(CheckpointError, match=r"expected a tensor encoder\.conv_in\.weight"):
        vae_config({}, 1.0)
