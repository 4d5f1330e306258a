"""Measurements of what the camera does not see at their pixel are found, and no others."""

import numpy as np

from e2e_depth_ros.alignment.evidence.occlusion import hidden_behind_others, mixed_pixels
from e2e_depth_ros.alignment.samples import (
    Samples,
    cull_occluded_samples,
)
from helpers.known_scene import SIZE


def wall_behind_box():
    """Points of a box at 2 m, and of the wall at 5 m: beside it, and where the box hides it."""
    u, v = (
        grid.ravel().astype(np.float32) for grid in np.meshgrid(np.arange(0, 120, 3), np.arange(0, 90, 3))
    )
    in_box = (u > 40) & (u < 80) & (v > 30) & (v < 60)
    depth = np.where(in_box, 2.0, 5.0)
    hidden_u, hidden_v = np.array([55.5, 61.5, 64.5]), np.array([40.5, 46.5, 43.5])
    everything = Samples(
        np.r_[u, hidden_u].astype(np.float32),
        np.r_[v, hidden_v].astype(np.float32),
        np.r_[depth, [5.0, 5.0, 5.0]].astype(np.float32),
    )
    return everything, len(u)


def test_points_seen_through_a_foreground_are_culled_and_no_others():
    everything, visible = wall_behind_box()
    kept = cull_occluded_samples(everything, SIZE)
    assert kept.dropped == {"occluded": 3}
    np.testing.assert_array_equal(kept.depth_m, everything.depth_m[:visible])


def test_small_images_are_culled_alike():
    near_u, near_v = np.meshgrid([17, 20, 23], [12, 15, 18])
    u = np.append(near_u.ravel(), [20.5, -0.5, 39.4])
    v = np.append(near_v.ravel(), [15.0, -0.5, 29.4])
    depth = np.append(np.full(9, 1.0), [4.0, 4.0, 4.0])
    samples = Samples(*(a.astype(np.float32) for a in (u, v, depth)))
    kept = cull_occluded_samples(samples, (30, 40))
    assert kept.dropped == {"occluded": 1}
    np.testing.assert_array_equal(kept.u_px[-2:], np.float32([-0.5, 39.4]))  # those at the rim stay


def test_ground_towards_the_horizon_is_not_culled():
    u, v = np.meshgrid(np.arange(0, 120, 4), np.arange(45, 90, 1.5))
    depth = 60.0 / (v - 40)  # nearer below: only one side is nearer
    ground = Samples(*(a.ravel().astype(np.float32) for a in (u, v, depth)))
    assert len(cull_occluded_samples(ground, SIZE)) == len(ground)


def test_two_points_hide_nothing():
    assert not hidden_behind_others(*np.float32([[3, 4], [3, 4], [1, 9]]), SIZE).any()


def test_pixels_beside_a_jump_mix_two_surfaces():
    depth = np.full((6, 9), 2.0, np.float32)
    depth[:, 5:] = 2.6
    usable = np.ones(depth.shape, bool)
    np.testing.assert_array_equal(np.flatnonzero(mixed_pixels(depth, usable).all(axis=0)), [4, 5])
    assert not mixed_pixels(depth, usable)[:, [0, 1, 2, 3, 6, 7, 8]].any()
    depth[:, 5:] = 2.4  # a fifth is a slope
    assert not mixed_pixels(depth, usable).any()


def test_pixels_without_depth_mix_nothing():
    depth = np.full((6, 9), 2.0, np.float32)
    depth[2, 3] = 0.01
    usable = np.ones(depth.shape, bool)
    usable[2, 3] = False
    assert not mixed_pixels(depth, usable)[usable].any()
