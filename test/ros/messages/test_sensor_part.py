"""CameraInfo of a part of the sensor: by its definition, and as drivers have it."""

import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.sensor_part import SensorPart

SENSOR = (1000, 1600)
K = np.array([[1300.0, 0, 815], [0, 1310, 488], [0, 0, 1]])
P = np.array([[1200.0, 0, 790], [0, 1200, 505], [0, 0, 1]])
WHOLE = Camera(SENSOR, K, projection=P)
HALF = SensorPart(binning=(2, 2))
REGION = SensorPart((200, 400), (600, 800))
BINNED_REGION = SensorPart((200, 400), (600, 800), (2, 2))
PARTS = {"half": HALF, "region": REGION, "binned region": BINNED_REGION}


def published(part, camera=WHOLE):
    """K and P of the published image, from what its pixels are: the mean of `binning` others."""
    height, width = part.roi or camera.size
    size = height // part.binning[0], width // part.binning[1]
    change = np.diag([1 / part.binning[1], 1 / part.binning[0], 1.0])
    change[0, 2] = (-part.offset[1] + 0.5) / part.binning[1] - 0.5
    change[1, 2] = (-part.offset[0] + 0.5) / part.binning[0] - 0.5
    return Camera(size, change @ camera.intrinsics, projection=change @ camera.projection)


def assert_same(camera, expected):
    assert camera.size == expected.size
    np.testing.assert_allclose(camera.intrinsics, expected.intrinsics, atol=1e-9)
    np.testing.assert_allclose(camera.projection, expected.projection, atol=1e-9)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_by_the_definition(part):
    expected = published(part)
    assert_same(part.seen_by(WHOLE, expected.size), expected)
    assert_same(part.seen_by(WHOLE, None), expected)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_of_the_published_image_already(part):
    """Width, height, K and P are those of the image: K's principal point is in its middle."""
    expected = published(part)
    assert_same(part.seen_by(expected, expected.size), expected)


def test_the_size_of_the_region_and_binning_besides():
    region = published(REGION)
    assert_same(BINNED_REGION.seen_by(region, (300, 400)), published(BINNED_REGION))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_size_of_the_image_and_k_of_the_sensor_is_refused(part):
    size = published(part).size
    if part is REGION:
        # Of a region in the middle, the sensor's principal point would be on its border.
        part = SensorPart((200, 400), size)
    with pytest.raises(InvalidInputError, match=r"size of the whole sensor.*principal points \(815, 488\)"):
        part.seen_by(Camera(size, K, projection=P), size)


@pytest.mark.parametrize(
    "part", [HALF, REGION, SensorPart(binning=(4, 4))], ids=["half", "region", "quarter"]
)
def test_the_size_of_the_sensor_and_k_of_the_image_is_refused(part):
    image = published(part)
    wrong = Camera(SENSOR, image.intrinsics, projection=image.projection)
    with pytest.raises(InvalidInputError, match="expected K and P of the whole sensor"):
        part.seen_by(wrong, image.size)


def test_where_p_says_otherwise_there_is_doubt():
    image = published(HALF)
    with pytest.raises(InvalidInputError, match="without doubt"):
        HALF.seen_by(Camera(image.size, image.intrinsics, projection=P), image.size)


def test_a_region_near_the_corner_of_the_sensor_leaves_doubt():
    """K of 140, 60 in an image of 300 x 200 that begins at 50, 40: of the sensor or of the image?"""
    part = SensorPart((40, 50), (200, 300))
    matrix = np.array([[300.0, 0, 140], [0, 300, 90], [0, 0, 1]])
    with pytest.raises(InvalidInputError, match="without doubt"):
        part.seen_by(Camera((200, 300), matrix), (200, 300))


def test_pixels_that_are_left_over_are_cut_off():
    """An image of 7 x 5 binned by 2 has 3 x 2 pixels, each of just 2 x 2."""
    camera = Camera((5, 7), np.array([[6.0, 0, 3], [0, 6, 2], [0, 0, 1]]))
    seen = HALF.seen_by(camera, (2, 3))
    np.testing.assert_allclose(seen.intrinsics, [[3, 0, 1.25], [0, 3, 0.75], [0, 0, 1]])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (SensorPart((0, 1500), (100, 200)), "part within"),
        (SensorPart((0, 0), (2000, 2000)), "part within"),
        (SensorPart(binning=(2**32 - 1, 1)), "part within|at least"),
        (SensorPart(binning=(1001, 1)), "part within|at least"),
        (
            SensorPart((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1)),
            "part within|at least",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_impossible_parts_are_refused(part, message):
    with pytest.raises(InvalidInputError, match=message):
        part.seen_by(WHOLE, (100, 200))


def test_the_whole_sensor_is_left_alone():
    assert SensorPart().seen_by(WHOLE, (3, 4)) is WHOLE
    assert SensorPart((0, 0), SENSOR).seen_by(WHOLE, SENSOR).size == SENSOR


@pytest.mark.parametrize(("factor", "like"), [(0.5, "160x120"), (2.0, "639x479")])
def test_k_and_p_of_another_resolution_are_refused(factor, like):
    """The image was resized, and width and height with it; K and P were not."""
    size = (240, 320)
    cx, cy = factor * 162 - 0.5, factor * 118 - 0.5
    camera = Camera(size, np.array([[factor * 300, 0, cx], [0, factor * 295, cy], [0, 0, 1]]))
    with pytest.raises(InvalidInputError, match=f"images of 320x240, .* images of about {like}: was the"):
        SensorPart().seen_by(camera, size)
    crop = Camera(size, np.array([[300.0, 0, 256], [0, 295, 72], [0, 0, 1]]))
    assert SensorPart().seen_by(crop, size) is crop  # or a lens that was shifted
