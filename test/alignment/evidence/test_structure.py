"""A covered lens shows nothing; whatever lies before an open one does."""

import cv2
import numpy as np
import pytest

from e2e_depth_ros.alignment.evidence.structure import (
    change_of_image,
    contrasts,
    seen_coarsely,
    shows_nothing,
)

SIZE = (120, 168, 3)


def noise(mean, std):
    values = np.random.default_rng(0).normal(mean, std, SIZE)
    return np.clip(values, 0, 255).astype(np.uint8)


def things():
    image = np.full(SIZE, (90, 110, 120), np.uint8)
    cv2.rectangle(image, (30, 40), (80, 100), (150, 140, 120), -1)
    cv2.line(image, (0, 110), (167, 90), (60, 60, 70), 3)
    return image


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(SIZE, np.uint8),
        np.full(SIZE, 255, np.uint8),
        noise(4, 5),
        noise(128, 70),
        np.repeat(noise(128, 70)[..., :1], 3, axis=2),
    ],
    ids=["black", "white", "cap", "noise", "grey noise"],
)
@pytest.mark.parametrize("quality", [None, 80])
def test_covers_and_noise_show_nothing(image, quality):
    if quality:
        image = cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR
        )
    assert shows_nothing(image, seen_coarsely(image))


@pytest.mark.parametrize("light", [1.0, 0.2])
@pytest.mark.parametrize("grain", [0.0, 6.0])
def test_things_are_seen_in_the_dark_and_through_noise(light, grain):
    rng = np.random.default_rng(1)
    image = np.clip(light * things() + rng.normal(0, grain, SIZE), 0, 255).astype(np.uint8)
    assert not shows_nothing(image, seen_coarsely(image))


def test_too_small_an_image_has_the_benefit_of_the_doubt():
    image = np.zeros((24, 30, 3), np.uint8)
    assert not shows_nothing(image, seen_coarsely(image))


def test_images_of_one_view_change_by_their_noise_alone():
    rng = np.random.default_rng(0)
    exposures = [
        of(np.clip(gain * things() + rng.normal(0, 3, SIZE), 0, 255).astype(np.uint8))
        for gain in (1.0, 1.0, 1.3)
    ]
    moved = of(np.roll(things(), 8, axis=1))
    assert change_of_image(exposures[0], exposures[1]) < 0.03
    assert change_of_image(exposures[0], exposures[2]) < 0.03
    assert change_of_image(exposures[0], moved) > 0.2
    assert change_of_image(exposures[0], moved[1:]) == 1.0
    assert change_of_image(*(of(np.full(SIZE, grey, np.uint8)) for grey in (0, 255))) == 0


def of(image):
    return contrasts(seen_coarsely(image))
