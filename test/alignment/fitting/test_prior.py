import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import value_range
from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.prior import OffsetPrior, offset_prior_of
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import as_map


def relative_of_offset(offset, size=(60, 110)):
    """Inverse depth falls evenly from the lowest row up, as over a floor, to where the far end is."""
    nearness = np.broadcast_to(np.linspace(0, 1, size[0])[:, None], size)
    depth = 1 / (1 / (1 + offset) + nearness * (1 / offset - 1 / (1 + offset)))
    return as_map(depth - offset)


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
