"""From a recipe's numbers to a small network of diffusers' classes in Marigold's layout."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from torch import nn

from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER, OneStepSampler, denoising_step
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.recipe import AutoencoderRecipe, ModelRecipe, UNetRecipe


def build_model(recipe: ModelRecipe, seed: int) -> LatentNetwork:
    """Build a network with random weights for depth and normals.

    The task's "prompt" is a fixed random embedding, one for each task: it only has to tell the two apart.

    Args:
        recipe: The numbers of the network.
        seed: Of the weights and the embeddings; the caller's random state stays as it was.

    Returns:
        The model on the CPU in float32, in training mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        autoencoder = build_autoencoder(recipe.autoencoder)
        unet = build_unet(recipe.unet, autoencoder.config.latent_channels)
        shape = (1, recipe.unet.prompt_tokens, recipe.unet.prompt_channels)
        prompts = {task: torch.randn(shape) for task in (Task.DEPTH, Task.NORMALS)}
    sampler = OneStepSampler(denoising_step(ONE_STEP_SCHEDULER), recipe.target_noise)
    return LatentNetwork(unet, autoencoder, prompts, sampler).train()


def build_autoencoder(recipe: AutoencoderRecipe) -> Any:
    """Build or load the part between pixels and latents.

    "tiny" (AutoencoderTiny: convolutions and ReLU, one width) is several times cheaper to train than
    "kl" (AutoencoderKL: group norms at full resolution) at the same resolution.
    """
    if recipe.start:
        return load_autoencoder(find_checkpoint(recipe.start))
    channels = recipe.channels
    if recipe.kind == "tiny":
        tiny: nn.Module = AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=recipe.blocks,
            num_decoder_blocks=recipe.blocks[::-1],
            latent_channels=recipe.latent_channels,
            scaling_factor=1.0,
        )
        _keep_signal(tiny)
        return tiny
    kl: nn.Module = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=recipe.blocks[0],
        latent_channels=recipe.latent_channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    return kl


def _keep_signal(autoencoder: nn.Module) -> None:
    """Draw weights so that what differs between images survives the layers.

    AutoencoderTiny has no norms: with torch's default weights each layer shrinks the image to a third,
    the biases rule, and the network sits at the mean of all images for hundreds of steps. He et al.
    (arXiv 1502.01852) keep the signal's size through ReLUs; residual branches and the output start small.
    """
    for module in autoencoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for module in autoencoder.modules():
            if isinstance(module, AutoencoderTinyBlock):
                module.conv[-1].weight.mul_(0.3)
        autoencoder.decoder.layers[-1].weight.mul_(0.3)  # type: ignore[union-attr,index]


def build_unet(recipe: UNetRecipe, latent_channels: int, *, reads_target: bool = True) -> nn.Module:
    """Build the denoiser: latents of an image and, unless told otherwise, of a target in; latents out."""
    unet: nn.Module = UNet2DConditionModel(
        in_channels=latent_channels * (2 if reads_target else 1),
        out_channels=latent_channels,
        block_out_channels=recipe.channels,
        layers_per_block=recipe.layers,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in recipe.attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in recipe.attention[::-1]),
        # Despite its name, diffusers reads this as the number of heads.
        attention_head_dim=recipe.heads,
        cross_attention_dim=recipe.prompt_channels,
        norm_num_groups=recipe.norm_groups,
        use_linear_projection=True,
    )
    return unet
