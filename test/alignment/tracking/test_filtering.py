import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import AffineModel
from e2e_depth_ros.alignment.tracking.filtering import AffineEstimate
from e2e_depth_ros.core.maps import DepthKind

LEFT = 0.05**2


def left(log_depth, _model):
    return np.full_like(log_depth, LEFT)


def estimate():
    model = AffineModel(0.1, 0.9, 4.0, 0.3, DepthKind.AFFINE_INVARIANT)
    return AffineEstimate(model, np.array([[0.02, -0.01], [-0.01, 0.3]]))


def test_std_is_the_root_of_the_variance_of_smooth_depth():
    row, column = np.mgrid[0:90, 0:131].astype(np.float32)
    relative = 0.1 + 0.8 * (0.6 * row / 90 + 0.4 * column / 131)
    expected = np.sqrt(estimate().variance(relative) + LEFT)
    assert expected.max() > 1.5 * expected.min()
    np.testing.assert_allclose(estimate().std(relative, left), expected, rtol=0.05)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (47, 33)])
def test_unknown_pixels_leave_std_finite_and_their_neighbours_no_more_certain(size):
    relative = np.full(size, 0.5, np.float32)
    relative[size[0] // 2 :, size[1] // 2 :] = np.nan
    std = estimate().std(relative, left)
    assert std.shape == size
    assert np.isfinite(std).all()
    known = np.isfinite(relative)
    expected = float(np.sqrt(estimate().variance(np.float32([0.5])) + LEFT)[0])
    np.testing.assert_allclose(std[known], expected if known.any() else std[known], rtol=1e-5)
