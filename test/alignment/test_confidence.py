import numpy as np
import pytest

from e2e_depth_ros.alignment.affine import metric_from_relative
from e2e_depth_ros.alignment.confidence import (
    EDGE_CONFIDENCE,
    HALF_CONFIDENT_DEPTH_M,
    HALF_CONFIDENT_STD,
    confidence_from_alignment,
)
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from helpers.known_scene import as_map


def alignment(depth, std):
    depth = as_map(depth, DepthKind.METRIC)
    return Alignment(
        depth=depth,
        scale=1.0,
        shift_m=0.0,
        state=AlignmentState.FRESH,
        reason="",
        source="",
        size=depth.size,
        uncertainty=lambda: np.broadcast_to(np.float32(std), depth.size).copy(),
    )


def test_confidence_is_a_half_at_the_stated_uncertainty_and_range():
    near, far = (
        alignment(np.full((5, 6), 0.01), HALF_CONFIDENT_STD),
        alignment(np.full((5, 6), HALF_CONFIDENT_DEPTH_M), 1e-6),
    )
    np.testing.assert_allclose(confidence_from_alignment(near), 0.5, rtol=1e-4)
    np.testing.assert_allclose(confidence_from_alignment(far), 0.5, rtol=1e-4)


def test_edges_and_invalid_pixels():
    depth = np.full((30, 40), 2.0)
    depth[:, 20:] = 4.0
    depth[5, 5] = np.nan
    confidence = confidence_from_alignment(alignment(depth, 0.01))
    assert confidence.dtype == np.float32
    assert confidence[5, 5] == 0
    assert confidence[10, 19:21].max() <= np.float32(EDGE_CONFIDENCE)
    assert confidence[10, 5] > 0.9
    nowhere = np.zeros((30, 40), dtype=bool)
    assert confidence_from_alignment(alignment(depth, 0.01), edges=nowhere)[10, 19] > 0.9


def test_a_lost_alignment_has_none():
    lost = Alignment(
        depth=None, scale=0.0, shift_m=0.0, state=AlignmentState.LOST, reason="", source="", size=(3, 4)
    )
    np.testing.assert_array_equal(confidence_from_alignment(lost), np.zeros((3, 4)))


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
