"""Sparse measurements of training views."""

import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.recipe import SamplesRecipe
from e2e_depth_ros.training.sparse_samples import draw_training_samples

SIZE = (48, 72)
CLEAN = {"missing": 0.0, "parallax": 0.0, "outliers": 0.0}


def scene():
    """A near box before a far wall; a corner is unknown. The image shows the box."""
    depth_m = np.full(SIZE, 6.0, np.float32)
    depth_m[12:36, 20:50] = 2.0
    image = np.where(depth_m[..., None] < 3, 220, 60).repeat(3, axis=2).astype(np.uint8)
    depth_m[:9, :9] = 0
    return depth_m, image


def draws(count=60, **changes):
    """Draws of the scene, with the patterns' other faults off."""
    recipe = SamplesRecipe(**{**CLEAN, **changes})
    depth_m, image = scene()
    found = [draw_training_samples(depth_m, image, recipe, np.random.default_rng(i)) for i in range(count)]
    return depth_m, [one for one in found if one is not None]


@pytest.mark.parametrize("pattern", ["random", "lidar", "corners"])
def test_each_pattern_measures_known_pixels_once_and_about_rightly(pattern):
    weights = {**dict.fromkeys(("random", "lidar", "corners"), 0.0), pattern: 1.0}
    depth_m, found = draws(**weights)
    assert len(found) >= 58  # fewer than five are none
    for one in found:
        assert len(np.unique(one.v_px * SIZE[1] + one.u_px)) == len(one.u_px) >= 5
        assert (depth_m[one.v_px, one.u_px] > 0).all()
        np.testing.assert_allclose(one.depth_m, depth_m[one.v_px, one.u_px], rtol=0.15)
    assert len({len(one.u_px) for one in found}) > 20


def test_lines_leave_rows_between_them_and_corners_crowd_at_the_outline():
    _, lines = draws(random=0.0, corners=0.0)
    assert np.mean([len(np.unique(one.v_px)) for one in lines]) < 0.75 * SIZE[0]
    depth_m, corners = draws(random=0.0, lidar=0.0)
    grown = np.pad(depth_m, 2, mode="edge")
    around = np.stack([grown[2 + dy :, 2 + dx :][:48, :72] for dy in (-2, 2) for dx in (-2, 2)])
    at_outline = (around.max(axis=0) > 5) & (around.min(axis=0) < 3)
    assert np.mean([at_outline[one.v_px, one.u_px].mean() for one in corners]) > 2 * at_outline.mean()


def test_a_rectangle_may_be_missing():
    _, whole = draws(lidar=0.0, corners=0.0)
    _, holed = draws(lidar=0.0, corners=0.0, missing=1.0)
    assert sum(len(one.u_px) for one in holed) < 0.8 * sum(len(one.u_px) for one in whole)


def test_outliers_are_wrong_in_up_to_the_share_asked_for():
    depth_m, found = draws(outliers=1.0, most_outliers=0.35)
    shares = [np.mean(np.abs(one.depth_m / depth_m[one.v_px, one.u_px] - 1) > 0.15) for one in found]
    assert 0.08 < np.mean(shares) < 0.2
    assert max(shares) < 0.5


def test_parallax_sees_the_background_beside_the_foregrounds_edge_alone():
    depth_m, found = draws(parallax=1.0)
    inside = np.zeros(SIZE, bool)
    inside[12:36, 20:50], inside[15:33, 23:47] = True, False
    wrong = [(np.abs(one.depth_m / depth_m[one.v_px, one.u_px] - 1) > 0.5) for one in found]
    places = [inside[one.v_px, one.u_px] for one in found]
    assert not any((bad & ~place).any() for bad, place in zip(wrong, places, strict=True))
    assert 0.3 < np.concatenate(wrong)[np.concatenate(places)].mean() < 0.5


def test_what_is_too_far_or_too_little_is_not_measured():
    depth_m, image = scene()
    recipe = SamplesRecipe(**CLEAN, max_depth_m=5.0)
    near = draw_training_samples(depth_m, image, recipe, np.random.default_rng(1))
    assert near is not None
    assert near.depth_m.max() < 3
    depth_m[20:] = 0
    assert draw_training_samples(depth_m, image, recipe, np.random.default_rng(1)) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"outliers": 1.2}, "outliers"),
        ({"max_depth_m": 0.0}, "max_depth_m"),
        ({"random": 0.0, "lidar": 0.0, "corners": 0.0}, "random"),
    ],
)
def test_impossible_recipes_are_refused(changes, named):
    with pytest.raises(InvalidInputError, match=named):
        SamplesRecipe(**changes)
