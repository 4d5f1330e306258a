"""Photographs as training images: views of panoramas, and a teacher that is the mean of many passes."""

import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_depth_ros.training.shards import read_shard

PHOTOGRAPHS = Path(__file__).parents[2] / "examples" / "photographs"
SIZE = (60, 80)


@pytest.fixture(scope="module", autouse=True)
def _scripts_find_each_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PHOTOGRAPHS)
        yield


def view(**changes):
    from panoramas import View

    level = {"size": SIZE, "field_of_view_deg": 80.0, "yaw_deg": 0.0, "pitch_deg": 0.0, "roll_deg": 0.0}
    return View(**{**level, "exposure": 0.4, "gamma": 2.2, **changes})


def panorama_with_spot(longitude_deg, latitude_deg, rows=256):
    """Grey, with a white spot of two degrees; latitude up, longitude to the right of the middle."""
    panorama = np.full((rows, 2 * rows, 3), 0.2, np.float32)
    place = (longitude_deg / 360 + 0.5) * 2 * rows - 0.5, (0.5 - latitude_deg / 180) * rows - 0.5
    cv2.circle(panorama, tuple(round(each) for each in place), 2, (3.0, 3.0, 3.0), -1)
    return panorama


def spot(image):
    rows, columns = np.nonzero(image[..., 1] > 200)
    return rows.mean(), columns.mean()


@pytest.mark.parametrize(
    ("camera", "longitude_deg", "latitude_deg"),
    [
        ({}, 20, 10),
        ({"yaw_deg": 70}, 90, -10),
        ({"yaw_deg": 180}, -165, 5),  # across the seam
        ({"pitch_deg": -30}, 0, -30),
    ],
)
def test_a_direction_is_seen_where_a_pinhole_camera_has_it(camera, longitude_deg, latitude_deg):
    from panoramas import look

    seen = view(**camera)
    turned, up = np.radians([(longitude_deg - seen.yaw_deg + 180) % 360 - 180, latitude_deg])
    x, y, z = np.cos(up) * np.sin(turned), -np.sin(up), np.cos(up) * np.cos(turned)
    pitch = np.radians(seen.pitch_deg)
    y, z = np.cos(pitch) * y + np.sin(pitch) * z, -np.sin(pitch) * y + np.cos(pitch) * z
    row, column = spot(look(panorama_with_spot(longitude_deg, latitude_deg), seen))

    assert column == pytest.approx((SIZE[1] - 1) / 2 + seen.focal_px * x / z, abs=1)
    assert row == pytest.approx((SIZE[0] - 1) / 2 + seen.focal_px * y / z, abs=1)


def test_a_roll_turns_the_image_about_its_middle():
    from panoramas import look

    upright = spot(look(panorama_with_spot(25, 0), view()))
    rolled = spot(look(panorama_with_spot(25, 0), view(roll_deg=30)))
    middle = (SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2

    assert np.hypot(*np.subtract(rolled, middle)) == pytest.approx(upright[1] - middle[1], abs=1)
    assert abs(rolled[0] - upright[0]) > 8


def test_a_lamp_does_not_ring():
    from panoramas import look

    panorama = panorama_with_spot(0, 0)
    panorama[panorama > 1] = 5000.0
    image = look(panorama, view())
    grey = int(image[2, 2, 1])

    assert image.max() == 255
    assert image.min() > 0.8 * grey


@pytest.mark.parametrize("brightness", [0.001, 1.0, 300.0])
def test_the_exposure_is_the_brightness_of_the_median(brightness):
    from panoramas import expose

    light = np.random.default_rng(3).uniform(0.5, 1.5, (*SIZE, 3)).astype(np.float32) * brightness
    image = expose(light, 0.4, 2.2)

    assert np.median(image) == pytest.approx(0.4 * 255, abs=4)


def test_light_of_less_than_nothing_is_dark():
    from panoramas import expose

    light = np.ones((*SIZE, 3), np.float32)
    light[0, 0] = -0.01
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = expose(light, 0.4, 2.2)

    assert image[0, 0].max() == 0
    assert image[1:].min() == image[1:].max() > 0


def test_views_are_a_robots_cameras():
    from panoramas import draw_view

    rng = np.random.default_rng(1)
    views = [draw_view(rng, (SIZE, SIZE[::-1])) for _ in range(300)]

    assert {one.size for one in views} == {SIZE, SIZE[::-1]}
    assert np.mean([one.pitch_deg for one in views]) < -5
    assert all(58 <= one.field_of_view_deg <= 95 for one in views)


def test_a_teacher_has_the_surfaces_of_all_looks_and_the_outlines_of_the_finest():
    from teacher import Teacher

    from e2e_depth_ros.model.estimator import Estimator

    images = [np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8) for seed in (1, 2)]
    images = [cv2.GaussianBlur(image, (0, 0), 3) for image in images]
    taught = Teacher(["embedded", "embedded"], [96, 64], power=1.0)(images)

    def look(image, resolution, turn):
        estimator = Estimator.load(
            "embedded", engine="torch", processing_resolution=resolution, upsampling="bilinear"
        )
        depth = estimator.estimate(np.ascontiguousarray(image[:, ::turn])).depth.values[:, ::turn]
        low, high = np.quantile(depth, [0.02, 0.98])
        return (depth - low) / (high - low)

    assert taught.shape == (2, *SIZE)
    assert taught.min() > 0
    for image, depth in zip(images, taught, strict=True):
        looks = [look(image, resolution, turn) for resolution in (64, 96) for turn in (1, -1)]
        mean, finest = np.mean(looks, axis=0), looks[2]
        assert np.abs(blurred(depth, 8) - blurred(mean, 8) - 0.1).max() < 0.02
        fine, softer = ((one - finest) - blurred(one - finest, 1) for one in (depth, mean))
        assert np.std(fine) < 0.5 * np.std(softer)


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def test_the_command_writes_shards_and_leaves_those_that_are_there(tmp_path):
    panorama = tmp_path / "a_room.hdr"
    assert cv2.imwrite(str(panorama), panorama_with_spot(20, 0, rows=64))
    command = [
        *(sys.executable, str(PHOTOGRAPHS / "teach.py"), str(panorama), "--output", str(tmp_path / "shards")),
        *("--resolutions", "64", "--views", "5", "--power", "0.8"),
    ]
    subprocess.run(command, check=True, timeout=300)
    shard = tmp_path / "shards" / "a_room.npz"
    samples = read_shard(shard)
    written = shard.stat().st_mtime_ns
    subprocess.run(command, check=True, timeout=300)

    assert len(samples) == 5
    assert all(sample.depth_m.min() > 0.09 for sample in samples)
    assert not any(sample.normals.any() for sample in samples)
    assert samples.kinds == {"photograph": 5}
    assert shard.stat().st_mtime_ns == written


def test_what_is_no_panorama_is_refused_by_name(tmp_path):
    picture = tmp_path / "square.png"
    assert cv2.imwrite(str(picture), np.zeros((40, 40, 3), np.uint8))
    command = [sys.executable, str(PHOTOGRAPHS / "teach.py"), str(picture), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode != 0
    assert "twice as wide as high" in done.stderr
    assert "square.png" in done.stderr
