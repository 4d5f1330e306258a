"""What an alignment hands on: joined doubts, depth that follows outlines, and nothing when it is lost."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from e2e_depth_ros.alignment import align
from e2e_depth_ros.alignment.affine import metric_from_relative
from e2e_depth_ros.alignment.result import Alignment, AlignmentState
from e2e_depth_ros.core.edge_metrics import match_edges
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.upsampling import Outlines
from helpers.known_scene import SHIFT_M, SIZE, as_map, scene_relative

GRID_PX = 40
STD = 0.02


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


def image_of(relative):
    """Its box is brown, and all else is gray."""
    return np.where((relative == 0)[..., None], (140, 90, 50), (180, 185, 190)).astype(np.uint8)


def as_the_network_sees_it(depth):
    return cv2.GaussianBlur(depth.astype(np.float32), (0, 0), 4)


@pytest.fixture
def outlines():
    return Outlines(image_of(scene_relative()), GRID_PX)


@pytest.mark.parametrize("kind", [DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY])
def test_depth_follows_outlines_and_its_deviation_tells_how_far_it_went(scene, outlines, kind):
    is_disparity = kind is DepthKind.AFFINE_INVARIANT_DISPARITY
    truth = scene.depth_m.astype(np.float32)
    smooth = as_the_network_sees_it(1 / truth if is_disparity else truth)
    rows, columns = scene.pixels(60)
    alignment = align(as_map(smooth, kind), columns, rows, scene.depth_m[rows, columns], kind=kind)
    followed = alignment.following(outlines)
    before, after = (match_edges(one.depth_m, truth).scores().f1 for one in (alignment, followed))
    assert before < 0.3
    assert after > 0.8
    assert (followed.scale, followed.state, followed.reason) == (
        alignment.scale,
        alignment.state,
        alignment.reason,
    )
    went = np.abs(np.log(followed.depth_m / alignment.depth_m))
    np.testing.assert_allclose(followed.log_std, np.hypot(alignment.log_std, went), rtol=1e-4)
    assert went[:30].max() < 0.03  # the slope behind
    assert went[64, 55:65].max() > 0.1  # the box's right side
    np.testing.assert_allclose(followed.std_m, followed.depth_m * followed.log_std)


def test_what_follows_outlines_already_goes_no_way(outlines):
    metres = SHIFT_M + as_the_network_sees_it(scene_relative())
    smooth = Alignment(as_map(metres, DepthKind.METRIC), 1.0, 0.0, AlignmentState.FRESH, "", "", size=SIZE)
    share = np.zeros(SIZE, np.float32)
    share[:, :60] = 1
    followed = replace(smooth, outlined=share).following(outlines)
    free = smooth.following(outlines)
    np.testing.assert_array_equal(followed.depth_m[:, :60], smooth.depth_m[:, :60])
    np.testing.assert_array_equal(followed.depth_m[:, 60:], free.depth_m[:, 60:])
    assert (free.depth_m[:, :60] != smooth.depth_m[:, :60]).any()


def test_what_is_invalid_stays_so(outlines):
    metres = SHIFT_M + as_the_network_sees_it(scene_relative())
    metres[40:60, 20:50] = np.nan
    alignment = Alignment(
        as_map(metres, DepthKind.METRIC),
        1.0,
        0.0,
        AlignmentState.HELD,
        "given",
        "fixed scale",
        size=SIZE,
        uncertainty=lambda: np.full(SIZE, STD, np.float32),
    )
    followed = alignment.following(outlines)
    np.testing.assert_array_equal(np.isfinite(followed.depth_m), np.isfinite(metres))
    assert followed.depth.kind is DepthKind.METRIC
    assert np.nanmin(followed.log_std) >= np.float32(STD)


def test_a_lost_alignment_has_nothing_to_follow(outlines):
    nan = float("nan")
    lost = Alignment(None, nan, nan, AlignmentState.LOST, "no samples", "none", size=SIZE)
    assert lost.following(outlines) is lost
