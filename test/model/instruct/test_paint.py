"""What cannot be told from a painting is refused."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.instruct.paint import COLOURS, colour_named, find_paint
from helpers.painting import blend, ellipse, noisy, overlap, scene


def test_wrong_input_is_refused():
    image = np.zeros((4, 6, 3))
    with pytest.raises(InvalidInputError, match=r"\(4, 6, 3\) beside \(6, 4, 3\)"):
        find_paint(image, image.transpose(1, 0, 2), (0, 0, 0), 0.5)
    with pytest.raises(InvalidInputError, match="finite"):
        find_paint(image * np.nan, image, (0, 0, 0), 0.5)
    with pytest.raises(InvalidInputError, match="opacity"):
        find_paint(image, image, (0, 0, 0), 0.0)
    with pytest.raises(InvalidInputError, match=r"red, purple, .* got 'pink'"):
        colour_named("pink")


@pytest.mark.parametrize("opacity", [0.3, 0.5, 0.8])
def test_paint_is_found_where_it_was_laid_on(opacity):
    image, where = scene(3), ellipse((180, 260), (80, 150), (40, 60))
    painted = noisy(blend(image, where, (255, 0, 0), opacity), 4)
    paint = find_paint(painted, image, (255, 0, 0), opacity)
    assert overlap(paint.probability > 0.5, where) > 0.95


def test_every_colour_has_its_name():
    assert {name: colour_named(name) for name in COLOURS} == dict(COLOURS)
