"""Variations: the picture changes, the geometry stays exact."""

import dataclasses
import math

import numpy as np
import pytest

from e2e_depth_ros.training.augmentation import View, augment, crop, mirrored, vary_camera
from e2e_depth_ros.training.recipe import AugmentationRecipe

SIZE = (72, 100)
FOCAL_PX = 80.0
OFF = AugmentationRecipe.none()


def plane_view(normal, distance_m=3.0, size=SIZE):
    """A plane seen by a pinhole camera; the image shows the normalised ray, so that it can be checked."""
    height, width = size
    normal = np.asarray(normal, np.float64) / np.linalg.norm(normal)
    x = (np.arange(width) - (width - 1) / 2) / FOCAL_PX
    y = (np.arange(height) - (height - 1) / 2) / FOCAL_PX
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1)
    depth_m = -distance_m / (rays @ normal)
    assert (depth_m > 0).all()
    image = np.stack([128 + 160 * rays[..., 0], 128 + 160 * rays[..., 1], np.full(size, 90.0)], axis=-1)
    return View(
        np.rint(image.clip(0, 255)).astype(np.uint8),
        depth_m.astype(np.float32),
        np.broadcast_to(normal, (*size, 3)).astype(np.float32).copy(),
    )


def rays_shown(view):
    """The direction in the *source* camera that each pixel shows, read off the picture."""
    x, y = ((view.image[..., channel].astype(float) - 128) / 160 for channel in (0, 1))
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def test_mirroring_negates_the_normals_x():
    normal = np.array([0.6, 0.0, -0.8])
    view = mirrored(plane_view(normal))
    expected = plane_view(normal * [-1, 1, 1])
    np.testing.assert_allclose(view.normals, expected.normals, atol=1e-6)
    np.testing.assert_allclose(view.depth_m, expected.depth_m, rtol=1e-5)


def test_mirroring_leaves_the_original_alone():
    original = plane_view([0.6, 0.0, -0.8])
    kept = original.normals.copy()
    mirrored(original)
    np.testing.assert_array_equal(original.normals, kept)


@pytest.mark.parametrize("roll_deg", [0.0, 17.0, -40.0])
@pytest.mark.parametrize("size", [(40, 64), (64, 40)])
def test_crops_keep_picture_depth_and_normals_together(roll_deg, size):
    normal = np.array([0.3, -0.4, -0.85])
    normal /= np.linalg.norm(normal)
    view = plane_view(normal)
    roll = math.radians(roll_deg)
    cropped = crop(view, size, zoom=0.8, position=(0.9, 0.2), roll_rad=roll)
    assert cropped.image.shape == (*size, 3)
    # The depth belongs to the ray that the picture shows: z doesn't change by rolling.
    depth_m = -3.0 / (rays_shown(cropped) @ normal)
    np.testing.assert_allclose(cropped.depth_m, depth_m, rtol=0.03)
    # Seen from the rolled camera, the scene turns the other way.
    c, s = math.cos(roll), math.sin(roll)
    turned = np.array([c * normal[0] + s * normal[1], c * normal[1] - s * normal[0], normal[2]])
    np.testing.assert_allclose(cropped.normals, np.broadcast_to(turned, cropped.normals.shape), atol=1e-5)


def test_positive_roll_turns_the_camera_clockwise():
    view = plane_view([0, 0, -1])
    cropped = crop(view, (40, 40), zoom=0.9, position=(0.5, 0.5), roll_rad=math.radians(20))
    across = rays_shown(cropped)[20, 35] - rays_shown(cropped)[20, 5]
    # The image's x axis points to the right and down in the source.
    assert math.degrees(math.atan2(across[1], across[0])) == pytest.approx(20, abs=2)


def test_largest_crop_of_the_same_aspect_is_everything():
    view = plane_view([0.1, 0.2, -1])
    same = crop(view, SIZE, zoom=1.0, position=(0.3, 0.7), roll_rad=0.0)
    for one, other in zip(same, view, strict=True):
        np.testing.assert_array_equal(one, other)


def test_shrinking_keeps_borders_aligned():
    # The half-pixel rule, as the framing of inference has it.
    view = plane_view([0.1, 0.2, -1])
    half = crop(view, (36, 50), zoom=1.0, position=(0.5, 0.5), roll_rad=0.0)
    expected = view.image.reshape(36, 2, 50, 2, 3).mean(axis=(1, 3))
    inner = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(half.image[inner], expected[inner], atol=1.0)


def test_shrinking_does_not_alias():
    stripes = np.zeros((*SIZE, 3), np.uint8)
    stripes[:, ::2] = 255
    view = plane_view([0, 0, -1])._replace(image=stripes)
    small = crop(view, (24, 33), zoom=1.0, position=(0.5, 0.5), roll_rad=0.0)
    assert small.image.astype(float).std() < 6


def test_holes_stay_holes():
    view = plane_view([0.1, 0.2, -1])
    view.depth_m[20:50, 30:60] = 0
    view.normals[20:50, 30:60] = 0
    cropped = augment(view, (40, 56), AugmentationRecipe(), np.random.default_rng(3))
    hole = cropped.depth_m == 0
    assert hole.any()
    np.testing.assert_array_equal(hole, (cropped.normals == 0).all(axis=-1))
    np.testing.assert_allclose(np.linalg.norm(cropped.normals[~hole], axis=-1), 1, atol=1e-5)
    assert cropped.depth_m[~hole].min() > 1  # nothing was mixed with the holes


def test_switched_off_changes_nothing_but_the_size():
    view = plane_view([0.1, 0.2, -1])
    same = augment(view, SIZE, OFF, np.random.default_rng(0))
    np.testing.assert_array_equal(same.image, view.image)
    np.testing.assert_array_equal(same.depth_m, view.depth_m)


CAMERA_CHANGES = (
    "white_balance",
    "swap_channels",
    "saturation",
    "grayscale",
    "exposure",
    "gamma",
    "vignetting",
    "filter",
    "blur",
    "noise",
    "jpeg",
    "cutout",
    "overexposure",
    "border",
)


@pytest.mark.parametrize("name", CAMERA_CHANGES)
def test_each_change_changes_the_picture(name):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (30, 44, 3), dtype=np.uint8)
    recipe = dataclasses.replace(OFF, **{name: 1.0}, strength=1.0)
    varied = [vary_camera(image, recipe, np.random.default_rng(seed)) for seed in range(8)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in varied)
    assert sum(not np.array_equal(one, image) for one in varied) >= 6
    assert any(not np.array_equal(one, varied[0]) for one in varied[1:]) or name == "grayscale"


def test_filters_keep_the_mean_and_where_edges_are():
    image = np.full((40, 56, 3), 90, np.uint8)
    image[:, 30:] = 150
    recipe = dataclasses.replace(OFF, filter=1.0)
    for seed in range(12):
        varied = vary_camera(image, recipe, np.random.default_rng(seed)).astype(float)
        assert varied.mean() == pytest.approx(image.mean(), abs=8)
        across = np.abs(np.diff(varied, axis=1)).sum(axis=(0, 2))
        assert across[26:33].sum() > 0.95 * across.sum()


def test_strength_scales_colours_and_light():
    image = np.random.default_rng(1).integers(60, 160, (30, 44, 3), dtype=np.uint8)
    for name in ("white_balance", "exposure", "gamma"):
        change = [
            np.mean(
                [
                    np.abs(
                        vary_camera(image, recipe, np.random.default_rng(seed)).astype(float) - image
                    ).mean()
                    for seed in range(20)
                ]
            )
            for recipe in (dataclasses.replace(OFF, **{name: 1.0}, strength=s) for s in (0.0, 0.5, 1.0))
        ]
        assert change[0] < 1 < change[1] < change[2]


def test_overexposure_burns_out_half_of_a_picture_at_most():
    image = np.random.default_rng(1).integers(20, 200, (40, 56, 3), dtype=np.uint8)
    recipe = dataclasses.replace(OFF, overexposure=1.0)
    burnt = [
        (vary_camera(image, recipe, np.random.default_rng(seed)).max(-1) == 255).mean() for seed in range(40)
    ]
    assert 0.01 < min(burnt) < 0.1
    assert 0.4 < max(burnt) < 0.55


def test_a_dark_picture_is_not_lifted_out_of_its_noise():
    image = np.full((12, 17, 3), 5, np.uint8)
    assert (
        vary_camera(image, dataclasses.replace(OFF, overexposure=1.0), np.random.default_rng(0)).max() <= 50
    )


def test_borders_are_of_one_colour_and_leave_the_middle_and_the_geometry_alone():
    view = plane_view([0.3, -0.1, -1])
    recipe = dataclasses.replace(OFF, border=1.0)
    sides, colours = set(), set()
    for seed in range(60):
        varied = augment(view, SIZE, recipe, np.random.default_rng(seed))
        np.testing.assert_array_equal(varied.depth_m, view.depth_m)
        np.testing.assert_array_equal(varied.normals, view.normals)
        inner = (slice(9, -9), slice(13, -13))  # an eighth of 72 and of 100
        np.testing.assert_array_equal(varied.image[inner], view.image[inner])
        changed = (varied.image != view.image).any(axis=-1)
        sides.add((changed[0].all(), changed[-1].all(), changed[:, 0].all(), changed[:, -1].all()))
        colours |= {tuple(colour) for colour in np.unique(varied.image[changed], axis=0)}
        assert len(np.unique(varied.image[changed], axis=0)) <= 1
    assert {(True,) * 4, (True, True, False, False), (False, False, True, True)} <= sides
    assert {(0, 0, 0), (255, 255, 255)} < colours


def test_changes_that_are_off_leave_the_others_as_they_were():
    image = np.random.default_rng(1).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    varied = vary_camera(image, AugmentationRecipe(), np.random.default_rng(3))
    with_border = vary_camera(image, AugmentationRecipe(border=1.0), np.random.default_rng(3))
    inner = (slice(5, -5), slice(7, -7))
    np.testing.assert_array_equal(varied[inner], with_border[inner])


def test_grayscale_has_no_colour():
    image = np.random.default_rng(1).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    gray = vary_camera(image, dataclasses.replace(OFF, grayscale=1.0), np.random.default_rng(0))
    assert (np.ptp(gray, axis=-1) == 0).all()


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (96, 128)])
def test_everything_on_any_size_and_repeatable(size):
    everything = AugmentationRecipe(**dict.fromkeys(CAMERA_CHANGES, 1.0), flip=1.0, roll=1.0)
    view = plane_view([0.3, -0.1, -1])
    one, other = (augment(view, size, everything, np.random.default_rng(5)) for _ in range(2))
    assert one.image.shape == (*size, 3)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
