import math

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.evaluation.protocols.scoring import DepthRules, NormalsRules, fit_columns


def depth(values, kind=DepthKind.AFFINE_INVARIANT):
    values = np.asarray(values, np.float32)
    return DepthMap(values, np.isfinite(values), kind)


def metric(values):
    return depth(values, DepthKind.METRIC)


def test_fit_ignores_what_does_not_count():
    target = metric([[1, 2, np.nan], [3, np.nan, 4]])
    prediction = depth([[0.1, 0.2, 0.9], [0.3, 0.9, 0.4]])
    metres = DepthRules(1e-3, 10).metres(prediction, target)
    np.testing.assert_allclose(metres, [[1, 2, 9], [3, 9, 4]], rtol=1e-5)
    scores = DepthRules(1e-3, 10).score(prediction, target)
    assert (scores.abs_rel, scores.pixels) == (pytest.approx(0, abs=1e-6), 4)


def test_predictions_are_moved_into_the_range():
    rules = DepthRules(0.6, 350)
    scores = rules.score(metric([[0.2, 400, 5]]), metric([[0.8, 500, 5]]))
    assert scores.abs_rel == pytest.approx((0.25 + 0.3 + 0) / 3)


def test_predictions_behind_the_camera_are_moved_in_front_of_it():
    # Least squares over (0, 1), (1, 1), (2, 7) is 3 x: nothing at the first pixel.
    metres = DepthRules(1e-9, math.inf).metres(depth([[0, 1, 2]]), metric([[1, 1, 7]]))
    np.testing.assert_allclose(metres, [[1e-6, 3, 6]], rtol=1e-9)


def test_metres_are_not_fitted():
    scores = DepthRules(1e-3, 10).score(metric([[2, 4]]), metric([[1, 2]]))
    assert scores.abs_rel == pytest.approx(1)


def test_disparity_is_fitted_to_inverse_depth():
    target = metric([[1, 2, 4, 5]])
    prediction = depth(0.3 / target.values + 0.1, DepthKind.AFFINE_INVARIANT_DISPARITY)
    np.testing.assert_allclose(DepthRules(1e-3, 10).metres(prediction, target), target.values, rtol=1e-5)


def test_fit_takes_some_columns_and_the_score_all():
    # A constant is fitted to the even columns, 3 m, and then it is wrong by two thirds in the odd ones.
    target = np.full((2, 2048), 3.0)
    target[:, 1::2] = 9
    scores = DepthRules(1e-5, math.inf, fit_resolution=1024).score(
        depth(np.full((2, 2048), 0.5)), metric(target)
    )
    assert scores.abs_rel == pytest.approx((0 + 2 / 3) / 2)
    assert scores.pixels == 4096


def test_columns_of_the_fit_are_those_of_torchs_nearest():
    columns = fit_columns((4032, 6048), 1024)
    assert columns[:4].tolist() == [0, 5, 11, 17]  # multiples of 5.90625, truncated
    assert columns.size == 1024
    np.testing.assert_array_equal(fit_columns((30, 40), 1024), np.arange(40))
    np.testing.assert_array_equal(fit_columns((30, 40), None), np.arange(40))
    high = fit_columns((4000, 3000), 1024)  # the longer edge decides
    width = torch.nn.Upsample(scale_factor=1024 / 4000, mode="nearest")(torch.arange(3000.0)[None, None])
    np.testing.assert_array_equal(high, width[0, 0])


def test_predictions_that_are_missing_are_refused():
    with pytest.raises(InvalidInputError, match="none at 1 of them"):
        DepthRules(1e-3, 10).score(depth([[np.nan, 1]]), metric([[1, 2]]))
    with pytest.raises(InvalidInputError, match=r"\(1, 2\), got \(2, 1\)"):
        DepthRules(1e-3, 10).score(depth([[1], [2]]), metric([[1, 2]]))
    with pytest.raises(InvalidInputError, match="fit"):
        DepthRules(1e-3, 10, fit_resolution=2).score(depth([[1, 1, 1, 1]]), metric([[np.nan, 1, np.nan, 1]]))
    normals = NormalMap.from_vectors(np.ones((2, 3, 3), np.float32))
    holes = NormalMap.from_vectors(np.zeros((2, 3, 3), np.float32))
    with pytest.raises(InvalidInputError, match="none at 6 pixels"):
        NormalsRules().score(holes, normals)
    with pytest.raises(InvalidInputError, match="size"):
        NormalsRules().score(NormalMap.from_vectors(np.ones((3, 2, 3), np.float32)), normals)
    assert NormalsRules().score(normals, holes).scores() is None
