"""Whether the camera moved: by the network's map, and by the image where the map doesn't tell."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.tracking.glimpse import CUT, STILL, Glimpse
from helpers.known_scene import SIZE, as_map, scene_relative


def stripes(shift):
    u = np.arange(SIZE[1]) + shift
    grey = (120 + 80 * np.sin(u / 6)).astype(np.uint8)
    return np.broadcast_to(grey[None, :, None], (*SIZE, 3)).copy()


def glimpse(relative=None, image=None):
    return Glimpse.of(as_map(scene_relative() if relative is None else relative), image)


def test_the_map_tells_of_motion():
    still, moved = glimpse(), glimpse(scene_relative() + 0.005)
    assert still.change_since(still, 1.0) == 0
    assert moved.change_since(still, 1.0) == pytest.approx(0.5, abs=0.01)
    assert moved.change_since(still, 2.0) == pytest.approx(0.25, abs=0.01)
    assert glimpse(1 - scene_relative()).change_since(still, 1.0) > CUT


def test_the_image_tells_of_motion_that_the_map_does_not():
    before = glimpse(image=stripes(0))
    assert glimpse(image=stripes(0)).change_since(before, 1.0) < STILL
    assert glimpse(image=stripes(3)).change_since(before, 1.0) == 1.0  # never another scene by itself
    assert glimpse().change_since(before, 1.0) == 0  # without an image the map alone counts
    assert glimpse(image=stripes(3)).change_since(glimpse(), 1.0) == 0


def test_frames_that_cannot_be_compared_count_as_moved():
    unknown = np.full(SIZE, np.nan)
    assert glimpse(unknown).change_since(glimpse(), 1.0) == 1.0
    other = Glimpse.of(as_map(scene_relative()[:40]), None)
    assert other.change_since(glimpse(), 1.0) == 1.0
