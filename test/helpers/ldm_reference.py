"""Stable Diffusion 1 in its original layout, written out small: the reference for conversions.

Module names are those of the original single-file checkpoints; the arithmetic stands in the open.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 8


class ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor, _context: Tensor) -> Tensor:
        hidden = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(hidden)


class Attention(nn.Module):
    def __init__(self, size: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(size, size, bias=False)
        self.to_k = nn.Linear(context, size, bias=False)
        self.to_v = nn.Linear(context, size, bias=False)
        self.to_out = nn.Sequential(nn.Linear(size, size))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        batch, tokens, size = x.shape
        q, k, v = (
            part.view(batch, -1, HEADS, size // HEADS).transpose(1, 2)
            for part in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        weights = (q @ k.transpose(2, 3) / math.sqrt(size // HEADS)).softmax(dim=-1)
        return self.to_out((weights @ v).transpose(1, 2).reshape(batch, tokens, size))


class GatedLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GatedLinear(size, 4 * size), nn.Dropout(0.0), nn.Linear(4 * size, size))


class TransformerBlock(nn.Module):
    def __init__(self, size: int, context: int) -> None:
        super().__init__()
        self.attn1, self.attn2 = Attention(size, size), Attention(size, context)
        self.ff = FeedForward(size)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(size) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, size: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, size, eps=1e-6)
        self.proj_in = nn.Conv2d(size, size, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(size, context)])
        self.proj_out = nn.Conv2d(size, size, 1)

    def forward(self, x: Tensor, _embedding: Tensor, context: Tensor) -> Tensor:
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return x + self.proj_out(tokens.transpose(1, 2).reshape(x.shape))


class Downsample(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(size, size, 3, stride=2, padding=1)

    def forward(self, x: Tensor, _embedding: Tensor, _context: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(size, size, 3, padding=1)

    def forward(self, x: Tensor, _embedding: Tensor, _context: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))


class Stem(nn.Conv2d):
    def forward(self, x: Tensor, _embedding: Tensor, _context: Tensor) -> Tensor:
        return super().forward(x)


class LdmUnet(nn.Module):
    """Of `layers` blocks at each of several resolutions, with attention at those of `attends`."""

    def __init__(
        self, channels: tuple[int, ...], attends: tuple[bool, ...], layers: int, context: int, inputs: int = 8
    ) -> None:
        super().__init__()
        base, embedding = channels[0], 4 * channels[0]
        self.base = base
        self.time_embed = nn.Sequential(
            nn.Linear(base, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.input_blocks = nn.ModuleList([nn.ModuleList([Stem(inputs, base, 3, padding=1)])])
        self.output_blocks = nn.ModuleList()
        size, skips = base, [base]
        for level, (outputs, attend) in enumerate(zip(channels, attends, strict=True)):
            for _ in range(layers):
                parts = [ResBlock(size, outputs, embedding)]
                parts += [SpatialTransformer(outputs, context)] if attend else []
                self.input_blocks.append(nn.ModuleList(parts))
                size = outputs
                skips.append(size)
            if level < len(channels) - 1:
                self.input_blocks.append(nn.ModuleList([Downsample(size)]))
                skips.append(size)
        self.middle_block = nn.ModuleList(
            [
                ResBlock(size, size, embedding),
                SpatialTransformer(size, context),
                ResBlock(size, size, embedding),
            ]
        )
        for level in reversed(range(len(channels))):
            for layer in range(layers + 1):
                parts = [ResBlock(size + skips.pop(), channels[level], embedding)]
                size = channels[level]
                parts += [SpatialTransformer(size, context)] if attends[level] else []
                parts += [Upsample(size)] if level and layer == layers else []
                self.output_blocks.append(nn.ModuleList(parts))
        self.out = nn.Sequential(nn.GroupNorm(32, size), nn.SiLU(), nn.Conv2d(size, 4, 3, padding=1))

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        half = self.base // 2
        angles = timesteps[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))

        def run(block: nn.ModuleList, x: Tensor) -> Tensor:
            for part in block:
                x = part(x, embedding, context)
            return x

        skips = []
        for block in self.input_blocks:
            x = run(block, x)
            skips.append(x)
        x = run(self.middle_block, x)
        for block in self.output_blocks:
            x = run(block, torch.cat([x, skips.pop()], dim=1))
        return self.out(x)


class VaeBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, inputs, eps=1e-6), nn.GroupNorm(32, outputs, eps=1e-6)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(x)))
        hidden = self.conv2(functional.silu(self.norm2(hidden)))
        return hidden + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class VaeAttention(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, size, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(size, size, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (part(normed).flatten(2) for part in (self.q, self.k, self.v))  # (b, c, n)
        weights = (q.transpose(1, 2) @ k / math.sqrt(x.shape[1])).softmax(dim=-1)
        return x + self.proj_out((v @ weights.transpose(1, 2)).reshape(x.shape))


class VaeResampler(nn.Module):
    def __init__(self, size: int, *, down: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(size, size, 3, stride=2) if down else nn.Conv2d(size, size, 3, padding=1)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 1, 0, 1)) if self.down else functional.interpolate(x, scale_factor=2)
        return self.conv(x)


class VaeLevel(nn.Module):
    def __init__(self, inputs: int, outputs: int, blocks: int, sampler: str | None) -> None:
        super().__init__()
        sizes = [inputs] + [outputs] * blocks
        self.block = nn.ModuleList(VaeBlock(*pair) for pair in pairwise(sizes))
        if sampler is not None:
            setattr(self, f"{sampler}sample", VaeResampler(outputs, down=sampler == "down"))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


class VaeMiddle(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = (
            VaeBlock(size, size),
            VaeAttention(size),
            VaeBlock(size, size),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class VaeHalf(nn.Module):
    def __init__(self, channels: tuple[int, ...], layers: int, latents: int, *, encodes: bool) -> None:
        super().__init__()
        last = len(channels) - 1
        size = channels[0] if encodes else channels[-1]
        self.encodes = encodes
        self.conv_in = nn.Conv2d(3 if encodes else latents, size, 3, padding=1)
        self.mid = VaeMiddle(channels[-1])
        levels: list[VaeLevel] = []
        for level in range(last + 1) if encodes else reversed(range(last + 1)):
            sampler = ("down" if level < last else None) if encodes else ("up" if level else None)
            levels.append(VaeLevel(size, channels[level], layers + (not encodes), sampler))
            size = channels[level]
        # The decoder's levels are counted from the image, too, though they run the other way.
        setattr(self, "down" if encodes else "up", nn.ModuleList(levels if encodes else reversed(levels)))
        self.norm_out = nn.GroupNorm(32, size, eps=1e-6)
        self.conv_out = nn.Conv2d(size, 2 * latents if encodes else 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        steps = [*self.down, self.mid] if self.encodes else [self.mid, *reversed(self.up)]
        for step in steps:
            x = step(x)
        return self.conv_out(functional.silu(self.norm_out(x)))


class LdmVae(nn.Module):
    def __init__(self, channels: tuple[int, ...], layers: int, latents: int = 4) -> None:
        super().__init__()
        self.encoder = VaeHalf(channels, layers, latents, encodes=True)
        self.decoder = VaeHalf(channels, layers, latents, encodes=False)
        self.quant_conv = nn.Conv2d(2 * latents, 2 * latents, 1)
        self.post_quant_conv = nn.Conv2d(latents, latents, 1)

    def encode(self, images: Tensor) -> Tensor:
        """Return the mode of the posterior."""
        return self.quant_conv(self.encoder(images)).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latents))
