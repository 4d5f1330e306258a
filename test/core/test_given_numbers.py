from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.given_numbers import is_whole, numbers_from


@pytest.mark.parametrize(
    "given", [[1, 2.5], (1, np.float64(2.5)), np.array([1, 2.5]), [Decimal(1), Decimal("2.5")]]
)
def test_numbers_are_taken_however_they_come(given):
    numbers = numbers_from("length", given, np.float64)
    assert numbers.tolist() == [1, 2.5]
    assert numbers.dtype == np.float64


def test_the_result_is_an_array_of_its_own():
    given = np.zeros(3, np.float32)
    numbers_from("length", given)[0] = 1
    assert given[0] == 0


def test_what_is_masked_is_unknown():
    np.testing.assert_array_equal(numbers_from("length", np.ma.masked_equal([1, 2], 2)), [1, np.nan])


@pytest.mark.parametrize(
    "given",
    [
        "abc",
        "5",
        ["1", "2"],
        [[1, 2], [3]],
        [1j],
        np.array([1j]),
        [None, "x"],
        np.datetime64("now"),
        [10**400],
    ],
)
def test_what_are_no_numbers_is_refused_by_name(given):
    with pytest.raises(InvalidInputError, match=f"expected numbers as length, got {type(given).__name__}"):
        numbers_from("length", given)


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (2, True),
        (5, True),
        (np.int16(3), True),
        (1, False),
        (6, False),
        (3.0, False),
        ("3", False),
        (None, False),
    ],
)
def test_whole_numbers_within_limits(value, whole):
    assert is_whole(value, 2, 5) is whole


def test_true_is_no_number():
    assert not is_whole(True, 0)
