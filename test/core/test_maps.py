"""Maps refuse to be taken for what they are not, and hold nothing that looks valid and is not."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError, KindError
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap

VALUES = np.array([[1.5, np.nan, np.inf], [-2.0, 0.0, 3.0]], dtype=np.float32)
TRUE = np.ones((2, 3), dtype=np.bool_)


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


def test_one_clause_catches_every_error_of_the_package() -> None:
    assert issubclass(KindError, E2EDepthError)
    assert issubclass(KindError, TypeError)
    assert issubclass(InvalidInputError, E2EDepthError)
    assert issubclass(InvalidInputError, ValueError)
