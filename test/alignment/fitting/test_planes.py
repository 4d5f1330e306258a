"""Planes between samples, along what the image shows."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment.fitting.planes import Guide, LocalPlanes, PlaneSettings
from helpers.known_scene import SIZE, camera, draw, metric_from, scene_relative


def image_of(relative):
    """The box is blue, what is behind it yellow: colour tells them apart, and nothing else."""
    return np.where((relative == 0)[..., None], np.uint8([60, 80, 200]), np.uint8([210, 190, 60]))


def slanted():
    """Depth of one plane, along which 1 / depth is affine in the pixel coordinates."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    x, y = camera().normalized_from_pixels(u, v)
    return 2.0 / (1 + 0.5 * x - 0.3 * y)


def through(depth_m, count, image, *, seed=0, log_depth=None):
    u, v, z, _ = draw(depth_m, count, np.random.default_rng(seed))
    return LocalPlanes.through(Guide.of(image, log_depth), u, v, np.log(z))


def left(planes, depth_m):
    return np.abs(planes.everywhere()[0] - np.log(depth_m))


def test_a_plane_is_a_plane():
    depth_m, even = slanted(), np.full((*SIZE, 3), 90, np.uint8)
    inside = left(through(depth_m, 300, even), depth_m)[15:-15, 15:-15]
    level = np.abs(np.log(depth_m) - np.median(np.log(depth_m)))[15:-15, 15:-15]
    assert inside.mean() < 0.03 * level.mean()


def test_depth_jumps_where_colours_do():
    relative = scene_relative()
    depth_m = metric_from(relative)
    guided = left(through(depth_m, 250, image_of(relative)), depth_m)
    blind = left(through(depth_m, 250, np.full((*SIZE, 3), 90, np.uint8)), depth_m)
    beside = np.zeros(SIZE, bool)
    beside[47:83, 27:63] = True
    beside[53:77, 33:57] = False
    assert guided[beside].mean() < 0.4 * blind[beside].mean()


def test_at_pixels_it_says_what_it_says_everywhere():
    relative = scene_relative()
    planes = through(metric_from(relative), 250, image_of(relative))
    assert planes.guide.grid == SIZE  # the image is smaller than the grid
    everywhere, distance = planes.everywhere()
    v, u = np.mgrid[5:85:9, 4:115:7]
    nowhere, own = np.full(u.size, -1), np.zeros(250, int)
    single = planes.at(u.ravel().astype(np.float32), v.ravel().astype(np.float32), nowhere, own)
    difference = np.abs(single - everywhere[v, u].ravel())
    assert np.median(difference) < 0.01  # neighbours are those of the cell instead of those of the pixel
    assert distance.shape == SIZE
    assert 0 < distance.min() < distance.max() < 40


def test_the_relief_that_a_network_sees_stays():
    """Between samples depth has a wave that they miss and the network has, at half the scale."""
    depth_m = slanted() * np.exp(0.1 * np.sin(np.arange(SIZE[1]) / 2))
    even = np.full((*SIZE, 3), 90, np.uint8)
    alone = left(through(depth_m, 60, even), depth_m).mean()
    with_network = through(depth_m, 60, even, log_depth=np.log(depth_m / 2).astype(np.float32))
    assert left(with_network, depth_m).mean() < 0.1 * alone


def test_a_sample_that_no_plane_foretells_is_doubted():
    depth_m, even = slanted(), np.full((*SIZE, 3), 90, np.uint8)
    u, v, z, _ = draw(depth_m, 200, np.random.default_rng(2))
    z[::20] *= 1.7
    planes = LocalPlanes.through(Guide.of(even), u, v, np.log(z))
    doubted = planes.doubted()
    assert doubted.trust[::20].max() < 0.1
    assert np.median(doubted.trust) > 0.4
    assert left(doubted, depth_m).mean() < 0.5 * left(planes, depth_m).mean()


@pytest.mark.parametrize("size", [(230, 411), (37, 411)])
def test_larger_images_are_seen_on_a_grid(size):
    u, v = np.meshgrid(np.arange(0, size[1], 9.0), np.arange(0, size[0], 7.0))
    guide = Guide.of(np.full((*size, 3), 90, np.uint8))
    planes = LocalPlanes.through(guide, u.ravel(), v.ravel(), (1 + 0.001 * u).ravel())
    log_depth, distance = planes.everywhere()
    assert log_depth.shape == distance.shape == guide.grid
    assert guide.grid[1] == PlaneSettings.grid_px
    columns, _ = guide.places()
    np.testing.assert_allclose(log_depth, 1 + 0.001 * columns, atol=0.01)


def test_one_sample_is_a_level_plane():
    planes = LocalPlanes.through(Guide.of(np.zeros((*SIZE, 3), np.uint8)), [30.0], [20.0], [0.7])
    np.testing.assert_allclose(planes.everywhere()[0], 0.7, atol=1e-5)
