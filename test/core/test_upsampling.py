"""Outlines from the image: jumps where colours jump, smoothness elsewhere, nothing invented."""

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.edge_metrics import match_edges
from e2e_depth_ros.core.errors import InvalidInputError, KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.core.upsampling import Outlines, follow_outlines

SIZE = (240, 320)
NEAR_M, FAR_M = 1.5, 4.0


def box_before_a_wall(size=SIZE):
    """A brown box before a gray wall, and the depth that a network of 80 pixels' resolution makes of it."""
    height, width = size
    inside = np.zeros(size, bool)
    inside[height // 4 : height * 3 // 4, width // 3 : width * 2 // 3] = True
    rng = np.random.default_rng(0)
    image = np.where(inside[..., None], (150, 100, 60), (190, 195, 200)) + rng.normal(0, 3, (*size, 3))
    depth_m = np.where(inside, NEAR_M, FAR_M).astype(np.float32)
    blurred = cv2.GaussianBlur(depth_m, (0, 0), 7)
    return np.clip(image, 0, 255).astype(np.uint8), depth_m, blurred


def test_a_blurred_outline_becomes_a_jump_again():
    image, depth_m, blurred = box_before_a_wall()
    followed = follow_outlines(blurred, image)
    before, after = (match_edges(values, depth_m).scores().f1 for values in (blurred, followed))
    assert before < 0.5
    assert after > 0.9
    assert np.abs(followed - depth_m).mean() < np.abs(blurred - depth_m).mean()


def test_texture_on_an_even_surface_leaves_it_even():
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 256, (30, 40, 3)).astype(np.uint8), SIZE[::-1])
    slope = np.broadcast_to(np.linspace(2, 3, SIZE[0], dtype=np.float32)[:, None], SIZE)
    followed = follow_outlines(slope, image)
    assert np.abs(followed - slope).max() < 0.06
    assert np.abs(followed - slope).mean() < 0.01


def test_an_image_without_contrast_changes_nothing_but_the_finest_detail():
    _, _, blurred = box_before_a_wall()
    followed = follow_outlines(blurred, np.full((*SIZE, 3), 90, np.uint8))
    smooth = cv2.blur(blurred, (2 * 4 * 2 + 1,) * 2)
    assert np.abs(followed - blurred).mean() < 3 * np.abs(smooth - blurred).mean()


def test_no_value_leaves_the_range_nearby():
    image, _, blurred = box_before_a_wall()
    spots = np.random.default_rng(2).integers(0, SIZE[0], (2, 40))
    image[spots[0], spots[1]] = (255, 0, 255)
    followed = follow_outlines(blurred, image)
    assert followed.min() >= blurred.min()
    assert followed.max() <= blurred.max()


@pytest.mark.parametrize("size", [(240, 320), (97, 131), (20, 33), (1, 7)])
def test_unknown_pixels_stay_unknown_and_harm_no_others(size):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    values = cv2.resize(rng.uniform(1, 3, (3, 4)).astype(np.float32), size[::-1])
    holes = values.copy()
    holes[: size[0] // 3, size[1] // 2 :] = np.nan
    followed = follow_outlines(holes, image)
    np.testing.assert_array_equal(np.isnan(followed), np.isnan(holes))
    whole = follow_outlines(values, image)
    far = np.ones(size, bool)
    reach = 12 * max(1, max(size) // 160) + 12
    far[: size[0] // 3 + reach, max(0, size[1] // 2 - reach) :] = False
    np.testing.assert_allclose(followed[far], whole[far], atol=2e-3)
    assert np.isnan(follow_outlines(np.full(size, np.nan, np.float32), image)).all()


def test_scale_and_shift_of_the_map_pass_through():
    image, _, blurred = box_before_a_wall()
    followed = follow_outlines(blurred, image)
    np.testing.assert_allclose(follow_outlines(3 * blurred + 7, image), 3 * followed + 7, atol=2e-4)


def test_size_of_image_and_map_must_agree():
    with pytest.raises(InvalidInputError, match=r"\(4, 5\).*\(5, 4, 3\)"):
        follow_outlines(np.ones((4, 5), np.float32), np.zeros((5, 4, 3), np.uint8))


def relative_map(values, kind=DepthKind.AFFINE_INVARIANT):
    return DepthMap(values, np.isfinite(values), kind)


def test_outlines_are_looked_for_on_the_grid_of_the_network():
    image, _, blurred = box_before_a_wall()
    blurred[:30, 200:] = np.nan
    followed = Outlines(image, 90).followed_by(relative_map(blurred))
    assert followed.kind is DepthKind.AFFINE_INVARIANT
    np.testing.assert_array_equal(followed.values, follow_outlines(blurred, image, grid_px=90))
    np.testing.assert_array_equal(followed.valid, np.isfinite(blurred))


def test_metric_depth_jumps_at_outlines_and_keeps_its_detail_elsewhere():
    """Here the wall has the ripples that samples may tell of, finer than the grid and no wider than 2 %."""
    image, depth_m, blurred = box_before_a_wall()
    ripples = blurred * (1 + 0.02 * np.sin(np.arange(SIZE[1]) / 1.5).astype(np.float32))
    outlines = Outlines(image)
    followed = outlines.followed_by_metric(relative_map(ripples, DepthKind.METRIC))
    assert followed.kind is DepthKind.METRIC
    assert match_edges(followed.values, depth_m).scores().f1 > 0.9 > match_edges(ripples, depth_m).scores().f1
    even = follow_outlines(ripples, image)
    wall = np.s_[:40]
    assert np.abs(followed.values - ripples)[wall].mean() < 0.3 * np.abs(even - ripples)[wall].mean()


def test_what_is_far_does_not_draw_what_is_near_to_itself():
    """The filter sees 1 / depth: a hole in a wall, or a disparity of nearly 0, is a spot and no more."""
    image, _, blurred = box_before_a_wall()
    blurred[100, 20] = 1e4
    followed = Outlines(image).followed_by_metric(relative_map(blurred, DepthKind.METRIC)).values
    around = np.s_[90:110, 10:30]
    assert np.median(followed[around]) == pytest.approx(FAR_M, rel=0.02)
    assert np.median(follow_outlines(blurred, image)[around]) > 2 * FAR_M


def test_what_is_not_metric_is_refused_as_metric():
    image, _, blurred = box_before_a_wall()
    with pytest.raises(KindError, match="expected metric depth"):
        Outlines(image).followed_by_metric(relative_map(blurred))
