"""Which pixel a place falls on."""

from __future__ import annotations

import numpy as np

from e2e_depth_ros.core.pixels import are_inside, cells_of, nearest_pixels

SIZE = (3, 5)
U_PX = np.array([-0.5, 4.49, 4.5, 2.0, 2.0, np.nan, 1.4])
V_PX = np.array([0.0, 2.49, 1.0, -0.51, 2.5, 1.0, 1.6])


def test_an_image_reaches_half_a_pixel_beyond_the_centres_of_its_pixels() -> None:
    assert are_inside(U_PX, V_PX, SIZE).tolist() == [True, True, False, False, False, False, True]


def test_each_place_inside_falls_on_a_pixel_and_what_is_beside_on_the_border() -> None:
    known = np.isfinite(U_PX)
    rows, columns = nearest_pixels(U_PX[known], V_PX[known], SIZE)
    assert rows.tolist() == [0, 2, 1, 0, 2, 2]
    assert columns.tolist() == [0, 4, 4, 2, 2, 1]


def test_cells_are_square_and_numbered_row_by_row() -> None:
    u_px, v_px = np.array([-0.5, 0.9, 1.0, 4.4, 0.0, 2.0]), np.array([0.0, 0.9, 0.0, 0.0, 1.0, 2.49])
    assert cells_of(u_px, v_px, width=4, columns=4).tolist() == [0, 0, 1, 4, 5, 12]
    assert cells_of(u_px, v_px, width=8, columns=4).tolist() == [0, 0, 0, 2, 0, 6]
