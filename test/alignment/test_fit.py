import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_depth_ros.alignment.affine import AffineModel, metric_from_relative, value_range
from e2e_depth_ros.alignment.fit import fit_affine
from e2e_depth_ros.alignment.verdict import FitCase
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from helpers.known_scene import affine_model

DEPTH, DISPARITY = DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY


def planted(count, seed=0, *, scale=3.5, shift=1.25, noise=0.0, outliers=0.0):
    rng = np.random.default_rng(seed)
    r = rng.random(count)
    z = (scale * r + shift) * np.exp(noise * rng.standard_normal(count))
    wrong = rng.permutation(count) < round(outliers * count)
    z[wrong] = rng.uniform(shift, scale + shift, wrong.sum())
    return r, z, wrong


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
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.shift_m == pytest.approx(scale * offset, rel=1e-6)
    assert fit.inliers.all()
    assert fit.case is FitCase.WELL_POSED


@settings(max_examples=30, deadline=None)
@given(unit=st.floats(1e-3, 1e3), count=st.integers(1, 200), seed=st.integers(0, 10_000))
def test_the_unit_of_depth_only_scales_the_result(unit, count, seed):
    r, z, _ = planted(count, seed, noise=0.05, outliers=0.2)
    metres, others = (fit_affine(r, depth, DEPTH, value_range=(0, 1)) for depth in (z, unit * z))
    assert others.scale == pytest.approx(unit * metres.scale, rel=1e-6)
    assert others.shift_m == pytest.approx(unit * metres.shift_m, rel=1e-6)
    assert others.case is metres.case
    np.testing.assert_array_equal(others.inliers, metres.inliers)


@settings(max_examples=30, deadline=None)
@given(gain=st.floats(1e-3, 1e3), bias=st.floats(-50, 50), seed=st.integers(0, 10_000))
def test_the_range_of_relative_values_does_not_matter(gain, bias, seed):
    r, z, _ = planted(60, seed, noise=0.05)
    plain = fit_affine(r, z, DEPTH, value_range=(0, 1))
    moved = fit_affine(gain * r + bias, z, DEPTH, value_range=(bias, bias + gain))
    assert moved.scale * gain == pytest.approx(plain.scale, rel=1e-4)
    assert moved.shift_m + moved.scale * bias == pytest.approx(plain.shift_m, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 300), seed=st.integers(0, 10_000), again=st.integers(0, 10_000))
def test_the_order_of_samples_does_not_matter(count, seed, again):
    r, z, _ = planted(count, seed, noise=0.05, outliers=0.3)
    order = np.random.default_rng(again).permutation(count)
    one, other = fit_affine(r, z, DEPTH), fit_affine(r[order], z[order], DEPTH)
    assert (one.scale, one.shift_m, one.sigma) == (other.scale, other.shift_m, other.sigma)
    np.testing.assert_array_equal(one.inliers[order], other.inliers)


def test_many_samples_are_thinned_without_regard_to_their_order():
    r, z, _ = planted(50_000, noise=0.05, outliers=0.3)
    one, other = fit_affine(r, z, DEPTH), fit_affine(r[::-1], z[::-1], DEPTH)
    assert one.scale == other.scale
    assert one.scale == pytest.approx(3.5, rel=0.02)
    assert len(one.inliers) == 50_000


@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("count", [100, 1000])
def test_up_to_half_outliers_hardly_matter(count, outliers):
    r, z, wrong = planted(count, 3, noise=0.03, outliers=outliers)
    fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
    fitted = fit.scale * np.linspace(0, 1, 50) + fit.shift_m
    truth = 3.5 * np.linspace(0, 1, 50) + 1.25
    assert np.abs(fitted / truth - 1).max() < 0.03
    assert fit.inliers[~wrong].mean() > 0.97
    assert fit.sigma == pytest.approx(0.03, rel=0.6)


def test_scale_is_always_positive_and_depth_positive_over_the_range():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        r, z = rng.random(6), rng.uniform(0.2, 9, 6)
        fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
        assert fit.scale > 0
        assert fit.shift_m > 0


@pytest.mark.parametrize("kind", [DepthKind.SCALE_INVARIANT, DepthKind.METRIC])
def test_maps_without_an_unknown_shift_get_none(kind):
    rng = np.random.default_rng(1)
    r = rng.uniform(2, 5, 40)
    fit = fit_affine(r, 1.7 * r, kind)
    assert fit.scale == pytest.approx(1.7)
    assert fit.shift_m == 0
    assert fit.case is FitCase.WELL_POSED


def case_of(r, z, value_range=(0.0, 1.0), kind=DEPTH):
    return fit_affine(r, z, kind, value_range=value_range).case


def test_each_degenerate_case_is_named():
    rng = np.random.default_rng(5)
    r, z, _ = planted(200, noise=0.03)
    assert case_of(r, z) is FitCase.WELL_POSED
    assert case_of([], []) is FitCase.NO_SAMPLES
    assert case_of([0.3], [2.0]) is FitCase.ONE_SAMPLE
    assert case_of(r[:3], z[:3]) is FitCase.FEW_SAMPLES
    near = np.abs(r - 0.5) < 0.05
    assert case_of(r[near], z[near]) is FitCase.NO_SPREAD
    assert case_of(r, 2 + 0.02 * rng.standard_normal(200)) is FitCase.NO_SPREAD
    assert case_of(r, rng.permutation(z)) is FitCase.OUTLIERS
    assert case_of(r, 6 - z) is FitCase.FLIPPED
    assert case_of(r, 1 / z) is FitCase.FLIPPED


def test_a_weak_network_is_named_but_not_taken_for_lying_samples():
    rng = np.random.default_rng(1)
    r = rng.random(300)
    # Depth varies by 13 % all in all, and the image sees only a little of it.
    z = 3 * np.exp(0.13 * rng.standard_normal(300) + 0.1 * (r - 0.5))
    fit = fit_affine(r, z, DEPTH, value_range=(0, 1))
    assert fit.case is FitCase.UNEXPLAINED
    assert np.mean(np.abs(np.log(z / (fit.scale * r + fit.shift_m))) < 0.15) > 0.5
    # The same scatter of depth in which no depth prevails is not excused.
    assert case_of(r, 3 * np.exp(0.6 * rng.standard_normal(300))) is FitCase.OUTLIERS


@pytest.mark.parametrize("count", [50, 100, 500])
def test_good_samples_with_outliers_are_never_rejected(count):
    cases = [case_of(*planted(count, seed, noise=0.05, outliers=0.3)[:2]) for seed in range(40)]
    assert set(cases) == {FitCase.WELL_POSED}


@pytest.mark.parametrize(("outliers", "least"), [(0.7, 0.7), (0.8, 0.95), (1.0, 0.95)])
def test_mostly_outliers_are_rejected(outliers, least):
    cases = [case_of(*planted(200, seed, noise=0.05, outliers=outliers)[:2]) for seed in range(40)]
    assert np.mean([case is FitCase.OUTLIERS for case in cases]) >= least


def test_only_useless_fits_are_rejected():
    rejected = {case for case in FitCase if case.is_rejected}
    assert rejected == {FitCase.NO_SAMPLES, FitCase.OUTLIERS, FitCase.FLIPPED}


def test_one_sample_determines_the_scale():
    fit = fit_affine([0.4], [2.0], DEPTH, value_range=(0, 1))
    assert fit.scale * 0.4 + fit.shift_m == pytest.approx(2.0, rel=1e-6)


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


@pytest.mark.parametrize("kind", [DEPTH, DISPARITY])
def test_model_and_scale_and_shift_say_the_same(kind):
    model = AffineModel(-0.2, 1.4, 2.5, 0.3, kind)
    values = np.linspace(-0.1, 1.3, 24).reshape(4, 6).astype(np.float32)
    metric = metric_from_relative(DepthMap(values, np.ones((4, 6), bool), kind), model.scale, model.shift_m)
    np.testing.assert_allclose(model.depth_m(values), metric.values, rtol=1e-5)
    np.testing.assert_allclose(np.exp(model.log_depth(values)), metric.values, rtol=1e-5)
    assert metric.kind is DepthKind.METRIC
    moved, _ = model.over(0.1, 0.9)
    assert (moved.scale, moved.shift_m) == pytest.approx((model.scale, model.shift_m))
    again = affine_model(model.scale, model.shift_m, -0.2, 1.4, kind)
    assert (again.extent, again.offset) == pytest.approx((2.5, 0.3))


def test_what_comes_out_behind_the_camera_is_invalid():
    relative = DepthMap(np.array([[0.0, 0.5, 1.0]], np.float32), np.ones((1, 3), bool), DEPTH)
    assert metric_from_relative(relative, 2.0, -1.0).valid.tolist() == [[False, False, True]]
    with pytest.raises(InvalidInputError, match="positive scale"):
        metric_from_relative(relative, -1.0, 0.0)


def test_value_range_ignores_invalid_pixels_and_extremes():
    values = np.linspace(0, 1, 100 * 100, dtype=np.float32).reshape(100, 100)
    values[3, :50] = np.nan
    values[50, 50] = 99
    low, high = value_range(DepthMap(values, np.isfinite(values), DEPTH))
    assert (low, high) == pytest.approx((0.01, 0.99), abs=0.006)
    with pytest.raises(InvalidInputError, match="valid pixels"):
        value_range(DepthMap(np.full((3, 4), np.nan, np.float32), np.zeros((3, 4), bool), DEPTH))


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
    assert fit.scale + fit.shift_m == pytest.approx(depth_m, rel=1e-3)
