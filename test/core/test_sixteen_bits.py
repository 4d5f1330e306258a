import numpy as np
import pytest

from e2e_depth_ros.core.sixteen_bits import bits_in_use, eight_bits_from_sixteen


def samples(largest, size=(50, 60)):
    return np.linspace(0, largest, size[0] * size[1]).reshape(size).astype(np.uint16)


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(0, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (4096, 14), (16384, 16), (65535, 16)],
)
def test_the_largest_sample_tells_the_bits(largest, bits):
    assert bits_in_use(samples(largest)) == bits


def test_bits_never_become_fewer():
    assert bits_in_use(samples(200), least=12) == 12
    assert bits_in_use(samples(60000), least=12) == 16
    assert bits_in_use(samples(60000), least=16) == 16
    assert bits_in_use(samples(1000), least=9) == 10


def test_hot_pixels_do_not_count():
    image = samples(4000, (200, 200))
    image[0, :4] = 65535
    assert bits_in_use(image) == 12
    image[0, :5] = 65535
    assert bits_in_use(image) == 16


def test_nothing_needs_no_bits():
    assert bits_in_use(np.zeros((0, 4), np.uint16)) == 8


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1, 3)])
def test_the_largest_number_becomes_white(shape):
    values = np.array([0, 2048, 4095], np.uint16).reshape(shape)
    np.testing.assert_array_equal(eight_bits_from_sixteen(values, 12).ravel(), [0, 128, 255])
    assert eight_bits_from_sixteen(values, 12).shape[: len(shape)] == shape
    np.testing.assert_array_equal(eight_bits_from_sixteen(values, 10).ravel(), [0, 255, 255])
