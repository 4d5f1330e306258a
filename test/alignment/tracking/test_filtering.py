import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.core.maps import DepthKind


def test_the_variance_is_that_of_log_depth():
    """To first order, as drawn models have it."""
    covariance = 1e-4 * np.array([[2.0, -1.0], [-1.0, 9.0]])
    estimate = AffineEstimate(AffineModel(0.1, 0.9, 4.0, 0.3, DepthKind.AFFINE_INVARIANT), covariance)
    relative = np.float32([0.1, 0.3, 0.85])
    drawn = np.random.default_rng(0).multivariate_normal(np.log([4.0, 0.3]), covariance, 4000)
    log_depth = [
        AffineModel(0.1, 0.9, extent, offset, DepthKind.AFFINE_INVARIANT).log_depth(relative)
        for extent, offset in np.exp(drawn)
    ]
    assert estimate.variance(relative) == pytest.approx(np.var(log_depth, axis=0), rel=0.1)
