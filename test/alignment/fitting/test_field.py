import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.edges import edge_doubt
from e2e_depth_ros.alignment.fitting.field import FieldSettings, fit_field, left_out, points_of
from e2e_depth_ros.alignment.fitting.gaussian_process import (
    Points,
    likeliest_kernel,
)
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import SIZE, abs_rel, draw, metric_from, scene_relative, smooth_error

MODEL = AffineModel(0.0, 1.0, 3.5, 1.25 / 3.5, DepthKind.AFFINE_INVARIANT)


def corrected(count, error, *, seed=0, noise=0.01, like=None, outlier_share=0.0, wrong_every=0):
    """The field fitted to samples of a scene with this error, and the depth before and after."""
    rng = np.random.default_rng(seed)
    relative = scene_relative()
    fitted = metric_from(relative)
    truth = fitted * np.exp(error)
    u, v, z, _ = draw(truth, count, rng, noise=noise)
    if wrong_every:
        z[::wrong_every] *= 1.6
    log_depth = np.log(fitted[v.astype(int), u.astype(int)].astype(np.float64))
    doubt = edge_doubt(u, v, relative, MODEL)
    bounds = (float(np.log(fitted.min())), float(np.log(fitted.max())))
    outlier = np.full(count, outlier_share)
    samples = points_of(u, v, log_depth, np.log(z) - log_depth, doubt, outlier, SIZE[1])
    field = fit_field(samples, SIZE, bounds, like=like)
    return field, fitted, truth


@pytest.mark.parametrize(("count", "share"), [(500, 0.3), (100, 0.6), (20, 0.95)])
def test_smooth_errors_are_corrected(count, share):
    error = smooth_error(np.random.default_rng(3))
    field, fitted, truth = corrected(count, error)
    better = fitted * np.exp(field.log_factor(np.log(fitted)))
    assert abs_rel(better, truth) < share * abs_rel(fitted, truth)


def test_possible_outliers_that_the_others_contradict_hardly_count():
    error = smooth_error(np.random.default_rng(3))

    def left(**options):
        field, fitted, truth = corrected(140, error, **options)
        return abs_rel(fitted * np.exp(field.log_factor(np.log(fitted))), truth)

    told = left(outlier_share=0.1, wrong_every=10)
    assert told < 1.8 * left()
    assert told < 0.6 * left(outlier_share=0.0, wrong_every=10)


def test_an_error_of_the_box_does_not_leak_to_the_wall_behind_it():
    relative = scene_relative()
    box = relative < 0.01
    field, fitted, _ = corrected(400, np.where(box, 0.12, 0.0).astype(np.float32))
    correction = field.log_factor(np.log(fitted))
    assert correction[55:75, 35:55].mean() == pytest.approx(0.12, abs=0.03)
    ring = np.zeros(SIZE, dtype=bool)
    ring[46:84, 26:64] = True
    assert np.abs(correction[ring & ~box]).mean() < 0.025


def test_the_correction_shrinks_to_nothing_where_there_is_no_evidence():
    relative = scene_relative()
    fitted = metric_from(relative)
    rng = np.random.default_rng(0)
    u, v = rng.uniform(0, 20, 60).astype(np.float32), rng.uniform(0, 20, 60).astype(np.float32)
    log_depth = np.log(fitted[np.rint(v).astype(int), np.rint(u).astype(int)].astype(np.float64))
    ratio = 0.1 * np.sin(u / 3) * np.cos(v / 4)
    samples = points_of(u, v, log_depth, ratio, np.zeros(60), np.zeros(60), SIZE[1])
    field = fit_field(samples, SIZE, (0.2, 1.6))
    correction, variance = field.log_factor(np.log(fitted)), field.variance(np.log(fitted), 0.05**2)
    assert np.abs(correction[5:15, 5:15]).max() > 0.05
    assert np.abs(correction[60:, 90:]).max() < 0.02
    assert variance[60:, 90:].min() > 3 * variance[5:15, 5:15].mean()


def test_a_wall_that_the_network_bends_says_nothing_about_the_floor_before_it():
    """On the wall one depth explains the samples best, but it must not become the depth of everything."""
    rng = np.random.default_rng(1)
    u, v = rng.uniform(0, 159, 110), rng.uniform(0, 60, 110)
    log_depth = np.where(u < 80, 1.6, 1.4) + 0.02 * rng.standard_normal(110)  # truly 1.5
    log_ratio = 1.5 - log_depth + 0.01 * rng.standard_normal(110)
    samples = points_of(u, v, log_depth, log_ratio, np.zeros(110), np.full(110, 0.1), 160)
    field = fit_field(samples, (120, 160), (-0.2, 1.7))
    assert field is not None
    floor = field.log_factor(np.full((120, 160), 0.1, np.float32))[100:]
    assert np.abs(floor).max() < 0.25
    bent = np.where(np.arange(160) < 80, np.float32(1.6), np.float32(1.4)) + np.zeros((120, 1), np.float32)
    assert np.abs(bent + field.log_factor(bent) - 1.5)[:60].mean() < 0.03


@pytest.mark.parametrize("seed", range(12))
def test_a_good_network_before_two_walls_is_believed(seed):
    """Most samples lie on a wall at one depth; their errors are no reason to take its depth away."""
    rng = np.random.default_rng(seed)
    error = smooth_error(rng, amplitude=0.13)
    row, column = rng.integers(0, 60, 100), rng.integers(40, 120, 100)
    column[:30] = rng.integers(0, 40, 30)
    log_depth = np.where(column >= 40, 1.25, 0.2 + 1.05 * column / 40)
    value = error[row, column] - np.median(error[row, column]) + 0.01 * rng.standard_normal(100)
    place = np.column_stack([column / 120, row / 120, log_depth - value])
    assert likeliest_kernel(Points(place, value, np.zeros(100), np.zeros(100), np.ones(100))).slope == 0


def test_too_few_samples_give_no_field():
    assert corrected(FieldSettings.least_samples - 1, 0.0)[0] is None
    assert corrected(FieldSettings.least_samples, 0.0)[0] is not None


def test_the_standard_deviation_tells_the_error():
    ratios = []
    for seed in range(6):
        error = smooth_error(np.random.default_rng(seed))
        field, fitted, truth = corrected(120, error, seed=seed)
        left = np.log(truth / fitted) - field.log_factor(np.log(fitted))
        ratios.append(left / np.sqrt(field.variance(np.log(fitted), np.var(error))))
    assert 0.3 < np.std(ratios) < 1.5
    assert np.mean(np.abs(ratios) < 2) > 0.9


def test_fields_of_one_layout_blend_and_others_do_not():
    error = smooth_error(np.random.default_rng(3))
    first, fitted, _ = corrected(200, error, seed=1)
    second, _, _ = corrected(210, error, seed=2, like=first)
    assert second.layout == first.layout
    log_depth = np.log(fitted)
    halfway = second.blended(first, 0.5).log_factor(log_depth)
    np.testing.assert_allclose(
        halfway, 0.5 * (first.log_factor(log_depth) + second.log_factor(log_depth)), atol=1e-5
    )
    np.testing.assert_allclose(
        first.faded(0.25).log_factor(log_depth), 0.25 * first.log_factor(log_depth), atol=1e-6
    )
    dense, _, _ = corrected(3000, error, like=first)
    assert dense.layout != first.layout
    assert dense.blended(first, 0.1) is dense


def test_samples_that_are_held_out_are_foretold_by_the_others_alone():
    error = smooth_error(np.random.default_rng(3))
    field, fitted, truth = corrected(200, error)
    u, v, z, _ = draw(truth, 200, np.random.default_rng(5), noise=0.01)
    log_depth = np.log(fitted[v.astype(int), u.astype(int)].astype(np.float64))
    samples = points_of(u, v, log_depth, np.log(z) - log_depth, np.zeros(200), np.zeros(200), SIZE[1])
    held = np.arange(200) % 4 == 0
    foretold = left_out(samples, ~held, held, field.kernel, 500)
    left = np.abs(foretold - samples.value[held]).mean()
    assert left < 0.5 * np.abs(samples.value[held]).mean()
    spoilt = Points(
        samples.place, np.where(held, 9.0, samples.value), samples.doubt, samples.outlier, samples.count
    )
    np.testing.assert_array_equal(left_out(spoilt, ~held, held, field.kernel, 500), foretold)
