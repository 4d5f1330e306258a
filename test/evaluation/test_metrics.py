import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.evaluation.metrics import abs_rel, delta1

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
