"""Without torch, images and maps are resized as torch resizes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.core.resampling import enlarged, resized

# An image's values are up to 255, and a result is a sum of up to K shares of them along each axis: a few
# roundings of 2 ** -24 of the largest. Taps are 32 at most here.
_OF_255 = 255 * 32 * 2.0**-24
_OF_1 = 8 * 2.0**-24  # a bilinear map: two multiplications and an addition along each axis
_SIZES = [(1, 1), (1, 7), (7, 1), (2, 3), (5, 8), (33, 47), (120, 161), (240, 320), (241, 319)]


def _image(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def _torch_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # On its side where the result is 1 px wide: torch 2.13 makes all its rows the same.
    axes = (2, 1, 0) if size[1] == 1 else (2, 0, 1)
    tensor = torch.from_numpy(image.transpose(axes).copy())[None].double()
    new = size[::-1] if size[1] == 1 else size
    exact = functional.interpolate(tensor, new, mode="bilinear", antialias=True)[0].numpy()
    return exact.transpose(0, 2, 1) if size[1] == 1 else exact


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("new", _SIZES)
def test_images_are_resized_as_by_torch(size: tuple[int, int], new: tuple[int, int]) -> None:
    image = _image(size)
    found = resized(image, new)
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((3, *new), np.float32, True)
    np.testing.assert_allclose(found, _torch_image(image, new), rtol=0, atol=_OF_255)


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    new=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_images_are_resized_as_by_torch_at_any_size(size: tuple[int, int], new: tuple[int, int]) -> None:
    image = _image(size)
    # 70 pixels can become one: more shares than above, of less each.
    np.testing.assert_allclose(resized(image, new), _torch_image(image, new), rtol=0, atol=2 * _OF_255)


def test_an_image_of_its_size_stays_as_it_is_and_views_do() -> None:
    image = _image((9, 14))
    np.testing.assert_array_equal(resized(image, (9, 14)), image.transpose(2, 0, 1))
    flipped = image[:, ::-1]
    np.testing.assert_array_equal(resized(flipped, (5, 6)), resized(np.ascontiguousarray(flipped), (5, 6)))


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("new", _SIZES)
def test_maps_are_resized_as_by_torch(size: tuple[int, int], new: tuple[int, int]) -> None:
    plane = np.random.default_rng(1).random(size, np.float32)
    exact = functional.interpolate(torch.from_numpy(plane)[None, None].double(), new, mode="bilinear")
    found = enlarged(plane, new)
    assert (found.shape, found.dtype) == (new, np.float32)
    # Where a pixel lies between two is rounded too, by 2 ** -24 of its place among up to 320.
    np.testing.assert_allclose(found, exact[0, 0].numpy(), rtol=0, atol=_OF_1 + max(*size, *new) * 2.0**-23)


def test_nan_spreads_to_the_pixels_that_it_is_part_of() -> None:
    plane = np.ones((6, 9), np.float32)
    plane[2, 4] = np.nan
    expected = functional.interpolate(torch.from_numpy(plane)[None, None], (19, 31), mode="bilinear")
    np.testing.assert_array_equal(np.isnan(enlarged(plane, (19, 31))), np.isnan(expected[0, 0].numpy()))


@pytest.mark.parametrize(
    ("size", "resolution", "multiple"),
    [
        ((37, 59), 52, 8),
        ((59, 37), 96, 4),
        ((1, 1), 16, 8),
        ((24, 40), 0, 8),
        ((480, 640), 160, 8),
        ((90, 3), 16, 8),
    ],
)
def test_framing_does_the_same_to_arrays_as_to_tensors(
    size: tuple[int, int], resolution: int, multiple: int
) -> None:
    framing = framing_for(size, resolution, multiple)
    images = [_image(size, seed) for seed in range(2)]
    tensor = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).double() / 255 * 2 - 1
    found = framing.pixels(images)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(found, framing.apply(tensor).numpy(), rtol=0, atol=_OF_255 * 2 / 255 + 2**-23)
    plane = np.random.default_rng(2).random(framing.padded_size, np.float32)
    expected = framing.invert(torch.from_numpy(plane)[None, None].double())[0, 0].numpy()
    found = framing.restored(plane)
    assert found.shape == size
    np.testing.assert_allclose(found, expected, rtol=0, atol=_OF_1 + max(size) * 2.0**-23)
