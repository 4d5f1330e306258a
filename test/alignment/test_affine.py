"""The affine map: its two forms agree, its conventions for each kind, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_depth_ros.alignment.affine import AffineModel, metric_from_relative, value_range
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from helpers.known_scene import affine_model

AFFINE, DISPARITY = DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY
RELATIVE = np.linspace(0.1, 0.9, 6)


def relative_map(values, kind=AFFINE) -> DepthMap:
    values = np.asarray(values, dtype=np.float32)
    return DepthMap(values, np.isfinite(values), kind)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 100), st.floats(0.01, 50), st.floats(-2, 0.1), st.floats(0.2, 3))
def test_scale_and_shift_survive_the_other_form(scale, shift_m, low, high):
    model = affine_model(scale, shift_m, low, high, AFFINE)
    assert model.scale == pytest.approx(scale, rel=1e-9)
    assert model.shift_m == pytest.approx(shift_m, abs=1e-9 * (scale * (high - low) + abs(shift_m) + 1))


def test_depth_is_scale_times_relative_plus_shift():
    model = affine_model(4.0, 0.5, 0.1, 0.9, AFFINE)
    np.testing.assert_allclose(model.depth_m(RELATIVE), 4 * RELATIVE + 0.5)
    np.testing.assert_allclose(model.log_depth(RELATIVE), np.log(4 * RELATIVE + 0.5))


def test_disparity_is_scale_times_relative_plus_shift():
    model = affine_model(2.0, 0.3, 0.1, 0.9, DISPARITY)
    np.testing.assert_allclose(model.depth_m(RELATIVE), 1 / (2 * RELATIVE + 0.3))
    np.testing.assert_allclose(model.log_depth(RELATIVE), -np.log(2 * RELATIVE + 0.3))


@pytest.mark.parametrize("kind", [AFFINE, DISPARITY])
def test_the_same_map_over_another_range(kind):
    model = affine_model(4.0, 0.5, 0.1, 0.9, kind)
    moved, jacobian = model.over(0.3, 1.4)
    assert (moved.low, moved.high) == (0.3, 1.4)
    np.testing.assert_allclose(moved.depth_m(RELATIVE), model.depth_m(RELATIVE))
    # The Jacobian, by finite differences of the offset.
    nudged, _ = AffineModel(0.1, 0.9, model.extent, model.offset * np.exp(1e-6), kind).over(0.3, 1.4)
    assert jacobian[1] == pytest.approx(np.log(nudged.offset / moved.offset) / 1e-6, rel=1e-4)


def test_offset_sensitivity_is_the_derivative_of_log_depth():
    model = affine_model(4.0, 0.5, 0.1, 0.9, AFFINE)
    nudged = AffineModel(0.1, 0.9, model.extent, model.offset * np.exp(1e-6), AFFINE)
    slope = (nudged.log_depth(RELATIVE) - model.log_depth(RELATIVE)) / 1e-6
    np.testing.assert_allclose(model.offset_sensitivity(RELATIVE), slope, rtol=1e-4)


def test_depth_stays_positive_below_the_range_and_nan_stays_nan():
    model = AffineModel(0.0, 1.0, 5.0, 0.1, AFFINE)
    depth_m = model.depth_m(np.array([-3.0, np.nan, 0.5], np.float32))
    assert depth_m.dtype == np.float32
    assert depth_m[0] > 0
    assert np.isnan(depth_m[1])
    assert depth_m[2] == pytest.approx(3.0)


def test_metric_from_relative_marks_what_comes_out_behind_the_camera():
    relative = relative_map([[0.0, 0.5], [1.0, np.nan], [0.2, 0.3]])
    metric = metric_from_relative(relative, 2.0, -0.5)
    assert metric.kind is DepthKind.METRIC
    np.testing.assert_array_equal(metric.valid, [[False, True], [True, False], [False, True]])
    np.testing.assert_allclose(metric.values[metric.valid], [0.5, 1.5, 0.1], atol=1e-6)


def test_metric_from_disparity_is_its_inverse():
    metric = metric_from_relative(relative_map([[0.0, 0.5, 1.0]], DISPARITY), 2.0, -0.5)
    np.testing.assert_array_equal(metric.valid, [[False, True, True]])
    np.testing.assert_allclose(metric.values[0, 1:], [2.0, 1 / 1.5], rtol=1e-6)


@pytest.mark.parametrize(("scale", "shift_m"), [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (1.0, np.inf)])
def test_impossible_scale_or_shift_is_refused(scale, shift_m):
    with pytest.raises(InvalidInputError, match="expected a positive scale"):
        metric_from_relative(relative_map([[0.5]]), scale, shift_m)


def test_value_range_ignores_the_outermost_hundredth_and_invalid_pixels():
    values = np.linspace(0, 1, 90 * 70).reshape(90, 70)
    values[0, 0], values[-1, -1], values[40:50] = -50.0, 50.0, np.nan
    low, high = value_range(relative_map(values))
    assert 0 < low < 0.02
    assert 0.98 < high < 1
    with pytest.raises(InvalidInputError, match="valid pixels"):
        value_range(relative_map([[np.nan, np.nan]]))


def test_value_range_finds_a_lone_valid_pixel():
    values = np.full((300, 500), np.nan)
    values[77, 123] = 0.4
    assert value_range(relative_map(values)) == pytest.approx((0.4, 0.4))


@pytest.mark.parametrize("kind", [AFFINE, DISPARITY])
def test_model_and_scale_and_shift_say_the_same(kind):
    model = AffineModel(-0.2, 1.4, 2.5, 0.3, kind)
    values = np.linspace(-0.1, 1.3, 24).reshape(4, 6).astype(np.float32)
    metric = metric_from_relative(DepthMap(values, np.ones((4, 6), bool), kind), model.scale, model.shift_m)
    np.testing.assert_allclose(model.depth_m(values), metric.values, rtol=1e-5)
    np.testing.assert_allclose(np.exp(model.log_depth(values)), metric.values, rtol=1e-5)
    assert metric.kind is DepthKind.METRIC
    moved, _ = model.over(0.1, 0.9)
    assert (moved.scale, moved.shift_m) == pytest.approx((model.scale, model.shift_m))
    again = affine_model(model.scale, model.shift_m, -0.2, 1.4, kind)
    assert (again.extent, again.offset) == pytest.approx((2.5, 0.3))


def test_what_comes_out_behind_the_camera_is_invalid():
    relative = DepthMap(np.array([[0.0, 0.5, 1.0]], np.float32), np.ones((1, 3), bool), AFFINE)
    assert metric_from_relative(relative, 2.0, -1.0).valid.tolist() == [[False, False, True]]
    with pytest.raises(InvalidInputError, match="positive scale"):
        metric_from_relative(relative, -1.0, 0.0)


def test_value_range_ignores_invalid_pixels_and_extremes():
    values = np.linspace(0, 1, 100 * 100, dtype=np.float32).reshape(100, 100)
    values[3, :50] = np.nan
    values[50, 50] = 99
    low, high = value_range(DepthMap(values, np.isfinite(values), AFFINE))
    assert (low, high) == pytest.approx((0.01, 0.99), abs=0.006)
    with pytest.raises(InvalidInputError, match="valid pixels"):
        value_range(DepthMap(np.full((3, 4), np.nan, np.float32), np.zeros((3, 4), bool), AFFINE))


@pytest.mark.parametrize("kind", [DepthKind.AFFINE_INVARIANT, DepthKind.AFFINE_INVARIANT_DISPARITY])
def test_another_offset_changes_distances_in_log_depth_as_the_model_with_it_has_them(kind):
    model = AffineModel(0.2, 1.2, 3.0, 5.0, kind)
    relative = np.linspace(0.2, 1.2, 7)
    other = replace(model, offset=0.3).log_depth(relative)
    changed = model.with_offset(0.3, model.log_depth(relative))

    np.testing.assert_allclose(np.diff(changed), np.diff(other), rtol=1e-9)
