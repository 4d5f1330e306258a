import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.alignment.fitting.verdict import FitCase
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import planted

DEPTH, DISPARITY = DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(0.05, 200),
    offset=st.floats(0.02, 6),
    count=st.integers(12, 400),
    seed=st.integers(0, 10_000),
    kind=st.sampled_from([DEPTH, DISPARITY]),
)
def test_a_planted_scale_and_shift_is_recovered_exactly(scale, offset, count, seed, kind):
    r, y, _ = planted(count, seed, scale=scale, shift=scale * offset)
    fit = fit_affine(r, 1 / y if kind is DISPARITY else y, kind, value_range=(0, 1))
    assert fit.model.scale == pytest.approx(scale, rel=1e-6)
    assert fit.model.shift_m == pytest.approx(scale * offset, rel=1e-6)
    assert fit.inliers.all()
    assert fit.case is FitCase.WELL_POSED


@settings(max_examples=30, deadline=None)
@given(unit=st.floats(1e-3, 1e3), count=st.integers(1, 200), seed=st.integers(0, 10_000))
def test_the_unit_of_depth_only_scales_the_result(unit, count, seed):
    r, z, _ = planted(count, seed, noise=0.05, outliers=0.2)
    metres, others = (fit_affine(r, depth, DEPTH, value_range=(0, 1)) for depth in (z, unit * z))
    assert others.model.scale == pytest.approx(unit * metres.model.scale, rel=1e-6)
    assert others.model.shift_m == pytest.approx(unit * metres.model.shift_m, rel=1e-6)
    assert others.case is metres.case
    np.testing.assert_array_equal(others.inliers, metres.inliers)


@settings(max_examples=30, deadline=None)
@given(gain=st.floats(1e-3, 1e3), bias=st.floats(-50, 50), seed=st.integers(0, 10_000))
def test_the_range_of_relative_values_does_not_matter(gain, bias, seed):
    r, z, _ = planted(60, seed, noise=0.05)
    plain = fit_affine(r, z, DEPTH, value_range=(0, 1))
    moved = fit_affine(gain * r + bias, z, DEPTH, value_range=(bias, bias + gain))
    assert moved.model.scale * gain == pytest.approx(plain.model.scale, rel=1e-4)
    assert moved.model.shift_m + moved.model.scale * bias == pytest.approx(plain.model.shift_m, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 300), seed=st.integers(0, 10_000), again=st.integers(0, 10_000))
def test_the_order_of_samples_does_not_matter(count, seed, again):
    r, z, _ = planted(count, seed, noise=0.05, outliers=0.3)
    order = np.random.default_rng(again).permutation(count)
    one, other = fit_affine(r, z, DEPTH), fit_affine(r[order], z[order], DEPTH)
    assert (one.model.scale, one.model.shift_m, one.sigma) == (
        other.model.scale,
        other.model.shift_m,
        other.sigma,
    )
    np.testing.assert_array_equal(one.inliers[order], other.inliers)


def test_many_samples_are_thinned_without_regard_to_their_order():
    r, z, _ = planted(50_000, noise=0.05, outliers=0.3)
    one, other = fit_affine(r, z, DEPTH), fit_affine(r[::-1], z[::-1], DEPTH)
    assert one.model.scale == other.model.scale
    assert one.model.scale == pytest.approx(3.5, rel=0.02)
    assert len(one.inliers) == 50_000


@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("count", [100, 1000])
def test_up_to_half_outliers_hardly_matter(count, outliers):
    r, z, wrong = planted(count, 3, noise=0.03, outliers=outliers)
    fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
    fitted = fit.model.scale * np.linspace(0, 1, 50) + fit.model.shift_m
    truth = 3.5 * np.linspace(0, 1, 50) + 1.25
    assert np.abs(fitted / truth - 1).max() < 0.03
    assert fit.inliers[~wrong].mean() > 0.97
    assert fit.sigma == pytest.approx(0.03, rel=0.6)


def test_scale_is_always_positive_and_depth_positive_over_the_range():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        r, z = rng.random(6), rng.uniform(0.2, 9, 6)
        fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
        assert fit.model.scale > 0
        assert fit.model.shift_m > 0


@pytest.mark.parametrize("kind", [DepthKind.SCALE_INVARIANT, DepthKind.METRIC])
def test_maps_without_an_unknown_shift_get_none(kind):
    rng = np.random.default_rng(1)
    r = rng.uniform(2, 5, 40)
    fit = fit_affine(r, 1.7 * r, kind)
    assert fit.model.scale == pytest.approx(1.7)
    assert fit.model.shift_m == 0
    assert fit.case is FitCase.WELL_POSED


def test_one_sample_determines_the_scale():
    fit = fit_affine([0.4], [2.0], DEPTH, value_range=(0, 1))
    assert fit.model.scale * 0.4 + fit.model.shift_m == pytest.approx(2.0, rel=1e-6)


def test_information_tells_what_samples_on_a_patch_do_not():
    r, z, _ = planted(200, noise=0.03)
    near = np.abs(r - 0.5) < 0.05
    everywhere, patch = (
        fit_affine(r[k], z[k], DEPTH, value_range=(0, 1)) for k in (np.ones(200, bool), near)
    )
    weakest = [np.linalg.eigvalsh(fit.information)[0] for fit in (everywhere, patch)]
    assert weakest[0] > 20 * weakest[1]


@pytest.mark.parametrize(
    ("r", "z", "message"),
    [([0.1, 0.2], [1.0], "one shape"), ([np.nan], [1.0], "finite"), ([0.1], [0.0], "positive")],
)
def test_wrong_input_is_refused(r, z, message):
    with pytest.raises(InvalidInputError, match=message):
        fit_affine(r, z, DEPTH)


def test_a_dozen_of_twenty_that_agree_closely_do_not_make_outliers_of_the_rest():
    """That some happen to agree within a percent says little about a network's error."""
    relative = np.linspace(0.0, 1.0, 20)
    error = np.tile([0.003, -0.002, 0.09, -0.003, -0.09], 4)
    fit = fit_affine(relative, (2 + 3 * relative) * np.exp(error), DepthKind.AFFINE_INVARIANT)
    assert fit.inlier_ratio >= 0.9
    many = np.linspace(0.0, 1.0, 400)
    error = np.tile([0.003, -0.002, 0.09, -0.003, -0.09], 80)
    fit = fit_affine(many, (2 + 3 * many) * np.exp(error), DepthKind.AFFINE_INVARIANT)
    assert fit.inlier_ratio == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("depth_m", [1.0, 2.0, 2.5, 3.0, 4.0, 5.0])
def test_a_great_many_equal_samples_are_fitted(depth_m):
    """A time-of-flight camera before a wall that the network puts at the end of its range."""
    fit = fit_affine(np.ones(5000), np.full(5000, depth_m), DEPTH, value_range=(0, 1))
    assert fit.case is FitCase.NO_SPREAD
    assert fit.model.scale + fit.model.shift_m == pytest.approx(depth_m, rel=1e-3)
