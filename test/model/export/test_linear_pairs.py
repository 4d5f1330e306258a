"""One convolution in place of two: the same numbers everywhere, edges and corners too, for less products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime
import pytest
import torch
from diffusers import AutoencoderTiny
from torch import nn

from e2e_depth_ros.model.export.autoencoders import decoder, encoder
from e2e_depth_ros.model.export.graph import Graph, inline
from e2e_depth_ros.model.export.linear_pairs import LinearPair, leading_pair

_ROUNDING = 2e-6  # 6e-8 of sums of some hundred products of about 0.1


def _maps(channels: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


def _convolution(into: int, out: int, stride: int = 1, *, bias: bool = True, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, stride, padding=1, bias=bias, **options)


def _run(g: Graph, x: torch.Tensor) -> torch.Tensor:
    model = g.model({name: inline(tensor, name) for name, tensor in g.weights.items()})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def _shapes(g: Graph) -> set[tuple[int, ...]]:
    return {tuple(tensor.shape) for tensor in g.weights.values()}


def _graph(pair: LinearPair) -> Graph:
    g = Graph("pair")
    g.output(pair.write(g, g.input("x", ["n", pair.first.in_channels, "h", "w"])), "y", ["n", "c", "H", "W"])
    return g


@pytest.mark.parametrize("biases", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(
    ("repeats", "stride", "size"),
    [
        (1, 1, (3, 5)),
        (1, 1, (6, 4)),
        (1, 2, (4, 6)),
        (1, 2, (10, 8)),
        (2, 1, (3, 4)),
        (2, 1, (7, 5)),
    ],
)
@torch.inference_mode()
def test_one_convolution_equals_two(
    repeats: int, stride: int, size: tuple[int, int], biases: tuple[bool, bool]
) -> None:
    first, second = _convolution(5, 7, bias=biases[0]), _convolution(7, 4, stride, bias=biases[1])
    pair = LinearPair(first, second, repeats)
    x = _maps(5, *size)
    expected = second(first(x if repeats == 1 else nn.Upsample(scale_factor=2)(x)))
    torch.testing.assert_close(_run(_graph(pair), x), expected, rtol=0, atol=_ROUNDING)


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ([_convolution(3, 32), _convolution(32, 32, 2)], True),
        ([nn.Upsample(scale_factor=2), _convolution(32, 32), _convolution(32, 3)], True),
        (
            [_convolution(32, 32), _convolution(32, 32)],
            False,
        ),  # 25 x 32 x 32 products instead of 18 x 32 x 32
        ([_convolution(3, 32, 2), _convolution(32, 32)], False),
        ([nn.Upsample(scale_factor=2), _convolution(32, 32), _convolution(32, 3, 2)], False),
        ([nn.Upsample(scale_factor=4), _convolution(32, 32), _convolution(32, 3)], False),
        ([nn.Upsample(scale_factor=2, mode="bilinear"), _convolution(32, 32), _convolution(32, 3)], False),
        ([_convolution(3, 32), nn.ReLU(), _convolution(32, 32, 2)], False),
        ([_convolution(3, 32), _convolution(32, 3, padding_mode="reflect")], False),
        ([_convolution(4, 32), nn.Conv2d(32, 32, 1, 2, padding=1)], False),
        ([_convolution(3, 32)], False),
        ([], False),
    ],
)
def test_only_pairs_that_save_work_are_found(layers: Sequence[nn.Module], found: bool) -> None:
    assert (leading_pair(layers, pixels=4) is not None) is found


@pytest.mark.parametrize(
    ("layers", "least"),
    [
        ([_convolution(3, 32), _convolution(32, 32, 2)], 4),
        ([nn.Upsample(scale_factor=2), _convolution(32, 32), _convolution(32, 3)], 3),
    ],
)
def test_images_too_small_for_edges_of_their_own_keep_two_convolutions(
    layers: Sequence[nn.Module], least: int
) -> None:
    assert leading_pair(layers, pixels=least) is not None
    assert leading_pair(layers, pixels=least - 1) is None


@torch.inference_mode()
def test_a_tiny_autoencoder_without_blocks_at_its_ends_has_one_convolution_there() -> None:
    torch.manual_seed(0)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(12, 12, 12, 12),
        decoder_block_out_channels=(12, 12, 12, 12),
        num_encoder_blocks=(0, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 0),
    )
    images = _maps(3, 24, 40).clamp(-1, 1)
    g = Graph("encoder")
    g.output(encoder(g, vae, g.input("x", ["n", 3, "h", "w"])), "y", ["n", "c", "H", "W"])
    torch.testing.assert_close(_run(g, images), vae.encode(images).latents, rtol=0, atol=_ROUNDING)
    assert _shapes(g).isdisjoint({(12, 3, 3, 3)})
    assert (12, 3, 5, 5) in _shapes(g)

    latents = _maps(4, 3, 5)
    g = Graph("decoder")
    before, end = decoder(g, vae, g.input("x", ["n", 4, "h", "w"]))
    g.output(end.write(g, before, mean=True), "y", ["n", "c", "H", "W"])
    expected = vae.decode(latents).sample.mean(dim=1, keepdim=True)
    torch.testing.assert_close(_run(g, latents), expected, rtol=0, atol=_ROUNDING)
    assert _shapes(g).isdisjoint({(3, 12, 3, 3), (1, 12, 3, 3)})
    assert (4, 12, 3, 3) in _shapes(g)
