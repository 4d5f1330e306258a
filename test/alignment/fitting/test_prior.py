import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import value_range
from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior, offset_of_planes, offset_prior_of
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import as_map


def relative_of_offset(offset, size=(60, 110)):
    """Inverse depth falls evenly from the lowest row up, as over a floor, to where the far end is."""
    nearness = np.broadcast_to(np.linspace(0, 1, size[0])[:, None], size)
    depth = 1 / (1 / (1 + offset) + nearness * (1 / offset - 1 / (1 + offset)))
    return as_map(depth - offset)


def corridor_of_offset(offset, size=(96, 150)):
    """A floor, two walls and an end, of which the nearest pixel decides; the end takes most of the image."""
    row, column = (np.linspace(-1, 1, length) for length in size)
    sides = np.maximum(1.1 * row[:, None] - 0.5, 0.9 * np.abs(column + 0.2)[None] - 0.6)
    inverse = np.maximum(sides / sides.max() / offset, 1 / (1 + offset))
    return as_map(1 / inverse - offset)


@pytest.mark.parametrize("offset", [0.05, 0.2, 0.5])
def test_the_offset_of_a_floor_is_told_from_the_map(offset):
    relative = relative_of_offset(offset)
    prior = offset_prior_of(relative, *value_range(relative))
    assert abs(np.log(prior.mean / offset)) < 2 * prior.log_std_for(0.08)


def test_a_street_is_told_from_a_table():
    table, street = relative_of_offset(0.8), relative_of_offset(0.02)
    assert offset_prior_of(street, 0, 1).mean < 0.3 * offset_prior_of(table, 0, 1).mean


def test_it_depends_on_neither_the_unit_of_the_map_nor_its_invalid_pixels():
    values = relative_of_offset(0.2).values
    plain = offset_prior_of(as_map(values), 0.0, 1.0)
    scaled = offset_prior_of(as_map(7 * values - 3), -3.0, 4.0)
    assert scaled.mean == pytest.approx(plain.mean, rel=1e-4)
    holes = values.copy()
    holes[:, 1::2] = np.nan  # the same distribution without them
    assert offset_prior_of(as_map(holes), 0.0, 1.0).mean == pytest.approx(plain.mean, rel=0.05)


def test_nothing_is_told_where_the_map_says_nothing():
    values = relative_of_offset(0.2).values
    for kind in (DepthKind.AFFINE_INVARIANT_DISPARITY, DepthKind.SCALE_INVARIANT, DepthKind.METRIC):
        assert offset_prior_of(as_map(values, kind), 0.0, 1.0) == OffsetPrior()
    assert offset_prior_of(as_map(np.full((4, 6), 0.3)), 0.3, 0.3) == OffsetPrior()
    assert offset_prior_of(as_map(np.full((4, 6), np.nan)), 0.0, 1.0) == OffsetPrior()


def test_a_poor_network_tells_less_of_its_own_offset():
    prior = offset_prior_of(relative_of_offset(0.2), 0.0, 1.0)
    assert prior.log_std == prior.log_std_for(0.0)
    assert prior.log_std_for(0.3) > 2 * prior.log_std_for(0.05)
    assert OffsetPrior().log_std_for(0.3) == OffsetPrior().log_std


@pytest.mark.parametrize("offset", [0.05, 0.2])
def test_planes_tell_the_offset_where_the_quartile_does_not(offset):
    corridor = corridor_of_offset(offset)
    log_offset, information = offset_of_planes(corridor, 0.0, 1.0)
    assert abs(log_offset - np.log(offset)) < 0.3
    assert information > 2
    near, far = np.full(50, 0.02), np.full(50, 0.9)
    with_planes = offset_prior_of(corridor, 0.0, 1.0, far)
    without = offset_prior_of(corridor, 0.0, 1.0, np.concatenate([near, far]))
    assert abs(np.log(with_planes.mean / offset)) < 0.75 * abs(np.log(without.mean / offset))
    assert with_planes.log_std < without.log_std
    assert (with_planes.unsampled, without.unsampled) == (1, 0)


def test_planes_are_alike_after_a_scale_and_a_shift_and_in_both_directions():
    values = corridor_of_offset(0.2).values
    plain = offset_of_planes(as_map(values), 0.0, 1.0)
    for other in (7 * values - 3, (7 * values - 3).T):
        assert offset_of_planes(as_map(other), -3.0, 4.0) == pytest.approx(plain, rel=0.02, abs=0.02)


@pytest.mark.parametrize("size", [(3, 5), (60, 110)])
def test_what_is_not_planar_tells_little(size):
    for values in (np.random.default_rng(0).random(size), np.full(size, 0.3), np.full(size, np.nan)):
        assert offset_of_planes(as_map(values), 0.0, 1.0)[1] < 0.5
    rows, columns = np.indices(size)
    waves = 0.5 + 0.5 * np.sin(rows / 5) * np.sin(columns / 7)
    assert offset_of_planes(as_map(waves), 0.0, 1.0)[1] < 1.5


def test_with_samples_near_a_wrong_prior_counts_little():
    rng = np.random.default_rng(0)
    t = rng.random(300)
    depth = (t + 0.3) * np.exp(0.2 * rng.standard_normal(300))
    wrong = [OffsetPrior(0.03, 0.6, unsampled=unsampled) for unsampled in (0.0, 1.0)]
    few, many = (
        fit_affine(t, depth, DepthKind.AFFINE_INVARIANT, value_range=(0, 1), prior=prior) for prior in wrong
    )
    errors = [abs(np.log(fit.model.offset / 0.3)) for fit in (few, many)]
    assert errors[0] < 0.15
    assert errors[1] > 2 * errors[0]
