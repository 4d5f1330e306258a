"""Every kind of depth comes to metres in its own space, and within the range."""

import numpy as np
import pytest

from e2e_depth_ros.core.depth_fit import DepthFit, in_range
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap

TRUTH_M = np.array([[2.0, 4.0, 8.0], [5.0, 16.0, 40.0]])


def depth_of(values, kind):
    return DepthMap(values.astype(np.float32), np.ones(values.shape, np.bool_), kind)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DepthKind.METRIC, TRUTH_M),
        (DepthKind.SCALE_INVARIANT, TRUTH_M / 100),
        (DepthKind.AFFINE_INVARIANT, TRUTH_M / 100 - 0.3),
        (DepthKind.AFFINE_INVARIANT_DISPARITY, 3 / TRUTH_M + 0.2),
    ],
)
def test_a_prediction_of_any_kind_comes_to_metres(kind, values):
    depth = depth_of(values, kind)
    fit = DepthFit.by_least_squares(kind, depth.values[:, 1:].ravel(), TRUTH_M[:, 1:].ravel())
    np.testing.assert_allclose(fit.metres(depth), TRUTH_M, rtol=1e-4)
    np.testing.assert_allclose(fit.metres(depth, 3, 20), np.clip(TRUTH_M, 3, 20), rtol=1e-4)


def test_metric_depth_is_not_fitted():
    kind = DepthKind.METRIC
    fit = DepthFit.by_least_squares(kind, np.array([1.0, 2.0]), np.array([3.0, 9.0]))
    np.testing.assert_array_equal(fit.metres(depth_of(TRUTH_M, kind)), TRUTH_M)


@pytest.mark.parametrize(("farthest_m", "expected_m"), [(80, 80), (5000, 5000), (np.inf, 1000)])
def test_no_disparity_is_as_far_as_the_range(farthest_m, expected_m):
    """Where the range is open, a disparity of 0.001 is the least: depth isn't infinite."""
    kind = DepthKind.AFFINE_INVARIANT_DISPARITY
    metres = DepthFit(kind, scale=1, shift=0).metres(
        depth_of(np.array([[0.5, -2.0]]), kind), 1e-3, farthest_m
    )
    np.testing.assert_allclose(metres, [[2, expected_m]], rtol=1e-12)


def test_unknown_stays_unknown():
    values = np.where(TRUTH_M == 8, np.nan, TRUTH_M)
    metres = DepthFit(DepthKind.AFFINE_INVARIANT, 2, 1).metres(depth_of(values, DepthKind.AFFINE_INVARIANT))
    np.testing.assert_array_equal(np.isnan(metres), TRUTH_M == 8)


def test_refuses_depth_of_another_kind():
    with pytest.raises(KindError, match="expected affine-invariant depth, got metric"):
        DepthFit(DepthKind.AFFINE_INVARIANT, 2, 1).metres(depth_of(TRUTH_M, DepthKind.METRIC))


def test_only_truth_within_the_range_counts():
    depth_m = np.array([-1, 0, np.nan, 0.5, 1, 7, 80, 80.1, np.inf])
    np.testing.assert_array_equal(np.nonzero(in_range(depth_m))[0], [3, 4, 5, 6])
    np.testing.assert_array_equal(np.nonzero(in_range(depth_m, 1, 7))[0], [4, 5])
