"""Keypoints read off circles that the tests paint."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.model.instruct.keypoints import keypoints_from_painting
from e2e_depth_ros.model.instruct.paint import COLOURS
from helpers.painting import blend, compressed, ellipse, noisy, scene

SIZE = (192, 300)
RADIUS = 192 * 10 / 256


def painted(image, centres, colour, radius=RADIUS):
    for centre in centres:
        image = blend(image, ellipse(SIZE, centre, (radius, radius)), COLOURS[colour], 1.0)
    return image


def found_at(keypoints):
    return sorted((keypoint.u_px, keypoint.v_px) for keypoint in keypoints)


def assert_at(keypoints, centres, tolerance):
    assert len(keypoints) == len(centres)
    np.testing.assert_allclose(found_at(keypoints), sorted(centres), atol=tolerance)


@pytest.mark.parametrize("colour", COLOURS)
def test_circles_are_found_to_a_fraction_of_a_pixel(colour):
    image = np.clip(scene(0, SIZE), 60, 200)
    image[..., 0] = np.clip(image[..., 0], 60, 110)  # so that gray is far away, too
    centres = [(40.0, 60.0), (150.4, 33.7), (222.0, 140.25)]
    keypoints = keypoints_from_painting(painted(image, centres, colour), image, COLOURS[colour])
    assert_at(keypoints, centres, 0.4)
    assert min(keypoint.confidence for keypoint in keypoints) > 0.8


def test_noise_and_compression_are_borne():
    image = scene(1, SIZE)
    centres = [(40.0, 60.0), (150.0, 33.0), (222.0, 140.0), (90.0, 150.0)]
    for made in (noisy(painted(image, centres, "blue"), 15), compressed(painted(image, centres, "blue"), 50)):
        assert_at(keypoints_from_painting(made, image, COLOURS["blue"]), centres, 1.0)


def test_each_colour_has_its_own_circles():
    image = scene(2, SIZE)
    red, purple, blue = [(60.0, 50.0), (120.0, 90.0)], [(78.0, 50.0)], [(120.0, 108.0), (250.0, 100.0)]
    made = image
    for centres, colour in ((red, "red"), (purple, "purple"), (blue, "blue")):
        made = painted(made, centres, colour)
    made = compressed(noisy(made, 6), 80)
    assert_at(keypoints_from_painting(made, image, COLOURS["red"]), red, 1.0)
    assert_at(keypoints_from_painting(made, image, COLOURS["blue"]), blue, 1.0)
    assert_at(keypoints_from_painting(made, image, COLOURS["purple"]), purple, 1.0)


def test_circles_that_touch_are_told_apart():
    image = scene(3, SIZE)
    centres = [(100.0, 80.0), (100.0 + 1.5 * RADIUS, 84.0), (220.0, 60.0), (222.0, 60.0 + 1.9 * RADIUS)]
    assert_at(keypoints_from_painting(painted(image, centres, "red"), image, COLOURS["red"]), centres, 2.0)


@pytest.mark.parametrize("centre", [(0.0, 80.0), (150.0, 191.0), (2.0, 3.0), (298.0, 100.0)])
def test_circles_cut_by_the_border_keep_their_centre(centre):
    image = scene(4, SIZE)
    found = keypoints_from_painting(painted(image, [centre], "blue"), image, COLOURS["blue"])
    assert_at(found, [centre], 1.0)


def test_what_is_no_circle_is_passed_over():
    image = scene(5, SIZE)
    made = painted(image, [(60.0, 60.0)], "red")
    made[100:104, 20:280] = COLOURS["red"]  # a bar
    made[120:190, 150:290] = COLOURS["red"]  # a wall
    assert_at(keypoints_from_painting(made, image, COLOURS["red"]), [(60.0, 60.0)], 0.5)
    assert keypoints_from_painting(image, image, COLOURS["red"]) == []


def test_the_radius_may_be_another():
    image = scene(6, SIZE)
    made = painted(image, [(60.0, 60.0), (200.0, 100.0)], "red", radius=16)
    found = keypoints_from_painting(made, image, COLOURS["red"], radius_px=16)
    assert_at(found, [(60.0, 60.0), (200.0, 100.0)], 0.5)
    assert keypoints_from_painting(made, image, COLOURS["red"], radius_px=5) == []
