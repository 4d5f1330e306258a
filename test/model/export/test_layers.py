"""Each of diffusers' layers equals its nodes; test_network.py compares whole networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.export.graph import Graph
from e2e_depth_ros.model.export.layers import (
    Conditions,
    activation,
    convolution,
    downsample,
    expect,
    group_norm,
    layer_norm,
    linear,
    map_attention,
    repeat_pixels,
    residual_block,
    upsample,
)
from e2e_depth_ros.model.export.placing import initializers

_ROUNDING = 1e-5  # of numbers of about 1: 6e-8 of sums of up to some hundred


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Tensor]:
    """`run(write, x)`: what ONNX Runtime makes of x by the nodes that `write(graph, name)` adds."""

    def of(write: Callable[[Graph, str], str], x: Tensor) -> Tensor:
        g = Graph("layer")
        names = [f"n{axis}" for axis in range(x.ndim)]  # any size along each axis
        g.output(write(g, g.input("x", names)), "y", [f"m{axis}" for axis in range(x.ndim)])
        model = g.model(initializers(g, {}, tmp_path))
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"x": x.numpy()})[0])

    return of


def _randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.requires_grad_(requires_grad=False)
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


_MAPS = torch.randn(4, 8, 5, 7, generator=torch.Generator().manual_seed(0))
_LAYERS: list[tuple[str, nn.Module, Callable[..., str]]] = [
    ("strides", nn.Conv2d(8, 6, (3, 1), stride=2, padding=(1, 0)), convolution),
    ("no bias", nn.Conv2d(8, 6, 1, bias=False), convolution),
    ("groups", nn.GroupNorm(4, 8, eps=1e-3), group_norm),
    ("silu", nn.SiLU(), activation),
    ("relu", nn.ReLU(), activation),
    ("identity", nn.Identity(), activation),
    ("half, as in UNets", Downsample2D(8, use_conv=True, padding=1), downsample),
    ("half, as in autoencoders", Downsample2D(8, use_conv=True, padding=0), downsample),
    ("twice", Upsample2D(8, use_conv=True), upsample),
    ("pixels", nn.Upsample(scale_factor=2), lambda g, _, x: repeat_pixels(g, x)),
    (
        "attention over a map",
        Attention(8, heads=2, dim_head=4, norm_num_groups=4, residual_connection=True, bias=True),
        map_attention,
    ),
]


@pytest.mark.parametrize(
    ("module", "write"), [layer[1:] for layer in _LAYERS], ids=[layer[0] for layer in _LAYERS]
)
@torch.inference_mode()
def test_maps(run: Callable[..., Tensor], module: nn.Module, write: Callable[..., str]) -> None:
    module = _randomised(module)
    found = run(lambda g, x: write(g, module, x), _MAPS.clone())
    torch.testing.assert_close(found, module(_MAPS), rtol=0, atol=_ROUNDING)


@torch.inference_mode()
def test_sequences(run: Callable[..., Tensor]) -> None:
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    for module, write in (
        (nn.Linear(8, 6), linear),
        (nn.Linear(8, 6, bias=False), linear),
        (nn.LayerNorm(8, eps=1e-3), layer_norm),
    ):
        module = _randomised(module)  # noqa: PLW2901
        found = run(lambda g, x, write=write, module=module: write(g, module, x), x)
        torch.testing.assert_close(found, module(x), rtol=0, atol=_ROUNDING)


@pytest.mark.parametrize("same", [True, False], ids=["one time", "a time for each task"])
@torch.inference_mode()
def test_a_residual_block_knows_the_time_of_each_task(run: Callable[..., Tensor], same: bool) -> None:
    block = _randomised(
        ResnetBlock2D(in_channels=8, out_channels=12, temb_channels=10, groups=4, output_scale_factor=2.0)
    )
    time = torch.randn(1 if same else 2, 10, generator=torch.Generator().manual_seed(2)).expand(2, -1)
    found = run(lambda g, x: residual_block(g, block, x, Conditions(time=time)), _MAPS.clone())
    expected = block(_MAPS, time.repeat_interleave(2, dim=0))  # 2 tasks of 2 images, task by task
    torch.testing.assert_close(found, expected, rtol=0, atol=_ROUNDING)


def test_what_it_does_not_express_is_refused_by_name() -> None:
    g = Graph("layer")
    with pytest.raises(InvalidInputError, match="can't be exported: expected plain convolutions"):
        convolution(g, nn.Conv2d(8, 8, 3, groups=2), "x")
    with pytest.raises(InvalidInputError, match="a convolution, not Linear"):
        convolution(g, nn.Linear(8, 8), "x")
    with pytest.raises(InvalidInputError, match="SiLU or ReLU, not Tanh"):
        activation(g, nn.Tanh(), "x")
    with pytest.raises(InvalidInputError, match="expected a timestep"):
        residual_block(g, ResnetBlock2D(in_channels=8, temb_channels=4, groups=4), "x", Conditions())
    with pytest.raises(InvalidInputError, match="convolutions that halve the size"):
        downsample(g, Downsample2D(8, use_conv=False), "x")
    expect(1, "nothing")
