"""What a pass takes: as many as fit and at least one, and no maps that AMX gets wrong."""

import pytest

from e2e_depth_ros.model.limits import batch_that_fits, halvings_of, has_lone_column


@pytest.mark.parametrize(
    ("bytes_each", "megabytes", "expected"),
    [(10**6, 4, 4), (10**6 + 1, 4, 3), (10**9, 4, 1)],
)
def test_as_many_as_fit_and_at_least_one(bytes_each, megabytes, expected):
    assert batch_that_fits(bytes_each, megabytes) == expected


@pytest.mark.parametrize(
    ("size", "halvings", "expected"),
    [
        ((96, 8), 3, True),  # 12 x 1
        ((160, 16), 5, True),  # 10 x 1
        ((160, 72), 6, False),  # 3 x 2 at the end
        ((160, 64), 6, True),  # 3 x 1
        ((8, 96), 5, False),  # a row is right
        ((64, 64), 6, False),  # 1 x 1 is a row, too
        ((120, 160), 5, False),
    ],
)
def test_a_lone_column_is_one_with_several_rows(size, halvings, expected):
    assert has_lone_column(size, halvings) is expected


def test_autoencoder_and_unet_halve_together():
    assert halvings_of(8, 4) == 6
    assert halvings_of(4, 1) == 2  # a UNet of one size, or none
