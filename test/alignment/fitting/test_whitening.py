"""W' W is the inverse, whatever the size, and W is a triangle."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.fitting.whitening import whitening


def covariance(count, dtype=np.float64):
    values = np.random.default_rng(count).normal(size=(count, count + 7))
    return (values @ values.T / count + 0.1 * np.eye(count)).astype(dtype)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 65, 200])  # on both sides of where it is halved
def test_is_the_inverse_of_the_cholesky_factor(count):
    matrix = covariance(count)
    whiten = whitening(matrix)
    assert np.array_equal(whiten, np.tril(whiten))
    np.testing.assert_allclose(whiten @ matrix @ whiten.T, np.eye(count), atol=1e-9)
    np.testing.assert_allclose(whiten.T @ whiten, np.linalg.inv(matrix), atol=1e-9)


def test_stays_in_single_precision():
    matrix = covariance(150, np.float32)
    whiten = whitening(matrix)
    assert whiten.dtype == np.float32
    np.testing.assert_allclose(whiten.T @ (whiten @ matrix), np.eye(150), atol=2e-5)


@pytest.mark.parametrize("at", [3, 90])
def test_refuses_what_is_no_covariance(at):
    matrix = covariance(100)
    matrix[at, at] = -1
    with pytest.raises(np.linalg.LinAlgError):
        whitening(matrix)
