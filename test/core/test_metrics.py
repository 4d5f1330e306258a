import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.metrics import (
    NormalErrors,
    abs_rel,
    angle_deg,
    delta1,
    fit_least_squares,
    score_depth,
)

TARGET = np.array([1.0, 2.0, 4.0, 8.0, 10.0])


def test_abs_rel_is_relative_to_the_target():
    prediction = TARGET + np.array([0.1, -0.2, 0.4, 0.0, 1.0])
    assert abs_rel(prediction, TARGET) == pytest.approx((0.1 + 0.1 + 0.1 + 0.0 + 0.1) / 5)


def test_delta1_counts_ratios_below_1_25_both_ways():
    factors = np.array([1.24, 1.26, 1 / 1.24, 1 / 1.26, -1.0])
    assert delta1(TARGET * factors, TARGET) == pytest.approx(2 / 5)


@pytest.mark.parametrize("metric", [abs_rel, delta1])
@pytest.mark.parametrize(
    ("prediction", "target"), [(np.ones(3), np.ones(4)), (np.ones(0), np.ones(0)), (np.ones(2), np.zeros(2))]
)
def test_what_cannot_be_scored_is_refused(metric, prediction, target):
    with pytest.raises(InvalidInputError, match="expected"):
        metric(prediction, target)


def test_score_depth_gathers_every_metric():
    prediction = TARGET * np.array([1.0, 1.3, 1 / 1.3, 2.0, 1.0])
    scores = score_depth(prediction, TARGET)
    assert scores.abs_rel == pytest.approx(abs_rel(prediction, TARGET))
    assert (scores.delta1, scores.delta2, scores.delta3) == (2 / 5, 4 / 5, 4 / 5)
    assert scores.rmse_m == pytest.approx(np.sqrt(np.mean((prediction - TARGET) ** 2)))
    assert scores.log10 == pytest.approx((2 * np.log10(1.3) + np.log10(2)) / 5)
    # The logarithms of the ratios are 0, a, -a, b, 0: their mean is b / 5.
    a, b = np.log(1.3), np.log(2)
    assert scores.silog == pytest.approx(100 * np.sqrt((2 * a**2 + b**2) / 5 - (b / 5) ** 2))
    assert scores.pixels == 5


def test_score_depth_wants_depth_in_front_of_the_camera():
    with pytest.raises(InvalidInputError, match=r"-1\.0"):
        score_depth(np.array([-1.0, 2.0]), np.array([1.0, 2.0]))


def test_least_squares_recovers_a_planted_fit():
    rng = np.random.default_rng(0)
    relative = rng.random(50).astype(np.float32)
    scale, shift = fit_least_squares(relative, 3.5 * relative + 0.7)
    assert (scale, shift) == (pytest.approx(3.5, rel=1e-5), pytest.approx(0.7, rel=1e-5))


def test_least_squares_is_the_minimum():
    rng = np.random.default_rng(1)
    x, y = rng.random(30), rng.random(30)
    expected, _, _, _ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)
    np.testing.assert_allclose(fit_least_squares(x, y), expected, rtol=1e-10)


def test_constant_prediction_is_fitted_by_the_mean():
    assert fit_least_squares(np.full(4, 0.3, np.float32), np.array([1.0, 2.0, 3.0, 6.0])) == (0.0, 3.0)


def test_fit_refuses_what_is_not_finite():
    with pytest.raises(InvalidInputError, match="finite"):
        fit_least_squares(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


def test_angle_is_exact_when_small_and_for_any_length():
    angle = np.deg2rad([0.001, 30.0, 179.0])
    turned = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1)
    np.testing.assert_allclose(angle_deg(turned * 3, [[0, 0, 2.0]]), [0.001, 30, 179], rtol=1e-9)


def test_normal_errors_pool_pixels_of_all_images():
    def turned(*degrees):
        angle = np.deg2rad(degrees)
        return np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], axis=-1)

    errors, others = NormalErrors(), NormalErrors()
    errors.add(turned(0, 3, 10), turned(0, 0, 0))
    errors.add(turned(20, 28), turned(0, 0))
    others.add(turned(40, 170), turned(0, 0))
    errors.merge(others)
    scores = errors.scores()
    assert scores.mean_deg == pytest.approx((3 + 10 + 20 + 28 + 40 + 170) / 7)
    assert scores.median_deg == pytest.approx(20, abs=0.02)
    assert scores.rmse_deg == pytest.approx(np.sqrt((9 + 100 + 400 + 784 + 1600 + 28900) / 7))
    assert scores.within == pytest.approx((2 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7))
    assert scores.pixels == 7


def test_no_normals_no_scores():
    errors = NormalErrors()
    errors.add(np.zeros((0, 3)), np.zeros((0, 3)))
    assert errors.scores() is None
    with pytest.raises(InvalidInputError, match=r"\(4, 3\)"):
        errors.add(np.zeros((4, 3)), np.zeros((5, 3)))
    with pytest.raises(InvalidInputError, match="finite"):
        errors.add(np.full((1, 3), np.nan), np.ones((1, 3)))
