import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.rvl import unpack_rvl
from helpers.rvl_packer import pack_rvl


def scene():
    depth = np.add.outer(np.arange(48), 3 * np.arange(64)).astype(np.uint16) + 700
    depth[10:20, 5:40] = 0
    depth[:, 60:] = 65535
    return depth


IMAGES = {
    "scene": scene(),
    "nothing": np.zeros((7, 9), np.uint16),
    "full": np.full((7, 9), 1234, np.uint16),
    "one pixel": np.array([[5]], np.uint16),
    "one empty pixel": np.array([[0]], np.uint16),
    "largest steps": np.where(np.indices((9, 9)).sum(0) % 2, 65535, 1).astype(np.uint16),
    "every other": np.where(np.indices((9, 9)).sum(0) % 2, 800, 0).astype(np.uint16),
    "ends empty": np.pad(scene()[:5], ((0, 3), (0, 0))),
    "begins empty": np.pad(scene()[:5], ((3, 0), (0, 0))),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_out_as_it_went_in(name):
    depth = IMAGES[name]
    np.testing.assert_array_equal(unpack_rvl(pack_rvl(depth), depth.shape), depth)


def test_the_format_is_that_of_the_paper():
    # 2 empty pixels, 3 others: 10, 10 + 1, 11 - 3; folded 20 = 2 * 8 + 4, 2 and 5.
    groups = 0x2, 0x3, 0xC, 0x2, 0x2, 0x5
    word = sum(group << 28 - 4 * place for place, group in enumerate(groups))
    np.testing.assert_array_equal(unpack_rvl(word.to_bytes(4, "little"), (1, 5)), [[0, 0, 10, 11, 8]])


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(
        np.uint16,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.sampled_from([0, 1, 700, 701, 40000, 65535]),
    )
)
def test_any_image_comes_out_as_it_went_in(depth):
    np.testing.assert_array_equal(unpack_rvl(pack_rvl(depth), depth.shape), depth)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400), st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_other_bytes_are_refused_or_give_an_image(data, size):
    with contextlib.suppress(InvalidInputError):
        assert unpack_rvl(data, size).shape == size


def test_every_cut_is_refused():
    depth = scene()
    data = pack_rvl(depth)
    for cut in range(0, len(data) - 4, 7):
        with pytest.raises(InvalidInputError, match="RVL"):
            unpack_rvl(data[:cut], depth.shape)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(InvalidInputError, match="expected 64 pixels in RVL, got"):
        unpack_rvl(pack_rvl(np.full((9, 9), 3, np.uint16)), (8, 8))
    with pytest.raises(InvalidInputError, match="truncated"):
        unpack_rvl(pack_rvl(np.full((9, 9), 3, np.uint16)), (90, 90))


def test_an_endless_number_is_refused():
    with pytest.raises(InvalidInputError, match="up to 10 groups in RVL, got one of 17"):
        unpack_rvl(b"\xff" * 8 + bytes(4), (4, 4))


def test_what_follows_the_image_is_left_alone():
    depth = scene()
    np.testing.assert_array_equal(unpack_rvl(pack_rvl(depth) + b"\x12" * 40, depth.shape), depth)
