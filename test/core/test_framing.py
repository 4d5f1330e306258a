"""Framing does what diffusers' Marigold pipelines do, at every size, and its inverse is exact."""

from __future__ import annotations

import pytest
import torch
from diffusers.pipelines.marigold.marigold_image_processing import MarigoldImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import framing_for

SIZES = [(1, 1), (1, 2), (7, 5), (33, 47), (96, 128), (135, 241), (480, 640), (641, 479)]
TARGETS = [(None, 8), (0, 16), (96, 8), (130, 16), (128, 1)]


@pytest.mark.parametrize(
    ("size", "resolution", "multiple"),
    [(size, *target) for size in SIZES for target in TARGETS] + [((2160, 3840), 130, 16)],
)
def test_equals_the_oracle(size: tuple[int, int], resolution: int | None, multiple: int) -> None:
    batch = 1 if max(size) > 1000 else 2
    images = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    oracle = MarigoldImageProcessor(vae_scale_factor=multiple)
    expected, padding, native_size = oracle.preprocess(images, processing_resolution=resolution)
    framing = framing_for(size, resolution, multiple)
    fitted = framing.apply(images * 2 - 1)
    assert fitted.shape == expected.shape
    assert (fitted - expected).abs().max() <= 1e-6

    maps = torch.rand(batch, 2, *framing.padded_size, generator=torch.Generator().manual_seed(1))
    unpadded = oracle.unpad_image(maps, padding)
    expected = oracle.resize_antialias(unpadded, native_size, "bilinear", is_aa=False)
    restored = framing.invert(maps)
    assert tuple(restored.shape) == (batch, 2, *size)
    assert (restored - expected).abs().max() <= 1e-6


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 4000)])
def test_serves_aspects_that_the_oracle_refuses(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="Extreme aspect"):
        MarigoldImageProcessor().preprocess(torch.rand(1, 3, *size), processing_resolution=128)
    framing = framing_for(size, 128, 8)
    assert sorted(framing.content_size) == [1, 128]
    assert sorted(framing.padded_size) == [8, 128]
    assert framing.invert(framing.apply(torch.rand(2, 1, *size))).shape == (2, 1, *size)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    resolution=st.one_of(st.none(), st.integers(0, 90)),
    multiple=st.sampled_from([1, 2, 8, 16, 32]),
)
def test_inverts_at_every_size(height: int, width: int, resolution: int | None, multiple: int) -> None:
    framing = framing_for((height, width), resolution, multiple)
    assert all(padded % multiple == 0 for padded in framing.padded_size)
    padding = [p - c for p, c in zip(framing.padded_size, framing.content_size, strict=True)]
    assert all(0 <= amount < multiple for amount in padding)
    assert max(framing.content_size) == (resolution or max(height, width))

    constant = torch.full((2, 1, height, width), 0.3)
    torch.testing.assert_close(framing.invert(framing.apply(constant)), constant, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("size", "resolution"), [((61, 83), 128), ((240, 320), 128), ((135, 241), 96)])
def test_convention_borders_stay_aligned(size: tuple[int, int], resolution: int) -> None:
    """A ramp comes back where it was: nothing is shifted by a fraction of a pixel."""
    v, u = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    ramps = torch.stack([u, v]).float()[None]
    framing = framing_for(size, resolution, 16)
    restored = framing.invert(framing.apply(ramps))
    margin = 1 + 2 * max(size) // resolution  # within, edges are repeated
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(restored[inner], ramps[inner], rtol=0, atol=0.02)


def test_padding_is_at_the_right_and_the_bottom_and_repeats() -> None:
    images = torch.rand(2, 3, 9, 13)
    padded = framing_for((9, 13), None, 8).apply(images)
    assert padded.shape == (2, 3, 16, 16)
    assert torch.equal(padded[:, :, :9, :13], images)
    assert torch.equal(padded[:, :, :9, 13:], images[:, :, :, -1:].expand(-1, -1, -1, 3))
    assert torch.equal(padded[:, :, 9:, :13], images[:, :, -1:].expand(-1, -1, 7, -1))


def test_gradients_flow_both_ways() -> None:
    images = torch.rand(2, 3, 11, 17, requires_grad=True)
    framing = framing_for((11, 17), 24, 8)
    framing.invert(framing.apply(images)).sum().backward()
    assert images.grad is not None
    assert (images.grad > 0).all()


def test_refuses_other_sizes_and_types() -> None:
    framing = framing_for((9, 13), 16, 8)
    with pytest.raises(InvalidInputError, match=r"9, 13.*torch.float32 \(1, 3, 13, 9\)"):
        framing.apply(torch.rand(1, 3, 13, 9))
    with pytest.raises(InvalidInputError, match=r"uint8"):
        framing.apply(torch.zeros(1, 3, 9, 13, dtype=torch.uint8))
    with pytest.raises(InvalidInputError, match=r"padded size.*16, 16"):
        framing.invert(torch.rand(1, 1, 9, 13))
    with pytest.raises(InvalidInputError, match=r"\(0, 5\)"):
        framing_for((0, 5), 16, 8)
    with pytest.raises(InvalidInputError, match="-1"):
        framing_for((5, 5), -1, 8)
    with pytest.raises(InvalidInputError, match="multiple"):
        framing_for((5, 5), 16, 0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_result_one_pixel_wide_keeps_its_rows(channels_last: bool) -> None:
    """torch 2.13 makes them all the same where it resizes both ways at once."""
    rows = torch.linspace(0, 1, 90).view(1, 1, 90, 1).expand(2, 3, 90, 4)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    fitted = framing_for((90, 4), 16, 1).apply(rows.contiguous(memory_format=layout))
    assert fitted.shape == (2, 3, 16, 1)
    torch.testing.assert_close(fitted[1, 2, 1:-1, 0], (torch.arange(1, 15) + 0.5) / 16, rtol=0, atol=0.01)
