from __future__ import annotations

import pytest
import torch
from diffusers import AsymmetricAutoencoderKL
from torch import nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.export.autoencoders import encoder, first_inputs, scaled
from e2e_depth_ros.model.export.graph import Graph

_MAPS = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_factor_an_offset_and_a_mean_become_part_of_a_convolution(bias: bool) -> None:
    layer = nn.Conv2d(8, 3, 3, padding=1, bias=bias)
    expected = layer(_MAPS) * 2.5 - 0.75
    torch.testing.assert_close(scaled(layer, 2.5, -0.75)(_MAPS), expected, rtol=0, atol=2e-6)
    mean = scaled(layer, 2.5, -0.75, mean=True)(_MAPS)
    torch.testing.assert_close(mean, expected.mean(dim=1, keepdim=True), rtol=0, atol=2e-6)


@torch.inference_mode()
def test_channels_that_are_zero_are_not_read() -> None:
    layer = nn.Conv2d(8, 6, 3, padding=1)
    half = torch.cat([_MAPS[:, :4] * 0.18, torch.zeros_like(_MAPS[:, 4:])], dim=1)
    torch.testing.assert_close(first_inputs(layer, 4, 0.18)(_MAPS[:, :4]), layer(half), rtol=0, atol=2e-6)


def test_another_autoencoder_is_refused() -> None:
    vae = AsymmetricAutoencoderKL(norm_num_groups=4, down_block_out_channels=(8,), up_block_out_channels=(8,))
    with pytest.raises(
        InvalidInputError, match="AutoencoderKL or AutoencoderTiny, not AsymmetricAutoencoderKL"
    ):
        encoder(Graph("other"), vae, "x")
