"""Normals and edges: exact on planes, honest at edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.geometry import depth_edges, normals_from_depth

SIZE = (48, 64)
CAMERA = Camera.from_calibration(SIZE, [61.0, 0, 30.25, 0, 53.0, 26.5, 0, 0, 1])
FISHEYE = Camera.from_calibration(SIZE, CAMERA.intrinsics.ravel(), "equidistant", (0.02, -0.01, 0, 0))

Depth = NDArray[np.float32]


def plane(normal: tuple[float, float, float], distance_m: float, camera: Camera = CAMERA) -> Depth:
    """Depth of the plane n . P = -distance; NaN where it isn't in front of the camera."""
    x, y = (grid.astype(np.float64) for grid in camera.normalized_grid)
    n = np.array(normal) / np.linalg.norm(normal)
    towards = -(n[0] * x + n[1] * y + n[2])
    return np.where(towards > 1e-3, distance_m / np.maximum(towards, 1e-3), np.nan).astype(np.float32)


def random_depth(*shape: int) -> Depth:
    return np.random.default_rng(0).uniform(0.5, 9, shape).astype(np.float32)


class TestNormals:
    @settings(max_examples=60, deadline=None)
    @given(
        tilt_x=st.floats(-1.2, 1.2),
        tilt_y=st.floats(-1.2, 1.2),
        unit=st.sampled_from([1e-3, 1.0, 1e3]),
    )
    def test_plane_at_any_tilt(self, tilt_x: float, tilt_y: float, unit: float) -> None:
        normal = np.array([np.tan(tilt_x), np.tan(tilt_y), -1])
        normal /= np.linalg.norm(normal)
        depth = plane(tuple(normal), 2.0 * unit)
        # Near its horizon a plane is hundreds of distances away; float32 then holds its inverse badly.
        near = np.isfinite(depth) & (depth < 100 * unit)
        normals = normals_from_depth(depth, CAMERA, near)
        assert (normals.valid <= near).all()
        assert normals.valid.sum() > 0.95 * near.sum()
        np.testing.assert_allclose(normals.values[normals.valid] - normal, 0, atol=1e-3)

    def test_convention_they_point_to_the_camera(self) -> None:
        wall = normals_from_depth(np.full(SIZE, 3.0), CAMERA)
        np.testing.assert_allclose(wall.values, np.broadcast_to([0, 0, -1], (*SIZE, 3)), atol=1e-6)
        floor = normals_from_depth(
            plane((0, -1, 0), 1.4), CAMERA
        )  # y points down, so the floor's normal is -y
        assert not floor.valid[:26].any()
        np.testing.assert_allclose(floor.values[floor.valid] - [0, -1, 0], 0, atol=1e-3)

    def test_do_not_bleed_across_an_occlusion(self) -> None:
        near, far = (0.3, 0.2, -1.0), (-0.4, 0.1, -1.0)
        depth = plane(far, 4.0)
        front = np.zeros(SIZE, dtype=np.bool_)
        front[15:35, 20:45] = True
        depth[front] = plane(near, 1.5)[front]
        normals = normals_from_depth(depth, CAMERA)
        assert normals.valid.all()
        for region, normal in ((front, near), (~front, far)):
            expected = np.array(normal) / np.linalg.norm(normal)
            np.testing.assert_allclose(normals.values[region] - expected, 0, atol=1e-3)

    def test_invalid_stays_invalid_and_does_not_spread(self) -> None:
        depth = plane((0.3, 0.2, -1.0), 2.0)
        valid = np.ones(SIZE, dtype=np.bool_)
        depth[10, 10], depth[20, 30], depth[0, 0], depth[30, 5] = np.nan, np.inf, 0, -1
        valid[40:, 50:] = False
        normals = normals_from_depth(depth, CAMERA, valid)
        expected = valid & np.isfinite(depth) & (depth > 0)
        np.testing.assert_array_equal(normals.valid, expected)
        n = np.array([0.3, 0.2, -1.0]) / np.linalg.norm([0.3, 0.2, -1.0])
        np.testing.assert_allclose(normals.values[expected] - n, 0, atol=1e-3)
        assert np.isnan(normals.values[~expected]).all()

    def test_lonely_pixels_have_none(self) -> None:
        depth = np.full(SIZE, np.nan)
        depth[5, 5] = depth[20, 20] = depth[20, 21] = 2.0
        assert not normals_from_depth(depth, CAMERA).valid.any()
        pixel = Camera.from_calibration((1, 1), [50, 0, 0, 0, 50, 0, 0, 0, 1])
        assert not normals_from_depth(np.ones((1, 1)), pixel).valid.any()

    def test_refuses_distortion_and_other_sizes(self) -> None:
        with pytest.raises(InvalidInputError, match="distortion"):
            normals_from_depth(np.ones(SIZE), FISHEYE)
        with pytest.raises(InvalidInputError, match=r"\(48, 64\), got \(10, 10\)"):
            normals_from_depth(np.ones((10, 10)), CAMERA)
        with pytest.raises(InvalidInputError, match=r"\(H, W\), got \(48, 64, 1\)"):
            normals_from_depth(np.ones((*SIZE, 1)), CAMERA)
        with pytest.raises(InvalidInputError, match=r"valid of shape \(48, 64\), got \(64, 48\)"):
            normals_from_depth(np.ones(SIZE), CAMERA, np.ones((64, 48), dtype=np.bool_))


class TestEdges:
    def test_both_sides_of_a_step_and_nothing_else(self) -> None:
        depth = np.full((20, 30), 5.0)
        depth[:, 12:] = 2.0
        expected = np.zeros((20, 30), dtype=np.bool_)
        expected[:, 11:13] = True
        np.testing.assert_array_equal(depth_edges(depth), expected)
        np.testing.assert_array_equal(depth_edges(depth.T), expected.T)

    @pytest.mark.parametrize("width", [1, 2, 3, 5])
    def test_pixels_that_fly(self, width: int) -> None:
        """A ramp of `width` pixels between two walls is marked whole, whatever its length."""
        depth = np.full((20, 40), 2.0)
        depth[:, 20:] = 5.0
        depth[:, 20 : 20 + width] = np.linspace(2, 5, width + 2)[1:-1]
        edges = depth_edges(depth)
        assert edges[:, 20 : 20 + width].all()
        assert not edges[:, :18].any()
        assert not edges[:, 22 + width :].any()

    def test_pixels_that_a_resize_made_fly(self) -> None:
        depth = np.full((24, 32), 2.0, dtype=np.float32)
        depth[6:18, 10:20] = 1.0
        large = cv2.resize(depth, (160, 120), interpolation=cv2.INTER_LINEAR)
        flying = (large > 1.05) & (large < 1.9)
        assert depth_edges(large)[flying].mean() > 0.99
        assert depth_edges(large).mean() < 0.2

    @pytest.mark.parametrize("normal", [(0.0, -1.0, -0.02), (-3.0, 0.3, -1.0), (0.0, 0.0, -1.0)])
    def test_planes_have_none(self, normal: tuple[float, float, float]) -> None:
        """Not even a floor whose depth grows by more than the threshold from row to row."""
        depth = plane(normal, 1.3)
        with np.errstate(invalid="ignore"):
            ratio = depth[:-1] / depth[1:]
        if normal[1] == -1:
            assert np.nanmax(ratio) > 1.3
        assert not depth_edges(depth).any()

    @settings(max_examples=20, deadline=None)
    @given(unit=st.floats(1e-3, 1e4))
    def test_do_not_depend_on_the_unit(self, unit: float) -> None:
        depth = cv2.GaussianBlur(random_depth(30, 40), (0, 0), 2) ** 3
        depth[:, 25:] *= 2
        edges = depth_edges(depth.astype(np.float64))
        assert 0.02 < edges.mean() < 0.9
        # Rounding may decide otherwise where a jump equals the threshold.
        assert (depth_edges(depth.astype(np.float64) * unit) == edges).mean() > 0.99

    def test_threshold_is_relative_to_the_nearer_depth(self) -> None:
        depth = np.full((5, 20), 2.0)
        depth[:, 10:] = 2.2
        assert depth_edges(depth, relative_threshold=0.099).any()
        assert not depth_edges(depth, relative_threshold=0.101).any()
        assert not depth_edges(1 / depth, relative_threshold=0.101).any()

    def test_unknown_depth_is_no_edge_and_hides_none(self) -> None:
        depth = np.full((20, 30), 5.0)
        depth[:, 12:] = 2.0
        depth[4:8] = np.nan
        valid = np.ones((20, 30), dtype=np.bool_)
        valid[:, :3] = False
        edges = depth_edges(depth, valid)
        assert not edges[4:8].any()
        assert not edges[:, :11].any()
        assert edges[8:, 11:13].all()
        assert not depth_edges(np.full((6, 7), np.nan)).any()
        assert not depth_edges(np.ones((1, 1))).any()
        assert depth_edges(np.array([[1.0, 3.0]])).shape == (1, 2)

    @pytest.mark.parametrize("unknown", [np.s_[:, :9], np.s_[:, 15:], np.s_[:, 10:11], np.s_[:, :7:2]])
    def test_edges_beside_unknown_depth(self, unknown: tuple[slice, slice]) -> None:
        depth = np.full((20, 60), 5.0)
        depth[:, 12:] = 2.0
        depth[unknown] = np.nan
        expected = np.zeros((20, 60), dtype=np.bool_)
        expected[:, 11:13] = True
        np.testing.assert_array_equal(depth_edges(depth), expected)
        np.testing.assert_array_equal(depth_edges(depth.T), expected.T)

    def test_refuses_impossible_parameters(self) -> None:
        with pytest.raises(InvalidInputError, match="relative_threshold"):
            depth_edges(np.ones(SIZE), relative_threshold=0)
        with pytest.raises(InvalidInputError, match="ramp_px"):
            depth_edges(np.ones(SIZE), ramp_px=0)
