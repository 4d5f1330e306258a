"""What the process believes of its points: which are outliers, and how far they reach."""

from dataclasses import replace

import numpy as np
import pytest

from e2e_depth_ros.alignment.fitting.field import fit_field, points_of
from e2e_depth_ros.alignment.fitting.gaussian_process import (
    Kernel,
    Points,
    condition,
    medians_of,
    merge_points,
)
from helpers.known_scene import SIZE, smooth_error

RANGE = (np.log(1.0), np.log(6.0))


def some_points(count, seed=0):
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 1, (count, 3)) * [1, 0.75, 1.5]
    value = 0.1 * np.sin(6 * place[:, 0]) + 0.02 * rng.standard_normal(count)
    return Points(place, value, np.zeros(count), np.zeros(count), np.ones(count))


def mean_at(process, place):
    return process.kernel.between(place, process.place) @ process.weights


def test_the_mean_is_that_of_the_textbook():
    """Rasmussen and Williams, 2006, equation 2.25, in double precision."""
    points = some_points(90)
    kernel = Kernel(0.01, 0.2, 0.6, 0.04)
    covariance = kernel.between(points.place, points.place)
    expected = np.linalg.solve(covariance.astype(np.float64) + np.diag(kernel.noise_of(points)), points.value)
    np.testing.assert_allclose(
        mean_at(condition(points, kernel), points.place), covariance @ expected, atol=1e-5
    )


def test_a_point_that_the_others_contradict_is_an_outlier():
    points = some_points(40)
    points.value[17] += 0.4
    kernel = Kernel(0.01, 0.2, 0.6, 0.04)
    process = condition(replace(points, outlier=np.full(40, 0.05)), kernel)
    assert np.argmax(process.outlier) == 17
    assert process.outlier[17] > 0.99
    assert np.median(np.delete(process.outlier, 17)) < 0.05
    assert process.noise[17] > 100 * np.median(process.noise)
    without_doubt = condition(points, kernel)
    np.testing.assert_array_equal(without_doubt.noise, kernel.noise_of(points))
    assert not without_doubt.outlier.any()


@pytest.mark.parametrize("most", [3000, 60])
def test_samples_that_are_held_out_are_foretold_as_if_they_had_never_been(most):
    """To what conditioning on the others alone gives; what is left of a merged point stands for it."""
    kernel = Kernel(0.01, 0.2, 0.6, 0.04)
    samples = some_points(150, seed=4)
    points, group = merge_points(samples, most)
    part = np.random.default_rng(2).integers(3, size=150)
    foretold = condition(points, kernel).foretold(samples.place, part, samples.value, part, group)
    for one in range(3):
        rest = part != one
        value = medians_of(samples.value[rest], group[rest], len(points.value))
        known = ~np.isnan(value)
        alone = condition(replace(points, value=value).at(known), kernel)
        np.testing.assert_allclose(foretold[~rest], mean_at(alone, samples.place[~rest]), atol=1e-4)


def test_many_points_are_merged_to_medians_and_few_are_left_alone():
    points = some_points(3000)
    assert merge_points(points, 3000)[0] is points
    merged, group = merge_points(points, 100)
    np.testing.assert_array_equal(np.bincount(group), merged.count)
    assert 50 < len(merged.value) <= 100
    assert merged.count.sum() == 3000
    np.testing.assert_allclose(
        np.average(merged.place, axis=0, weights=merged.count), points.place.mean(axis=0), atol=1e-9
    )
    expected = 0.1 * np.sin(6 * merged.place[:, 0])
    assert np.abs(merged.value - expected).max() < 0.05


def test_outliers_have_no_say_in_the_choice_of_the_kernel():
    """Within a room they differ from the truth by little: enough to make a smooth error look like noise."""

    def left(seed, *, known):
        rng = np.random.default_rng(seed)
        error = smooth_error(rng)
        u, v = rng.uniform(0, 119, 140), rng.uniform(0, 89, 140)
        wrong = np.arange(140) < 30
        log_ratio = error[v.astype(int), u.astype(int)] + 0.01 * rng.standard_normal(140)
        log_ratio[wrong] = rng.uniform(-0.3, 0.3, 30)
        log_depth = rng.uniform(0.3, 1.2, 140)
        outlier = np.where(wrong, 0.999, 0.0) if known else np.full(140, 0.22)
        samples = points_of(u, v, log_depth, log_ratio, np.zeros(140), outlier, SIZE[1])
        field = fit_field(samples, samples, SIZE, RANGE)
        return np.abs(field.log_factor(np.full(SIZE, 0.7, np.float32)) - error).mean()

    told, known = (np.mean([left(seed, known=known) for seed in range(8)]) for known in (False, True))
    assert told < 1.7 * known


@pytest.mark.parametrize("seed", range(30))
def test_outliers_side_by_side_do_not_vouch_for_each_other(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 1, (44, 3)) * [1, 0.75, 1.5]
    place[:4] = rng.uniform([0.15, 0.65, 0.45], [0.25, 0.75, 0.55], (4, 3))
    value = 0.1 * np.sin(6 * place[:, 0]) + 0.05 * rng.standard_normal(44)
    value[:4] = 3.5 + 0.1 * rng.standard_normal(4)  # all four thirty times too far
    outlier = np.where(value > 1, 0.44, 0.26)
    kernel = Kernel(variance=0.01, reach=0.12, depth_reach=1.3, noise=0.005)
    points = Points(place, value, np.zeros(44), outlier, np.ones(44))
    assert np.abs(mean_at(condition(points, kernel), place)).max() < 0.6
