"""A pass takes what fits, and always at least one."""

import pytest

from e2e_depth_ros.model.limits import batch_that_fits


@pytest.mark.parametrize(
    ("bytes_each", "megabytes", "expected"),
    [(10**6, 4, 4), (10**6 + 1, 4, 3), (10**9, 4, 1)],
)
def test_as_many_as_fit_and_at_least_one(bytes_each, megabytes, expected):
    assert batch_that_fits(bytes_each, megabytes) == expected
