import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli import pictures


def test_rows_of_different_widths_stack():
    wide = pictures.labelled_row(
        [("a", np.zeros((10, 30, 3), np.uint8)), ("b", np.zeros((20, 20, 3), np.uint8))]
    )
    narrow = pictures.labelled_row([("c", np.zeros((40, 20, 3), np.uint8))])
    picture = pictures.stacked([wide, narrow])
    assert picture.shape[1] == wide.shape[1] > narrow.shape[1]
    assert picture.shape[0] > wide.shape[0] + narrow.shape[0]


def test_picture_keeps_its_colors(tmp_path):
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[..., 0] = 200
    pictures.write_picture(tmp_path / "red.png", rgb)
    assert cv2.imread(str(tmp_path / "red.png"))[0, 0].tolist() == [0, 0, 200]


def test_picture_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        pictures.write_picture(tmp_path / "nowhere" / "red.png", np.zeros((4, 6, 3), np.uint8))


def test_samples_are_dots_of_their_depth_over_the_dimmed_image():
    rgb = np.full((60, 90, 3), 100, np.uint8)
    # The second pair lies on one pixel: the nearer one hides the other.
    u, v = np.array([10.4, 70, 70]), np.array([20.0, 50, 50])
    picture = pictures.samples_over_image(rgb, u, v, np.array([1.0, 4, 1]), 1.0, 4.0)
    far = pictures.samples_over_image(rgb, u[1:2], v[1:2], np.array([4.0]), 1.0, 4.0)
    near_colour, far_colour = picture[20, 10].astype(int), far[50, 70].astype(int)
    assert near_colour[0] > near_colour[2]  # red is near in turbo
    assert far_colour[0] < near_colour[0]
    np.testing.assert_array_equal(picture[50, 70], picture[20, 10])
    np.testing.assert_array_equal(picture[20, 70], (35, 35, 35))
    dots = (picture != 35).any(axis=2)
    assert 2 * 5 <= dots.sum() <= 2 * 9
