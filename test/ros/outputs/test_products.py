"""What follows from a frame is computed once, and only of what is known of it."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 message packages are not installed")

from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.errors import KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.ros.inputs.frame_view import FrameView
from e2e_depth_ros.ros.outputs.products import Products

SIZE = (12, 20)
VALUES = np.linspace(0.25, 0.75, 240, dtype=np.float32).reshape(SIZE)


def depth_map(values, kind):
    return DepthMap(values, np.isfinite(values), kind)


def products(depth=None, **others):
    """Of a frame; `depth` is what its alignment gave."""
    state = AlignmentState.LOST if depth is None else AlignmentState.FRESH
    alignment = Alignment(
        depth, 1.0, 0.0, state, "", "lidar", size=SIZE, uncertainty=lambda: np.full(SIZE, 0.05, np.float32)
    )
    view = FrameView(np.zeros((*SIZE, 3), np.uint8), None)
    return Products(header=None, view=view, **{"alignment": alignment, **others})


@pytest.mark.parametrize("what", ["edges", "confidence", "farness"])
def test_nothing_follows_from_what_is_not_known(what):
    for one in (products(), products(alignment=None)):
        assert one.metric is None
        with pytest.raises(KindError, match="got none"):
            getattr(one, what)


def test_a_relative_map_never_passes_for_metric():
    one = products(depth_map(VALUES, DepthKind.AFFINE_INVARIANT))
    with pytest.raises(KindError, match="expected metric depth"):
        _ = one.metric


def test_edges_and_confidence_are_those_of_metric_depth_computed_once():
    values = np.full(SIZE, 2.0, np.float32)
    values[:, 13:] = 4
    one = products(depth_map(values, DepthKind.METRIC))
    assert np.flatnonzero(one.edges.all(axis=0)).tolist() == [12, 13]
    assert one.edges is one.edges
    assert one.confidence.shape == SIZE
    assert one.confidence[:, 12].max() < one.confidence[:, 5].min()
    assert one.confidence is one.confidence


def test_farness_is_the_networks_range_or_the_images_own():
    relative = depth_map(VALUES, DepthKind.AFFINE_INVARIANT)
    np.testing.assert_array_equal(products(relative=relative).farness, VALUES)
    stretched = products(relative=relative, stretch=True).farness
    assert (stretched.min(), stretched.max()) == (0, 1)
