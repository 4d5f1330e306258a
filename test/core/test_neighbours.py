"""The nearest samples, and how well they support each other."""

import numpy as np

from e2e_depth_ros.core.neighbours import LEAST_COMPARED, lack_of_support, nearest_samples


def test_the_nearest_are_exactly_those():
    rng = np.random.default_rng(6)
    place, at = (
        rng.uniform(0, 300, (70, 2)).astype(np.float32),
        rng.uniform(0, 300, (40, 2)).astype(np.float32),
    )
    found, distance = nearest_samples(place, at, 5)
    every = np.linalg.norm(at[:, None] - place, axis=2)
    np.testing.assert_array_equal(found, np.argsort(every, axis=1)[:, :5])
    np.testing.assert_allclose(distance, np.sort(every, axis=1)[:, :5], rtol=1e-5)
    assert nearest_samples(place[:3], at, 5)[0].shape == (40, 3)


def test_a_sample_lacks_support_by_what_it_differs_from_the_third_most_alike_of_its_neighbours():
    u, v = (plane.ravel().astype(np.float32) for plane in np.mgrid[0:8, 0:6])
    log_depth = 0.01 * u  # neighbours differ by 0 or 0.01: at least 0.1 is allowed
    log_depth[20] += 0.25
    lack = lack_of_support(u, v, log_depth)
    assert 2.3 < lack[20] < 2.6
    assert np.delete(lack, 20).max() <= 0.1 + 1e-6


def test_among_few_none_lacks_support():
    u = np.arange(LEAST_COMPARED - 1, dtype=np.float32)
    np.testing.assert_array_equal(lack_of_support(u, u, np.append(np.zeros(len(u) - 1), 3.0)), 0)
