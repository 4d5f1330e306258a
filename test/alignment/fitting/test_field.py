import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.evidence.edges import edge_doubt
from e2e_depth_ros.alignment.fitting.field import FieldSettings, fit_field, points_of
from e2e_depth_ros.alignment.fitting.gaussian_process import merge_points
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
    field = fit_field(merge_points(samples, 500)[0], samples, SIZE, bounds, like=like)
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
    field = fit_field(samples, samples, SIZE, (0.2, 1.6))
    correction, variance = field.log_factor(np.log(fitted)), field.variance(np.log(fitted), 0.05**2)
    assert np.abs(correction[5:15, 5:15]).max() > 0.05
    assert np.abs(correction[60:, 90:]).max() < 0.02
    assert variance[60:, 90:].min() > 3 * variance[5:15, 5:15].mean()


def test_too_few_samples_give_no_field():
    assert corrected(FieldSettings.least_points - 1, 0.0)[0] is None
    assert corrected(FieldSettings.least_points, 0.0)[0] is not None


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
