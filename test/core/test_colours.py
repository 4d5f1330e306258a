"""Pictures show near and far, directions and what is unknown, always in the same way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.colours import COLORMAPS, colours_from_depth, colours_from_normals
from e2e_depth_ros.core.errors import InvalidInputError


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_near_and_far_are_the_ends_of_the_colour_map(colormap):
    # The second row lies beyond the ends, but for what is unknown: that is black, whatever the map.
    depth = np.array([[1.0, 2.0, 4.0], [0.5, np.nan, 9.0]], np.float32)
    rgb = colours_from_depth(depth, 1.0, 4.0, colormap=colormap)
    assert (rgb.shape, rgb.dtype) == ((2, 3, 3), np.uint8)
    np.testing.assert_array_equal(rgb[0, 0], rgb[1, 0])
    np.testing.assert_array_equal(rgb[0, 2], rgb[1, 2])
    assert rgb[1, 1].tolist() == [0, 0, 0]
    near, middle, far = rgb[0].astype(int)
    if colormap == "turbo":  # from blue to red
        assert near[0] > near[2]
        assert far[2] > far[0]
    else:
        assert near.sum() > middle.sum() > far.sum()
        assert near.sum() > 400


def test_colours_are_rgb():
    last = cv2.applyColorMap(np.array([[255]], np.uint8), cv2.COLORMAP_INFERNO)[0, 0, ::-1]
    np.testing.assert_array_equal(colours_from_depth(np.zeros((1, 1)), 0.0, 1.0)[0, 0], last)


def test_logarithmic_colours_are_even_in_ratios():
    depth = np.array([[1.0, 10.0, 100.0]])
    levels = colours_from_depth(depth, 1.0, 100.0, colormap="gray", logarithmic=True)[0, :, 0]
    assert levels.tolist() == [255, 128, 1]
    levels = colours_from_depth(depth, 1.0, 100.0, colormap="gray")[0, :, 0]
    assert levels.tolist() == [255, 232, 1]  # 255 - 254 * 9 / 99, rounded


def test_logarithmic_colours_take_what_is_no_distance_as_near():
    levels = colours_from_depth(np.array([[-1.0, 0.0, np.nan]]), 0.5, 8.0, colormap="gray", logarithmic=True)
    assert levels[0, :, 0].tolist() == [255, 255, 0]


def test_constant_depth_is_near():
    assert (colours_from_depth(np.full((2, 3), 7.0), 7.0, 7.0, colormap="gray") == 255).all()


def test_depth_is_left_as_it_was():
    depth = np.array([[0.25, np.nan]], np.float32)
    before = depth.copy()
    colours_from_depth(depth, 0.0, 1.0)
    np.testing.assert_array_equal(depth, before)


def test_normals_take_the_usual_colours():
    # Optical frame: right, up, towards the camera, unknown twice.
    normals = np.array([[[1, 0, 0], [0, -1, 0], [0, 0, -1], [np.nan] * 3, [0, 0, 0]]], np.float32)
    rgb = colours_from_normals(normals)
    assert rgb.dtype == np.uint8
    assert rgb[0].tolist() == [[255, 128, 128], [128, 255, 128], [128, 128, 255], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: colours_from_depth(np.zeros((2, 3, 1)), 0, 1), r"\(H, W\), got \(2, 3, 1\)"),
        (lambda: colours_from_depth(np.zeros((2, 3)), 0, 1, colormap="jet"), "turbo.*gray, got 'jet'"),
        (lambda: colours_from_depth(np.ones((2, 3)), 0, 1, logarithmic=True), "above 0.*got 0"),
        (lambda: colours_from_normals(np.zeros((3, 4, 5))), r"\(H, W, 3\), got \(3, 4, 5\)"),
    ],
)
def test_other_input_is_refused(call, words):
    with pytest.raises(InvalidInputError, match=words):
        call()
