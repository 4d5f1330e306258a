"""diffusers' autoencoders as nodes of a graph; see `layers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from e2e_depth_ros.model.checkpoint.facts import down_factor_of
from e2e_depth_ros.model.export.graph import Graph
from e2e_depth_ros.model.export.layers import (
    Conditions,
    activation,
    convolution,
    downsample,
    expect,
    group_norm,
    map_attention,
    repeat_pixels,
    residual_block,
    upsample,
)
from e2e_depth_ros.model.export.linear_pairs import LinearPair, leading_pair, repeats_pixels

_ALONE = Conditions()


@dataclass(frozen=True)
class DecoderEnd:
    """The last layers of a decoder, apart from the others: not everyone wants three channels of an image.

    Attributes:
        last: The last convolution.
        factor: By which its result is multiplied.
        offset: What is added then.
        pair: With a convolution right before it, where the two are cheaper as one.
    """

    last: nn.Conv2d
    factor: float = 1.0
    offset: float = 0.0
    pair: LinearPair | None = None

    def write(self, g: Graph, x: str, *, mean: bool = False) -> str:
        """Write it as nodes: the image, or the mean of its channels."""
        last = scaled(self.last, self.factor, self.offset, mean=mean)
        return convolution(g, last, x) if self.pair is None else replace(self.pair, second=last).write(g, x)


def encoder(g: Graph, vae: Any, x: str) -> str:
    """Images (B, 3, h, w) in -1..1 to the mean of their latents, (B, L, h / f, w / f), unscaled."""
    if type(vae).__name__ == "AutoencoderTiny":
        to_unit = g.op("Mul", g.op("Add", x, g.scalar(1.0)), g.scalar(0.5))
        layers = list(vae.encoder.layers)
        pair = leading_pair(layers, pixels=down_factor_of(vae.config))
        if pair is None:
            return _tiny_layers(g, layers, to_unit)
        return _tiny_layers(g, layers[2:], pair.write(g, to_unit))
    expect(
        type(vae).__name__ == "AutoencoderKL", f"AutoencoderKL or AutoencoderTiny, not {type(vae).__name__}"
    )
    parts = vae.encoder
    h = convolution(g, parts.conv_in, x)
    for block in parts.down_blocks:
        expect(type(block).__name__ == "DownEncoderBlock2D", f"plain blocks, not {type(block).__name__}")
        for resnet in block.resnets:
            h = residual_block(g, resnet, h, _ALONE)
        for layer in block.downsamplers or ():
            h = downsample(g, layer, h)
    h = _middle(g, parts.mid_block, h)
    h = activation(g, parts.conv_act, group_norm(g, parts.conv_norm_out, h))
    # The posterior's mean is the first half of what is encoded; its variance isn't computed.
    if vae.quant_conv is None:
        return convolution(g, _first_half(parts.conv_out), h)
    return convolution(g, _first_half(vae.quant_conv), convolution(g, parts.conv_out, h))


def decoder(g: Graph, vae: Any, x: str) -> tuple[str, DecoderEnd]:
    """Latents (N, L, h / f, w / f), unscaled, to what the last layers make images of; and those layers."""
    if type(vae).__name__ == "AutoencoderTiny":
        clamped = g.op("Mul", g.op("Tanh", g.op("Mul", x, g.scalar(1 / 3))), g.scalar(3.0))
        layers = list(vae.decoder.layers)
        pair = leading_pair(layers[-3:], pixels=down_factor_of(vae.config) // 2)
        others = layers[:-1] if pair is None else layers[:-3]
        return _tiny_layers(g, others, clamped), DecoderEnd(layers[-1], 2.0, -1.0, pair)
    parts = vae.decoder
    h = x if vae.post_quant_conv is None else convolution(g, vae.post_quant_conv, x)
    h = _middle(g, parts.mid_block, convolution(g, parts.conv_in, h))
    for block in parts.up_blocks:
        expect(type(block).__name__ == "UpDecoderBlock2D", f"plain blocks, not {type(block).__name__}")
        for resnet in block.resnets:
            h = residual_block(g, resnet, h, _ALONE)
        for layer in block.upsamplers or ():
            h = upsample(g, layer, h)
    h = activation(g, parts.conv_act, group_norm(g, parts.conv_norm_out, h))
    return h, DecoderEnd(parts.conv_out)


def scaled(layer: nn.Conv2d, factor: float, offset: float = 0.0, *, mean: bool = False) -> nn.Conv2d:
    """Make a convolution whose result is another's times a factor, plus an offset.

    Args:
        layer: The other.
        factor: See above.
        offset: See above.
        mean: One channel, the mean of the other's.
    """
    weight: Tensor = layer.weight.detach().double()
    bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias.detach().double()
    if mean:
        weight, bias = weight.mean(dim=0, keepdim=True), bias.mean(dim=0, keepdim=True)
    return _with(layer, weight * factor, bias * factor + offset)


def first_inputs(layer: nn.Conv2d, channels: int, factor: float) -> nn.Conv2d:
    """Make a convolution that reads the first channels alone, times a factor: the others are zero."""
    bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
    return _with(layer, layer.weight.detach().double()[:, :channels] * factor, bias)


def _first_half(layer: nn.Conv2d) -> nn.Conv2d:
    half = layer.out_channels // 2
    bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
    return _with(layer, layer.weight.detach()[:half], bias[:half])


def _with(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    expect(isinstance(layer, nn.Conv2d), f"a convolution, not {type(layer).__name__}")
    sizes: dict[str, Any] = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding")}
    made = nn.Conv2d(weight.shape[1], weight.shape[0], **sizes)
    dtype = layer.weight.dtype
    made.weight, made.bias = nn.Parameter(weight.to(dtype).contiguous()), nn.Parameter(bias.to(dtype))
    return made.requires_grad_(requires_grad=False)


def _middle(g: Graph, block: Any, x: str) -> str:
    first, *others = block.resnets
    h = residual_block(g, first, x, _ALONE)
    for attention, resnet in zip(block.attentions, others, strict=True):
        if attention is not None:
            h = map_attention(g, attention, h)
        h = residual_block(g, resnet, h, _ALONE)
    return h


def _tiny_layers(g: Graph, layers: Sequence[nn.Module], x: str) -> str:
    for layer in layers:
        x = _tiny_layer(g, layer, x)
    return x


def _tiny_layer(g: Graph, layer: Any, x: str) -> str:
    if isinstance(layer, nn.Conv2d):
        return convolution(g, layer, x)
    if isinstance(layer, nn.Upsample):
        expect(repeats_pixels(layer), "enlargements that repeat pixels")
        return repeat_pixels(g, x)
    if type(layer).__name__ == "AutoencoderTinyBlock":
        skip = x if isinstance(layer.skip, nn.Identity) else convolution(g, layer.skip, x)
        return activation(g, layer.fuse, g.op("Add", _tiny_layers(g, layer.conv, x), skip))
    return activation(g, layer, x)
