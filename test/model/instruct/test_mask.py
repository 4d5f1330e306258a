"""Masks read off blends that the tests make: their noise, their compression, other colours beside them."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.model.instruct.mask import mask_from_painting
from e2e_depth_ros.model.instruct.paint import COLOURS
from helpers.painting import blend, compressed, ellipse, noisy, overlap, scene

SIZE = (180, 260)
WHERE = ellipse(SIZE, (90, 70), (60, 35)) | ellipse(SIZE, (200, 120), (25, 45))


@pytest.mark.parametrize("colour", COLOURS)
def test_an_exact_blend_is_inverted(colour):
    image = scene()
    mask = mask_from_painting(blend(image, WHERE, COLOURS[colour], 0.5), image, COLOURS[colour])
    assert overlap(mask.values, WHERE) > 0.97
    assert mask.unexplained < 0.01


@pytest.mark.parametrize("colour", ["red", "green", "yellow"])
@pytest.mark.parametrize("sigma", [5, 12, 20])
def test_noise_is_borne(colour, sigma):
    image = scene(2)
    painted = noisy(blend(image, WHERE, COLOURS[colour], 0.5), sigma)
    mask = mask_from_painting(painted, image, COLOURS[colour])
    assert overlap(mask.values, WHERE) > (0.95 if sigma < 20 else 0.9)
    assert mask.noise == pytest.approx(sigma, rel=0.25)


@pytest.mark.parametrize("quality", [90, 60, 30])
def test_compression_is_borne(quality):
    image = scene(3)
    mask = mask_from_painting(compressed(blend(image, WHERE, (0, 0, 255), 0.5), quality), image, (0, 0, 255))
    assert overlap(mask.values, WHERE) > 0.97


def test_other_colours_beside_it_are_not_taken_for_it():
    image = scene(4)
    beside = ellipse(SIZE, (150, 60), (30, 30)) & ~WHERE
    below = ellipse(SIZE, (90, 140), (50, 30)) & ~WHERE
    painted = blend(image, WHERE, COLOURS["red"], 0.5)
    painted = blend(painted, beside, COLOURS["purple"], 0.5)
    painted = compressed(noisy(blend(painted, below, COLOURS["yellow"], 0.5), 6), 85)
    mask = mask_from_painting(painted, image, COLOURS["red"])
    assert overlap(mask.values, WHERE) > 0.95
    assert mask.values[beside].mean() < 0.05
    assert mask.values[below].mean() < 0.05
    assert mask.unexplained == pytest.approx((beside | below).mean(), abs=0.05)


def test_what_is_of_the_colour_already_is_no_mask():
    """A red box in the original is not painted; on it nobody can tell, so the confidence is low."""
    image = scene(5)
    image[20:60, 190:240] = (250, 5, 5)
    mask = mask_from_painting(noisy(blend(image, WHERE, (255, 0, 0), 0.5), 6), image, (255, 0, 0))
    assert not mask.values[25:55, 195:235].mean() > 0.5
    assert mask.confidence[25:55, 195:235].mean() < 0.3
    assert mask.confidence[~WHERE & (np.indices(SIZE)[1] < 180)].mean() > 0.9


def test_a_change_of_the_whole_image_is_no_paint():
    image = np.clip(scene(6), 20, 235)
    shifted = blend(image, WHERE, (0, 128, 0), 0.5) + np.array([12.0, -9.0, 7.0])
    assert overlap(mask_from_painting(noisy(shifted, 4), image, (0, 128, 0)).values, WHERE) > 0.95


@pytest.mark.parametrize("share", [0.0, 0.8, 1.0])
def test_the_mask_may_be_none_or_nearly_all(share):
    image = scene(7)
    where = np.zeros(SIZE, bool)
    where[: int(share * SIZE[0])] = True
    mask = mask_from_painting(noisy(blend(image, where, (0, 0, 255), 0.5), 8), image, (0, 0, 255))
    assert (mask.values == where).mean() > 0.97


def test_wrong_pixels_are_the_unsure_ones():
    image = scene(8)
    mask = mask_from_painting(noisy(blend(image, WHERE, (128, 128, 128), 0.5), 20), image, (128, 128, 128))
    right = mask.values == WHERE
    assert 0 <= mask.confidence.min() <= mask.confidence.max() <= 1
    assert mask.confidence[right].mean() > mask.confidence[~right].mean() + 0.2


def test_speckles_are_dropped():
    image = np.full((*SIZE, 3), 90.0)
    painted = blend(image, WHERE, (255, 0, 0), 0.5)
    painted[150:152, 20:22] = blend(image, np.ones(SIZE, bool), (255, 0, 0), 0.5)[150:152, 20:22]
    mask = mask_from_painting(painted, image, (255, 0, 0))
    assert not mask.values[145:157, 15:27].any()
    assert overlap(mask.values, WHERE) > 0.97


def test_a_painting_of_something_else_is_told():
    image, other = scene(9), scene(10)
    mask = mask_from_painting(other, image, (255, 0, 0))
    assert mask.unexplained > 0.3 or mask.noise > 40
