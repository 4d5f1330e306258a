"""Maps refuse to be taken for what they are not, and hold nothing that looks valid and is not."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError, KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap, farness_from_relative

VALUES = np.array([[1.5, np.nan, np.inf], [-2.0, 0.0, 3.0]], dtype=np.float32)
TRUE = np.ones((2, 3), dtype=np.bool_)

SIZE = (48, 64)
CAMERA = Camera.from_calibration(SIZE, [61.0, 0, 30.25, 0, 53.0, 26.5, 0, 0, 1])
FISHEYE = Camera.from_calibration(SIZE, CAMERA.intrinsics.ravel(), "equidistant", (0.02, -0.01, 0, 0))
RANDOM_M = np.random.default_rng(0).uniform(0.5, 9, SIZE).astype(np.float32)


@pytest.mark.parametrize("kind", DepthKind)
def test_kinds_refuse_each_other(kind: DepthKind) -> None:
    depth = DepthMap(np.ones((2, 3)), TRUE, kind)
    assert depth.require(kind) is depth
    for other in DepthKind:
        if other is not kind:
            with pytest.raises(KindError, match=f"expected {other.value} depth, got {kind.value} depth"):
                depth.require(other)


@pytest.mark.parametrize("kind", DepthKind)
def test_what_cannot_be_is_invalid(kind: DepthKind) -> None:
    depth = DepthMap(VALUES, TRUE, kind)
    is_distance = kind in (DepthKind.METRIC, DepthKind.SCALE_INVARIANT)
    expected = [[True, False, False], [not is_distance, not is_distance, True]]
    assert depth.valid.tolist() == expected
    assert (np.isfinite(depth.values) == depth.valid).all()
    np.testing.assert_array_equal(depth.values[depth.valid], VALUES[depth.valid])


def test_valid_only_narrows() -> None:
    valid = np.array([[False, True, True], [True, True, True]])
    depth = DepthMap(VALUES, valid, DepthKind.METRIC)
    assert depth.valid.tolist() == [[False, False, False], [False, False, True]]
    assert np.isnan(depth.values[0, 0])
    assert depth.size == (2, 3)
    assert depth.values.dtype == np.float32


def test_depth_is_a_frozen_copy() -> None:
    values = np.ones((2, 3), dtype=np.float32)
    valid = TRUE.copy()
    depth = DepthMap(values, valid, DepthKind.METRIC)
    values[:], valid[:] = 7, False
    assert (depth.values == 1).all()
    assert depth.valid.all()
    with pytest.raises(ValueError, match="read-only"):
        depth.values[0, 0] = 2
    with pytest.raises(ValueError, match="read-only"):
        depth.valid[0, 0] = False
    with pytest.raises(AttributeError):
        depth.kind = DepthKind.METRIC  # type: ignore[misc]


def test_normals_become_unit_or_invalid() -> None:
    vectors = np.zeros((2, 3, 3), dtype=np.float32)
    vectors[0] = [[0, 0, -2], [3, 0, -4], [1e-9, 0, 0]]
    vectors[1] = [[np.nan, 0, 1], [np.inf, 0, 1], [0, 0, 0]]
    normals = NormalMap.from_vectors(vectors)
    assert normals.valid.tolist() == [[True, True, False], [False, False, False]]
    np.testing.assert_allclose(normals.values[0, :2], [[0, 0, -1], [0.6, 0, -0.8]], atol=1e-6)
    assert np.isnan(normals.values[~normals.valid]).all()
    assert normals.size == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        normals.values[0, 0] = 0


def test_normals_are_not_a_number_wherever_invalid() -> None:
    values = np.broadcast_to(np.float32([0, 0, -1]), (2, 3, 3)).copy()
    values[0, 1, 2] = np.nan
    valid = TRUE.copy()
    valid[1, 2] = False
    normals = NormalMap(values, valid)
    assert normals.valid.tolist() == [[True, False, True], [True, True, False]]
    assert (np.isnan(normals.values).all(axis=-1) == ~normals.valid).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\(H, W\), got \(2, 3, 1\)"):
        DepthMap(np.ones((2, 3, 1)), TRUE, DepthKind.METRIC)
    with pytest.raises(InvalidInputError, match=r"\(H, W\), got \(0, 3\)"):
        DepthMap(np.ones((0, 3)), np.ones((0, 3)), DepthKind.METRIC)
    with pytest.raises(InvalidInputError, match=r"valid of shape \(2, 3\), got \(3, 2\)"):
        DepthMap(np.ones((2, 3)), TRUE.T, DepthKind.METRIC)
    with pytest.raises(InvalidInputError, match=r"\(H, W, 3\), got \(3, 2, 4\)"):
        NormalMap(np.ones((3, 2, 4)), TRUE.T)
    with pytest.raises(InvalidInputError, match=r"valid of shape \(3, 2\), got \(2, 3\)"):
        NormalMap(np.ones((3, 2, 3)), TRUE)
    with pytest.raises(InvalidInputError, match=r"\(H, W, 3\), got \(3, 2\)"):
        NormalMap.from_vectors(np.ones((3, 2)))


def test_a_word_is_no_kind() -> None:
    with pytest.raises(InvalidInputError, match="expected a DepthKind as kind, got 'disparity'"):
        DepthMap(np.ones((2, 3), np.float32), np.ones((2, 3), bool), "disparity")  # type: ignore[arg-type]


def test_one_clause_catches_every_error_of_the_package() -> None:
    assert issubclass(KindError, E2EDepthError)
    assert issubclass(KindError, TypeError)
    assert issubclass(InvalidInputError, E2EDepthError)
    assert issubclass(InvalidInputError, ValueError)


def test_farness_is_zero_near_for_every_relative_kind() -> None:
    values = np.array([[0.2, 0.5, np.nan], [0.9, 0.4, 0.3]], np.float32)
    for kind in (DepthKind.AFFINE_INVARIANT, DepthKind.SCALE_INVARIANT):
        np.testing.assert_array_equal(farness_from_relative(DepthMap(values, TRUE, kind)), values)
    disparity = DepthMap(values, TRUE, DepthKind.AFFINE_INVARIANT_DISPARITY)
    np.testing.assert_array_equal(farness_from_relative(disparity), np.float32(1) - values)


def test_stretched_farness_reaches_from_the_nearest_to_the_farthest() -> None:
    values = np.array([[0.2, 0.5, np.nan], [0.9, 0.4, 0.3]], np.float32)
    disparity = DepthMap(values, TRUE, DepthKind.AFFINE_INVARIANT_DISPARITY)
    expected = [[1, 4 / 7, np.nan], [0, 5 / 7, 6 / 7]]
    np.testing.assert_allclose(farness_from_relative(disparity, stretch=True), expected, atol=1e-6)
    nowhere = DepthMap(np.full((2, 3), np.nan), TRUE, DepthKind.AFFINE_INVARIANT)
    assert np.isnan(farness_from_relative(nowhere, stretch=True)).all()
    constant = DepthMap(np.full((2, 3), 0.5), TRUE, DepthKind.AFFINE_INVARIANT)
    assert (farness_from_relative(constant, stretch=True) == 0).all()


def test_metric_depth_has_no_farness() -> None:
    with pytest.raises(KindError, match="expected relative depth, got metric depth"):
        farness_from_relative(DepthMap(np.ones((2, 3)), TRUE, DepthKind.METRIC))


class TestPoints:
    def test_convention(self) -> None:
        """(0, 0) is a pixel's centre, x goes right, y down, and depth is z."""
        camera = Camera((2, 3), np.array([[100.0, 0, 1.5], [0, 200, 0.5], [0, 0, 1]]))
        values = np.array([[2.0, 2, 2], [4, 4, np.nan]], np.float32)
        points = DepthMap(values, np.isfinite(values), DepthKind.METRIC).points(camera)
        assert points.shape == (2, 3, 3)
        assert points.dtype == np.float32
        np.testing.assert_allclose(points[0, 0], [-0.03, -0.005, 2], rtol=1e-6)
        np.testing.assert_allclose(points[1, 1], [-0.02, 0.01, 4], rtol=1e-6)
        assert np.isnan(points[1, 2]).all()

    @pytest.mark.parametrize("camera", [CAMERA, FISHEYE])
    def test_points_project_to_their_pixels(self, camera: Camera) -> None:
        points = DepthMap(RANDOM_M, np.ones(SIZE), DepthKind.METRIC).points(camera)
        u, v = camera.project(points.reshape(-1, 3))
        np.testing.assert_allclose(u.reshape(SIZE), np.broadcast_to(np.arange(64), SIZE), atol=2e-4)
        np.testing.assert_allclose(v.reshape(SIZE), np.broadcast_to(np.arange(48)[:, None], SIZE), atol=2e-4)

    @pytest.mark.parametrize("camera", [CAMERA, FISHEYE])
    def test_coordinates_are_those_of_the_points(self, camera: Camera) -> None:
        depth = DepthMap(np.where(RANDOM_M < 2, np.nan, RANDOM_M), np.ones(SIZE), DepthKind.METRIC)
        np.testing.assert_array_equal(np.dstack(depth.coordinates(camera)), depth.points(camera))

    def test_refuses_what_is_not_metric_or_of_another_size(self) -> None:
        values, valid = RANDOM_M, np.ones(SIZE, dtype=np.bool_)
        for kind in DepthKind:
            if kind is not DepthKind.METRIC:
                with pytest.raises(KindError):
                    DepthMap(values, valid, kind).points(CAMERA)
        with pytest.raises(InvalidInputError, match=r"\(48, 64\), got \(64, 48\)"):
            DepthMap(values.T, valid.T, DepthKind.METRIC).points(CAMERA)
