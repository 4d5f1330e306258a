from dataclasses import replace

import numpy as np

from e2e_depth_ros.alignment.confidence import (
    EDGE_CONFIDENCE,
    HALF_CONFIDENT_DEPTH_M,
    HALF_CONFIDENT_STD,
    OPEN_CONFIDENCE,
    confidence_from_alignment,
)
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.maps import DepthKind
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


def test_while_the_shift_is_open_nothing_is_certain():
    one = alignment(np.full((5, 6), 2.0), 0.01)
    assert confidence_from_alignment(one).min() > 0.9
    np.testing.assert_array_equal(
        confidence_from_alignment(replace(one, shift_is_open=True)), np.float32(OPEN_CONFIDENCE)
    )


def test_a_lost_alignment_has_none():
    lost = Alignment(
        depth=None, scale=0.0, shift_m=0.0, state=AlignmentState.LOST, reason="", source="", size=(3, 4)
    )
    np.testing.assert_array_equal(confidence_from_alignment(lost), np.zeros((3, 4)))
