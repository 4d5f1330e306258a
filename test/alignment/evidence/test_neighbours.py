"""What samples say about each other."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.neighbours import (
    are_supported,
    coherent_samples,
    local_median,
    outlier_probability,
)


def measured(count, seed=0):
    """Samples of a near wall to the left of a far one; every fifth is an outlier."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(0, 639, count).astype(np.float32), rng.uniform(0, 479, count).astype(np.float32)
    depth = np.where(u < 250, 1.5, 4.0) * (1 + 0.01 * rng.standard_normal(count))
    wrong = np.arange(count) % 5 == 0
    depth[wrong] = rng.uniform(0.5, 9, wrong.sum())
    return u, v, depth, wrong


@pytest.mark.parametrize("count", [300, 2000])
def test_surfaces_confirm_their_samples_and_outliers_stand_alone(count):
    u, v, depth, wrong = measured(count, count)
    confirmed = coherent_samples(u, v, depth)
    assert confirmed[~wrong].mean() > 0.9
    assert confirmed[wrong].mean() < 0.15


def test_few_samples_confirm_nothing():
    five = np.arange(5, dtype=np.float32)
    assert not coherent_samples(five, five, np.ones(5)).any()


@pytest.mark.parametrize("count", [60, 300, 2000])
def test_far_off_samples_are_outliers_where_neighbours_deny_them_and_the_network_is_wrong_where_not(count):
    u, v, depth, wrong = measured(count)
    # A network that sees the far wall alone: samples of the near one are as far off as the outliers.
    far_off = np.abs(np.log(depth / 4)) > 0.2
    probability = outlier_probability(u, v, np.log(depth), far_off, 0.2)
    near_wall = far_off & ~wrong
    assert near_wall.sum() > 0.2 * count
    # A sample of another place is alike by chance in half of the cases here: there are two walls.
    assert probability[near_wall].mean() < 0.5
    assert probability[far_off & wrong].mean() > 0.75
    assert probability[~far_off & ~wrong].mean() < 0.1
    # A good network: only outliers are far off.
    far_off = wrong & (np.abs(np.log(depth / np.where(u < 250, 1.5, 4.0))) > 0.2)
    probability = outlier_probability(u, v, np.log(depth), far_off, 0.2)
    assert probability[far_off].min() > 0.6
    assert probability[far_off].mean() > 0.95
    assert probability[~far_off].mean() < 0.1


def test_where_nothing_is_far_off_nothing_is_an_outlier_and_few_far_off_ones_are():
    u, v, depth, _ = measured(20)
    none = np.zeros(20, dtype=bool)
    np.testing.assert_array_equal(outlier_probability(u, v, np.log(depth), none, 0.3), 0)
    one = np.arange(8) == 3
    probability = outlier_probability(u[:8], v[:8], np.log(depth[:8]), one, 0.25)
    assert probability[3] == 1
    np.testing.assert_allclose(np.delete(probability, 3), (1 / 8) * (0.25 / 0.75) / (7 / 8))


def test_the_order_of_the_samples_does_not_matter():
    u, v, depth, _ = measured(1500)
    shuffled = np.random.default_rng(5).permutation(1500)
    far_off = np.abs(np.log(depth / 4)) > 0.2
    there = outlier_probability(u, v, np.log(depth), far_off, 0.2)
    back = outlier_probability(u[shuffled], v[shuffled], np.log(depth[shuffled]), far_off[shuffled], 0.2)
    np.testing.assert_allclose(back, there[shuffled])
    np.testing.assert_array_equal(
        coherent_samples(u[shuffled], v[shuffled], depth[shuffled]), coherent_samples(u, v, depth)[shuffled]
    )


def test_the_local_median_leaves_the_sample_itself_out():
    place = np.stack([np.array([-1.0, 1, 2, 3, 4, 5, 6]), np.zeros(7)], axis=1)
    value = np.array([0.0, 1, 2, 90, 4, 5, 6])
    median, spread = local_median(place, value)
    assert median[3] == 4  # of 1, 2, 4, 5, 6: the nearest five
    assert spread[3] == pytest.approx(1.4826 * 2)  # of 3, 2, 0, 1, 2


@pytest.mark.parametrize("count", [100, 3000])
def test_neighbours_support_what_lies_on_surfaces(count):
    u, v, depth, wrong = measured(count, count)
    supported = are_supported(u, v, np.log(depth))
    assert supported[~wrong].mean() > 0.9
    assert supported[wrong].mean() < 0.25


def test_among_few_all_count_as_supported():
    five = np.arange(5, dtype=np.float32)
    assert are_supported(five, five, np.array([0.0, 1.0, 2.0, 3.0, 9.0])).all()


def test_many_measurements_of_one_pixel_do_not_support_themselves():
    ten = np.zeros(30, np.float32)
    log_depth = np.append(np.zeros(29), 2.0)
    np.testing.assert_array_equal(are_supported(ten, ten, log_depth), log_depth == 0)
