"""Scatter in spite of gross errors."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.robust import robust_std


def test_of_normal_errors_it_is_the_standard_deviation_and_gross_ones_change_little() -> None:
    error = np.random.default_rng(0).normal(0, 0.3, 20_001)
    assert robust_std(error) == pytest.approx(0.3, rel=0.02)
    error[:2000] = 1e6
    assert robust_std(error) == pytest.approx(0.3, rel=0.2)
