"""What the processor, or what stands for it, lets torch do."""

import functools

import pytest
import torch


@functools.cache
def _attends_in_bfloat16() -> bool:
    tokens = torch.ones(1, 1, 128, 16, dtype=torch.bfloat16)
    try:
        torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
    except RuntimeError as error:
        if "pack_vnni2" not in str(error):
            raise
        return False
    return True


def need_bfloat16_attention() -> None:
    """Skip where torch packs attention for AMX although ATEN_CPU_CAPABILITY rules AVX-512 out."""
    if not _attends_in_bfloat16():
        pytest.skip("torch packs attention for AMX even where ATEN_CPU_CAPABILITY rules AVX-512 out")
