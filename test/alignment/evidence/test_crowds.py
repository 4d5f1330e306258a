"""Many samples close together know little more than one."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.crowds import are_crowded, shares_of_cells


def test_a_crowd_counts_little_more_than_one_alone():
    crowd = np.linspace(330, 370, 40, dtype=np.float32)  # in the fifth of eight columns
    u = np.append(crowd, np.float32(-0.4))
    v = np.append(np.full(40, 170, np.float32), np.float32(479.4))
    shares = shares_of_cells(u, v, 640)
    assert shares[-1] == 1
    assert shares[:-1].sum() == pytest.approx(2 * 40 / 41)
    np.testing.assert_allclose(shares_of_cells(u / 4, v / 4, 160), shares)


def test_many_in_one_corner_crowd_and_a_few_everywhere_do_not():
    rng = np.random.default_rng(8)
    size = (90, 120)

    def random_samples(count, height, width):
        return (rng.uniform(0, end, count).astype(np.float32) for end in (width, height))

    assert are_crowded(*random_samples(150, 40, 30), size)
    assert not are_crowded(*random_samples(150, 90, 120), size)
    assert not are_crowded(*random_samples(12, 90, 120), size)
    assert not are_crowded(*random_samples(2000, 40, 120), size)
