"""What an alignment hands on, also when there is nothing to hand on."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import metric_from_relative
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.maps import DepthKind, DepthMap


@pytest.mark.parametrize("kind", [DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY])
def test_doubts_of_the_network_join_those_of_the_alignment(kind):
    rng = np.random.default_rng(2)
    relative = DepthMap(rng.uniform(0.2, 0.9, (6, 9)).astype(np.float32), np.ones((6, 9), bool), kind)
    scale, shift, step = 1.7, 0.4, 1e-3
    nudged = DepthMap(relative.values + np.float32(step), relative.valid, kind)
    metric, moved = (metric_from_relative(map_, scale, shift) for map_ in (relative, nudged))
    found = Alignment(
        depth=metric,
        scale=scale,
        shift_m=shift,
        state=AlignmentState.FRESH,
        reason="",
        source="",
        uncertainty=lambda: np.full((6, 9), 0.003, np.float32),
    )
    std = np.full((6, 9), step, np.float32)
    std[0, 0] = np.nan
    joined = found.with_relative_std(std, kind).log_std
    by_network = np.abs(np.log(moved.values / metric.values))
    by_network[0, 0] = 0
    np.testing.assert_allclose(joined, np.hypot(0.003, by_network), rtol=2e-3)


def test_a_lost_alignment_has_no_depth_and_takes_no_doubt():
    nan = float("nan")
    lost = Alignment(None, nan, nan, AlignmentState.LOST, "no samples", "none", size=(6, 9))
    assert lost.depth_m.shape == (6, 9)
    assert lost.depth_m.dtype == np.float32
    assert np.isnan(lost.depth_m).all()
    assert lost.log_std is None
    assert lost.std_m is None
    assert lost.with_relative_std(np.ones((6, 9), np.float32), DepthKind.AFFINE_INVARIANT) is lost


def test_uncertainty_is_computed_when_first_asked_for_and_once():
    asked = []

    def uncertainty():
        asked.append(1)
        return np.full((2, 3), 0.1, np.float32)

    depth = DepthMap(np.full((2, 3), 4.0), np.ones((2, 3), bool), DepthKind.METRIC)
    found = Alignment(depth, 1.0, 0.0, AlignmentState.FRESH, "", "", size=(2, 3), uncertainty=uncertainty)
    assert not asked
    np.testing.assert_allclose(found.std_m, 0.4)
    np.testing.assert_allclose(found.log_std, 0.1)
    assert len(asked) == 1
