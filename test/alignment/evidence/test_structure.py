"""An image that shows nothing tells nothing of depth."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.structure import lacks_structure

SIZE = (480, 640)


def noisy(level, std):
    noise = std * np.random.default_rng(0).standard_normal((*SIZE, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("level", "std"), [(0, 0), (12, 4), (128, 40), (255, 10)])
def test_covers_darkness_and_noise_show_nothing(level, std):
    assert lacks_structure(noisy(level, std))


def test_a_white_wall_in_uneven_light_shows_something():
    shading = np.linspace(-10, 10, SIZE[1])[:, None]
    assert not lacks_structure(noisy(200 + shading, 3))
