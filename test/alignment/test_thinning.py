"""Which of several measurements stay."""

import numpy as np
import pytest

from e2e_depth_ros.alignment.samples import Samples
from e2e_depth_ros.alignment.thinning import one_of_each_pixel
from e2e_depth_ros.core.pixels import nearest_pixels


def test_of_several_measurements_of_a_pixel_the_median_stays():
    u = [3.2, 5.0, 2.9, 3.0, 5.0]
    v = [7.0, 8.0, 7.1, 6.8, 9.0]
    samples = Samples(u, v, [9.0, 1.0, 2.0, 4.0, 3.0], dropped={"same_pixel": 1})
    rows, columns = nearest_pixels(samples.u_px, samples.v_px, (10, 12))
    samples = samples.select(one_of_each_pixel(12 * rows + columns, samples.depth_m), "same_pixel")

    assert sorted(zip(samples.u_px.tolist(), samples.depth_m.tolist(), strict=True)) == [
        (pytest.approx(3.0), 4.0),
        (5.0, 1.0),
        (5.0, 3.0),
    ]
    assert samples.dropped == {"same_pixel": 3}


def test_different_pixels_stay_as_they_are():
    samples = Samples([3.0, 4.0], [2.0, 2.0], [1.0, 1.0])

    once = one_of_each_pixel(np.array([27, 28]), samples.depth_m)

    assert samples.select(once, "same_pixel") is samples
