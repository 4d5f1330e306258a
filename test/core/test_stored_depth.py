import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.stored_depth import metres_from_stored, millimetres_from_metres


def test_sixteen_bits_are_millimetres_but_for_the_two_that_mean_nothing():
    stored = np.array([[0, 1, 1234], [65534, 65535, 500]], np.uint16)
    metres = metres_from_stored(stored)
    assert metres.dtype == np.float32
    np.testing.assert_allclose(metres, [[np.nan, 0.001, 1.234], [65.534, np.nan, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(metres_from_stored(stored, 1 / 5000), metres / 5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_metres_and_the_given_array_stays(dtype):
    stored = np.array([[0, -1, 2.5], [np.nan, np.inf, -np.inf]], dtype)
    before = stored.copy()
    np.testing.assert_array_equal(metres_from_stored(stored), [[np.nan, np.nan, 2.5], [np.nan] * 3])
    np.testing.assert_array_equal(stored, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, bool])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(InvalidInputError, match=f"got {np.dtype(dtype)}"):
        metres_from_stored(np.ones((2, 3), dtype))


def test_millimetres_end_where_16_bits_do():
    metres = np.array([[0.0004, 0.001, 65.534, 65.5349, 65.536, np.inf, -1, np.nan]])
    assert millimetres_from_metres(metres).tolist() == [[0, 1, 65534, 0, 0, 0, 0, 0]]


def test_metres_come_back():
    metres = np.linspace(0.2, 60, 35, dtype=np.float32).reshape(5, 7)
    np.testing.assert_allclose(metres_from_stored(millimetres_from_metres(metres)), metres, atol=0.5001e-3)
