"""Depth edges, and what samples beside them are worth."""

from __future__ import annotations

import numpy as np

from e2e_depth_ros.alignment.evidence.edges import are_behind_edges, edge_doubt
from e2e_depth_ros.core.maps import DepthKind
from helpers.known_scene import affine_model


def test_edge_doubt_is_large_at_edges_only(scene):
    model = affine_model(scene.scale, scene.shift_m, 0.0, 1.0, DepthKind.AFFINE_INVARIANT)
    relative = scene.relative.values.copy()
    relative[5:9, 5:9] = np.nan
    u, v = np.array([45.0, 59, 100, 7, 119], np.float32), np.array([65.0, 65, 10, 7, 89], np.float32)
    smooth, edge, wall, hole, corner = edge_doubt(u, v, relative, model)
    assert max(smooth, wall, corner) < 0.01**2
    assert edge > 0.2**2
    assert hole > 0.2**2


def test_what_fits_the_far_side_of_an_edge_near_by_is_behind_it(scene):
    model = affine_model(scene.scale, scene.shift_m, 0.0, 1.0, DepthKind.AFFINE_INVARIANT)
    u, v = np.array([31.0, 31.0, 100.0], np.float32), np.array([75.0, 75.0, 20.0], np.float32)
    assert scene.box[75, 31]
    fitted = np.log(scene.depth_m[v.astype(int), u.astype(int)])
    behind = np.log(scene.depth_m[75, 28])  # 3 pixels beside the box
    off = np.array([1, -1, 1]) * (behind - fitted[0])
    found = are_behind_edges(u, v, fitted, off, 0.02, model, scene.relative.values)
    np.testing.assert_array_equal(found, [True, False, False])
