"""Instructions are embedded as the original embeds them, and never cut."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPTextModel

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.instruct.text import TextEncoder


@torch.no_grad()
def test_text_encoder_computes_what_the_original_computes(converted):
    encoder = CLIPTextModel.from_pretrained(converted.folder / "text_encoder", use_safetensors=True).eval()
    tokens = torch.randint(0, 512, (2, 77), generator=torch.Generator().manual_seed(3))
    tokens[:, -1] = 513
    expected = converted.original.text_encoder(tokens).last_hidden_state
    torch.testing.assert_close(encoder(tokens).last_hidden_state, expected, rtol=0, atol=1e-6)


def test_a_text_is_padded_embedded_once_and_never_cut(converted):
    encoder = TextEncoder(converted.folder)
    assert encoder.length == 77
    one, other = encoder("make it red"), encoder("make it blue")
    assert one.shape == other.shape == (1, 77, one.shape[2])
    assert one.dtype == torch.float32
    assert not torch.equal(one, other)
    assert encoder("make it red") is one
    encoder("a" * 75)
    with pytest.raises(InvalidInputError, match="at most 75 tokens, got 76"):
        encoder("a" * 76)
