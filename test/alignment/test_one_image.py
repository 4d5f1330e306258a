import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_depth_ros.alignment import AlignmentState, align
from e2e_depth_ros.alignment.fitting.fit import fit_affine
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import SIZE, abs_rel, as_map, draw, metric_from, scene_relative, smooth_error


def scene(seed=0, amplitude=0.06):
    relative = scene_relative()
    truth = metric_from(relative) * np.exp(smooth_error(np.random.default_rng(seed), amplitude))
    return relative, truth


def test_result_is_what_the_documentation_says():
    relative, truth = scene()
    u, v, z, _ = draw(truth, 200, np.random.default_rng(0), noise=0.01)
    result = align(relative, u, v, z, correction=True)
    assert result.depth_m.shape == result.std_m.shape == SIZE
    assert result.depth_m.dtype == result.std_m.dtype == np.float32
    assert result.depth.kind is DepthKind.METRIC
    assert result.state is AlignmentState.FRESH
    assert result.reason
    assert result.scale > 0
    assert result.samples_used > 180
    assert abs_rel(result.depth_m, truth) < 0.02
    assert (result.std_m > 0).all()


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.05, 50), offset=st.floats(0.1, 4), seed=st.integers(0, 999))
def test_exact_samples_give_exact_depth(scale, offset, seed):
    relative = scene_relative()
    truth = scale * (relative + offset)
    u, v, z, _ = draw(truth, 60, np.random.default_rng(seed))
    result = align(relative, u, v, z, min_depth_m=1e-4, max_depth_m=1e4, correction=True)
    np.testing.assert_allclose(result.depth_m, truth, rtol=2e-4)


@settings(max_examples=10, deadline=None)
@given(unit=st.floats(0.02, 50), seed=st.integers(0, 999))
def test_the_unit_of_depth_only_scales_the_result(unit, seed):
    relative, truth = scene(seed)
    u, v, z, _ = draw(truth, 120, np.random.default_rng(seed), noise=0.02, outliers=0.2)
    limits = {"min_depth_m": 1e-4, "max_depth_m": 1e4}
    metres, others = (align(relative, u, v, depth, **limits, correction=True) for depth in (z, unit * z))
    np.testing.assert_allclose(others.depth_m, unit * metres.depth_m, rtol=1e-3)
    np.testing.assert_allclose(others.std_m, unit * metres.std_m, rtol=1e-2)
    assert others.state is metres.state


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), count=st.sampled_from([1, 7, 30, 200, 900]))
def test_the_order_of_samples_does_not_matter(seed, count):
    relative, truth = scene(seed)
    rng = np.random.default_rng(seed)
    u, v, z, _ = draw(truth, count, rng, noise=0.02, outliers=0.2)
    order = rng.permutation(count)
    one, other = (
        align(relative, u, v, z, correction=True),
        align(relative, u[order], v[order], z[order], correction=True),
    )
    np.testing.assert_allclose(one.depth_m, other.depth_m, rtol=1e-4)


def test_the_correction_helps_with_many_samples_and_never_does_clear_harm():
    ratios = {20: [], 100: [], 500: []}
    for count, gathered in ratios.items():
        for seed in range(12):
            relative, truth = scene(seed)
            u, v, z, _ = draw(truth, count, np.random.default_rng(seed), noise=0.01)
            errors = [
                abs_rel(align(relative, u, v, z, correction=correction).depth_m, truth)
                for correction in (False, True)
            ]
            gathered.append(errors[1] / errors[0])
    assert np.mean(ratios[500]) < 0.35
    assert np.mean(ratios[100]) < 0.6
    assert np.percentile(ratios[20], 95) < 1.05


def test_disparity_is_aligned_in_its_own_space():
    _, truth = scene()
    disparity = 2.0 / truth - 0.1
    u, v, z, _ = draw(truth, 300, np.random.default_rng(0), noise=0.01)
    result = align(disparity, u, v, z, kind=DepthKind.AFFINE_INVARIANT_DISPARITY, correction=True)
    assert abs_rel(result.depth_m, truth) < 0.01
    assert 1 / (result.scale * disparity[40, 70] + result.shift_m) == pytest.approx(truth[40, 70], rel=0.03)


def test_disparity_taken_for_depth_is_told():
    _, truth = scene()
    u, v, z, _ = draw(truth, 100, np.random.default_rng(0))
    result = align(1 / truth, u, v, z, correction=True)
    assert result.state is AlignmentState.LOST
    assert "disparity" in result.reason
    assert np.isnan(result.depth_m).all()


def test_no_depth_at_all_rather_than_a_lie():
    relative, truth = scene()
    rng = np.random.default_rng(0)
    u, v, z, _ = draw(truth, 200, rng)
    result = align(relative, u, v, rng.permutation(z), correction=True)
    assert result.state is AlignmentState.LOST
    assert result.depth is None


def test_depth_stays_positive_and_finite_with_wild_samples():
    relative, _ = scene()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 40))
        u, v = rng.uniform(0, 119, count), rng.uniform(0, 89, count)
        result = align(relative, u, v, np.exp(rng.uniform(np.log(0.1), np.log(100), count)), correction=True)
        if result.depth is not None:
            assert (result.depth_m > 0).all()
            assert np.isfinite(result.std_m).all()


def test_unusable_samples_are_dropped_and_counted():
    relative, truth = scene()
    u, v, z, _ = draw(truth, 50, np.random.default_rng(0))
    u, v, z = (
        np.r_[u, 5, -30, 6, 7, 8],
        np.r_[v, 5, 5, 6, 7, 8],
        np.r_[z, np.nan, 2.0, 65.535e3, 0.0, 0.05],
    )
    result = align(relative, u, v, z, correction=True)
    assert result.samples_dropped["not_finite"] == 2  # 0 is none either
    assert result.samples_dropped["outside_image"] == 1
    assert result.samples_dropped["too_near"] == 1
    assert result.samples_dropped["too_far"] == 1
    assert result.state is AlignmentState.FRESH


def test_tiny_constant_and_empty_maps():
    assert align(np.ones((1, 1)), [0], [0], [2.0], correction=True).depth_m == pytest.approx(2.0)
    flat = align(np.full((20, 30), 0.5), np.arange(12), np.arange(12), np.full(12, 3.0), correction=True)
    np.testing.assert_allclose(flat.depth_m, 3.0, rtol=1e-3)
    assert flat.state is AlignmentState.DEGRADED
    assert align(np.full((20, 30), np.nan), [1], [1], [1.0], correction=True).state is AlignmentState.LOST


@pytest.mark.parametrize("value", [1e9, -1e9, 1e30])
def test_a_flat_map_far_from_zero_is_degraded(value):
    flat = align(np.full((20, 30), value), np.arange(12), np.arange(12), np.full(12, 3.0))
    np.testing.assert_allclose(flat.depth_m, 3.0, rtol=1e-3)
    assert flat.state is AlignmentState.DEGRADED


@pytest.mark.parametrize("sign", [1, -1])
def test_values_that_float32_rounds_to_steps_are_refused(sign):
    relative = scene_relative()
    random = np.random.default_rng(0)
    u_px, v_px = random.integers(0, relative.shape[1], 100), random.integers(0, relative.shape[0], 100)
    depth_m = 1 + 4 * relative[v_px, u_px]
    assert align(relative + sign * 1e3, u_px, v_px, depth_m).state is AlignmentState.FRESH
    with pytest.raises(InvalidInputError, match=r"float32 can tell apart, got values from -?\d+.* to "):
        align(relative + sign * 1e6, u_px, v_px, depth_m)


@pytest.mark.parametrize("word", ["no", "", 1, None])
def test_a_correction_is_true_or_false(word):
    with pytest.raises(InvalidInputError, match=f"expected True or False as correction, got {word!r}"):
        align(scene_relative(), [1, 2], [1, 2], [1.0, 2.0], correction=word)


def test_wrong_shapes_are_refused():
    with pytest.raises(InvalidInputError, match="one shape"):
        align(scene_relative(), [1, 2], [1], [1.0, 2.0], correction=True)
    with pytest.raises(InvalidInputError, match=r"\(H, W\)"):
        align(np.zeros((3, 4, 1)), [1], [1], [1.0], correction=True)


def test_a_depth_map_brings_its_kind():
    relative = scene_relative()
    result = align(
        as_map(2 + relative, DepthKind.SCALE_INVARIANT), [3, 60], [8, 40], [4.0, 5.0], correction=True
    )
    assert result.shift_m == 0


def test_the_correction_costs_no_more_than_some_global_fits():
    relative, truth = (cv2.resize(values, (640, 480)) for values in scene())
    u, v, z, _ = draw(truth, 500, np.random.default_rng(0), noise=0.01)
    durations = {}
    for correction in (False, True):
        times = []
        for _ in range(5):
            # This thread's: libraries' other threads spin while they wait on a busy machine.
            start = time.thread_time()
            align(relative, u, v, z, correction=correction)
            times.append(time.thread_time() - start)
        durations[correction] = min(times)
    # A ratio, as machines differ and are shared: about 17. It should not become slow unnoticed.
    assert durations[True] < 60 * durations[False]


def test_a_crowd_of_samples_does_not_sway_what_the_others_say():
    relative = scene_relative()
    truth = metric_from(relative)
    rng = np.random.default_rng(3)
    u, v, z, _ = draw(truth, 60, rng, noise=0.05)
    few = align(relative, u, v, z, correction=False)
    columns, rows = (grid.ravel() for grid in np.meshgrid(np.arange(91, 104), np.arange(31, 44)))
    wrong = truth[rows, columns] * (1.1 + 0.05 * rng.standard_normal(169))  # as a network errs: alike
    crowded = align(
        relative, np.append(u, columns), np.append(v, rows), np.append(z, wrong), correction=False
    )
    assert abs_rel(crowded.depth_m, truth) < abs_rel(few.depth_m, truth) + 0.03


def test_what_is_nearer_than_all_samples_stays_plausible():
    truth = np.broadcast_to(1 / np.linspace(1 / 5.2, 1 / 0.8, 120)[:, None], (120, 150))  # a floor
    relative = (truth - truth.min()) / (truth.max() - truth.min())
    # All on one object, as corners are.
    rows, columns = np.divmod(np.random.default_rng(0).choice(50 * 40, 80, replace=False), 40)
    # The network errs: alone, samples beyond 2.2 m place the near end, 0.8 m away, 1.7 times as far.
    noise = np.random.default_rng(1).standard_normal(80)
    bent = 3 * (truth[rows, columns] / 3) ** 0.7 * np.exp(0.08 * noise)
    values = relative[rows, columns]
    alone = fit_affine(values, bent, DepthKind.AFFINE_INVARIANT, value_range=(0, 1))
    assert alone.model.shift_m > 1.6 * 0.8
    result = align(relative, columns, rows, bent, correction=False)
    assert 0.5 < result.depth_m[-1, 0] / truth[-1, 0] < 1.5


def test_a_network_that_sees_nothing_costs_little_where_samples_are_dense():
    _, truth = scene(2, amplitude=0.05)
    rng = np.random.default_rng(6)
    blind = cv2.GaussianBlur(rng.random(SIZE).astype(np.float32), (0, 0), 12)  # another scene altogether
    u, v, z, _ = draw(truth, 400, rng, noise=0.01)
    result = align(blind, u, v, z, correction=True)
    assert result.state is AlignmentState.DEGRADED  # and not lost: the samples confirm each other
    assert abs_rel(result.depth_m, truth) < 0.06
    assert abs_rel(result.depth_m, truth) < 0.3 * abs_rel(
        align(blind, u, v, z, correction=False).depth_m, truth
    )


def test_samples_that_do_not_confirm_each_other_are_outliers_however_many():
    relative, truth = scene(2)
    rng = np.random.default_rng(5)
    u, v, z, _ = draw(truth, 400, rng, outliers=1.0)
    assert align(relative, u, v, z, correction=True).state is AlignmentState.LOST


@pytest.mark.parametrize("amplitude", [0.06, 0.15], ids=["a good network", "a weak one"])
@pytest.mark.parametrize("count", [3, 8, 20, 50, 500])
def test_two_deviations_hold_nine_pixels_of_ten(amplitude, count):
    """However few the samples are; and not because the deviation could be anything."""
    relative, shares, told = scene_relative(), [], []
    image = np.where((relative == 0)[..., None], np.uint8([60, 80, 200]), np.uint8([210, 190, 60]))
    for seed in range(16):
        rng = np.random.default_rng(seed)
        truth = metric_from(relative) * np.exp(smooth_error(rng, amplitude))
        u, v, z, _ = draw(truth, count, rng)
        result = align(as_map(relative), u, v, z, image=image)
        off = np.abs(np.log(result.depth_m / truth))
        shares.append(np.mean(off <= 2 * result.log_std))
        told.append(np.mean(result.log_std))
    assert np.mean(shares) >= 0.85
    assert np.median(told) < 3 * amplitude


@pytest.mark.parametrize("factor", [10.0, 3.0, 0.3])
@pytest.mark.parametrize("correction", [False, True])
def test_two_sensors_that_contradict_each_other_are_never_fresh(factor, correction):
    """Such as metres beside feet: each agrees with itself, and a correction could follow both."""
    for seed in range(6):
        relative, truth = scene(seed)
        u, v, z, _ = draw(truth, 200, np.random.default_rng(seed), noise=0.01)
        z[: round(0.45 * len(z))] *= factor
        result = align(relative, u, v, z, correction=correction)
        assert result.state is not AlignmentState.FRESH, (seed, result.inlier_ratio)


def test_a_weak_network_does_not_excuse_samples_ten_times_too_far():
    """They support each other by chance, and the correction would follow."""
    for seed in (2, 4, 5):
        relative, truth = scene(seed, amplitude=0.25)
        rng = np.random.default_rng(seed)
        u, v, z, _ = draw(truth, 200, rng, noise=0.01)
        z[rng.permutation(200)[:80]] *= 10
        result = align(relative, u, v, z, correction=True, max_depth_m=1000)
        assert result.state is not AlignmentState.FRESH, (seed, result.inlier_ratio)


@pytest.mark.parametrize("correction", [False, True])
def test_repeated_pixels_are_no_further_evidence(correction):
    relative, truth = scene(3)
    u, v, z, _ = draw(truth, 3, np.random.default_rng(0))
    once = align(relative, u, v, z, correction=correction)
    often = align(relative, *(np.repeat(each, 50) for each in (u, v, z)), correction=correction)

    assert often.state is AlignmentState.DEGRADED
    assert often.reason == once.reason
    assert often.samples_dropped == {"same_pixel": 147}
    np.testing.assert_allclose(often.std_m, once.std_m, rtol=1e-5)


def test_a_small_patch_is_degraded_even_across_an_edge():
    relative, truth = scene(1)
    rows, columns = np.nonzero(np.abs(np.diff(truth, axis=1)) > 0.3)
    row, column = rows[len(rows) // 2], columns[len(rows) // 2]
    v, u = (each.ravel() for each in np.mgrid[row - 3 : row + 4, column - 4 : column + 5])
    result = align(relative, u, v, truth[v, u], correction=True)

    assert np.ptp(np.log(truth[v, u])) > 0.1
    assert result.state is AlignmentState.DEGRADED
    assert "patch" in result.reason


def test_samples_of_one_depth_do_not_make_the_rest_certain():
    """What the network makes of one depth is its error; by it the fit flattens the map."""
    within = []
    for seed in range(8):
        relative, truth = scene(seed, amplitude=0.12)
        rng = np.random.default_rng(seed)
        alike = np.argwhere(np.abs(np.log(truth / np.median(truth))) < 0.01)
        v, u = rng.permutation(alike)[:50].T
        result = align(relative, u, v, truth[v, u])
        assert result.state is AlignmentState.DEGRADED
        within.append(np.mean(np.abs(result.depth_m - truth) <= 2 * result.std_m))

    assert np.mean(within) > 0.85
    assert min(within) > 0.5


def test_masked_relative_depth_is_invalid():
    relative, truth = scene()
    u, v, z, _ = draw(truth, 100, np.random.default_rng(0))
    hidden = np.arange(SIZE[1]) < SIZE[1] // 3
    masked = np.ma.masked_array(np.where(hidden, 0.5, relative), np.broadcast_to(hidden, SIZE))
    result = align(masked, u, v, z)
    np.testing.assert_array_equal(result.depth.valid, np.broadcast_to(~hidden, SIZE))
    known = align(np.where(hidden, np.nan, relative), u, v, z)
    np.testing.assert_array_equal(result.depth_m, known.depth_m)


@pytest.mark.parametrize("wrong", [[[1, 2], [3]], [["near", "far"]], [["1", "2"]], [[1j, 2j]], [[10**400]]])
def test_relative_depth_that_holds_no_numbers_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="expected numbers as relative, got list"):
        align(wrong, [0], [0], [1.0])
