"""Scatter in spite of gross errors."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.robust import biweight, robust_std


def test_of_normal_errors_it_is_the_standard_deviation_and_gross_ones_change_little() -> None:
    error = np.random.default_rng(0).normal(0, 0.3, 20_001)
    assert robust_std(error) == pytest.approx(0.3, rel=0.02)
    error[:2000] = 1e6
    assert robust_std(error) == pytest.approx(0.3, rel=0.2)


def test_the_weight_falls_from_one_to_nothing_and_gross_errors_have_none() -> None:
    sigma = 0.2
    weight = biweight(np.array([0.0, sigma, -sigma, 4.6 * sigma, 4.7 * sigma, 1e6]), sigma)
    assert weight[0] == 1
    assert weight[1] == weight[2] == pytest.approx(0.911, abs=1e-3)  # (1 - 1 / 4.685^2)^2
    assert 0 < weight[3] < 2e-3
    assert (weight[4:] == 0).all()
