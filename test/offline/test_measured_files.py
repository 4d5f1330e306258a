import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.offline.measured_files import find_pairs, read_depth_png, read_samples_csv


def test_depth_png_is_metres_of_its_unit(tmp_path):
    values = np.array([[0, 1000, 2500], [65535, 1, 5000]], np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), values)
    expected = np.array([[np.nan, 1, 2.5], [np.nan, 0.001, 5]], np.float32)
    np.testing.assert_allclose(read_depth_png(tmp_path / "d.png"), expected, rtol=1e-6)
    np.testing.assert_allclose(read_depth_png(tmp_path / "d.png", 1 / 5000), expected / 5, rtol=1e-6)


def test_a_picture_is_no_depth(tmp_path):
    cv2.imwrite(str(tmp_path / "d.png"), np.ones((4, 6, 3), np.uint8))
    with pytest.raises(InvalidInputError, match="16 bits"):
        read_depth_png(tmp_path / "d.png")


def test_samples_are_the_first_three_columns(tmp_path):
    (tmp_path / "s.csv").write_text("u,v,depth,id\n# by hand\n3.5,2,1.25,7\n\n0,1,8e-1,8\n")
    np.testing.assert_allclose(read_samples_csv(tmp_path / "s.csv"), [[3.5, 2, 1.25], [0, 1, 0.8]])


@pytest.mark.parametrize("line", ["1,2", "1,two,3", "1,2,", "u,v,depth", "1;2;3"])
def test_a_wrong_line_is_named(tmp_path, line):
    (tmp_path / "s.csv").write_text(f"1,2,3\n{line}\n")
    with pytest.raises(InvalidInputError, match=f"in line 2 of .*, got {line}"):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize("line", ["1;2;3", "1\t2\t3", "1 2 3", "-1,2,3m", ".5,,1"])
def test_a_first_line_of_numbers_is_never_taken_for_names(tmp_path, line):
    (tmp_path / "s.csv").write_text(f"{line}\n4,5,6\n")
    with pytest.raises(InvalidInputError, match="in line 1 of"):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff1,2,3\r\n",  # as spreadsheets write it
        "\ufeffu,v,depth\r\n1,2,3\r\n",
        "# of the ToF\n# u, v of its corners\n\nu_px,v_px,depth_m\n1,2,3\n",
        "u [px], v [px], depth [m]\n  \n 1 , 2 , 3 \n,,\n",
        "x,y,depth\n1,2,3\n",
        '"col","row","z"\n"1","2","3"\n',
    ],
)
def test_one_sample_is_read_however_it_is_written(tmp_path, text):
    (tmp_path / "s.csv").write_bytes(text.encode())
    assert read_samples_csv(tmp_path / "s.csv").tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "names",
    [
        "depth,u,v",
        "# v,u,depth",
        "v_px,u_px,depth_m",
        "row,col,depth",
        "y,x,depth",
        "x,y,z",
        "u,v,id,depth",
        "u;v;depth",
        "u,v,confidence",
        "x,y,disparity,depth_confidence",
    ],
)
def test_other_columns_are_refused(tmp_path, names):
    (tmp_path / "s.csv").write_text(f"{names}\n1,2,3\n")
    with pytest.raises(InvalidInputError, match=f"expected the columns u,v,depth in .*, got {names}"):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize(
    "name",
    [
        "depth_mm",
        "depth [mm]",
        "z(cm)",
        "Depth in centimeters",
        "depth_km",
        "depth_ft",
        "z_inches",
        "kilometres",
    ],
)
def test_depth_in_other_units_is_refused(tmp_path, name):
    (tmp_path / "s.csv").write_text(f"u,v,{name}\n7,5,4211\n")
    with pytest.raises(
        InvalidInputError, match=r"expected (depth in metres|the columns u,v,depth) in .*, got"
    ):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize("name", ["depth_m", "depth [m]", "z (metres)", "depth in meters", "Depth"])
def test_depth_in_metres_is_read(tmp_path, name):
    (tmp_path / "s.csv").write_text(f"# u,v,{name},note in mm\n7,5,4.5,1\n")
    assert read_samples_csv(tmp_path / "s.csv").tolist() == [[7, 5, 4.5]]


@pytest.mark.parametrize(
    "text", ["u,v,depth\n7,5,4,211\n", "u,v,depth,\n7,5,4,211\n", "u,v,depth\n7,5,1,234.5\n"]
)
def test_more_columns_than_names_are_told(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=r"expected 3 columns in line 2 of .*, as many as have names"):
        read_samples_csv(tmp_path / "s.csv")


def test_underscores_are_no_part_of_a_number(tmp_path):
    (tmp_path / "s.csv").write_text("7,5,2_1234\n")
    with pytest.raises(InvalidInputError, match=r"expected u,v,depth in line 1 of .*, got 7,5,2_1234"):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize("text", ["7,5,4,211\n", "# u,v,depth\n7,5,4,211\n", "7,0,5,5,4,2\n"])
def test_decimal_commas_are_told(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=r"expected decimal points in .* than 3 columns"):
        read_samples_csv(tmp_path / "s.csv")


@pytest.mark.parametrize("text", ["# u,v,depth,id\n7,5,4,211\n", "7,5,4.0,211\n", "7,5,4,\n", "7,5,4,car\n"])
def test_further_columns_are_no_decimals(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    assert read_samples_csv(tmp_path / "s.csv").tolist() == [[7, 5, 4]]


def test_what_is_no_table_is_told(tmp_path):
    (tmp_path / "s.csv").write_text('u,v,depth\n"' + "1" * 200_000)
    with pytest.raises(InvalidInputError, match="cannot read line 2 of"):
        read_samples_csv(tmp_path / "s.csv")


def test_tum_pairs_are_the_nearest_within_20_ms(tmp_path):
    (tmp_path / "rgb.txt").write_text("# time name\n1.00 rgb/a.png\n1.10 rgb/b.png\n1.30 rgb/c.png\n")
    (tmp_path / "depth.txt").write_text(
        "1.015 depth/0.png\n0.99 depth/1.png\n1.11 depth/2.png\n1.25 depth/3.png\n"
    )
    pairs = find_pairs(tmp_path)
    assert [(one.name, one.depth_path.name) for one in pairs] == [("a", "1.png"), ("b", "2.png")]
    assert pairs[0].unit_m == 1 / 5000
    assert pairs[0].camera((4, 6)) is None


def test_tum_lists_lead_nowhere_else(tmp_path):
    (tmp_path / "rgb.txt").write_text("1.00 ../secret.png\n")
    (tmp_path / "depth.txt").write_text("1.0 depth/0.png\n")
    with pytest.raises(InvalidInputError, match="expected a path below"):
        find_pairs(tmp_path)


def test_scannet_pairs_have_the_intrinsics_of_the_colour_image(tmp_path):
    for name in ("color", "depth", "intrinsic"):
        (tmp_path / name).mkdir()
    for index in (0, 2, 10):
        (tmp_path / "color" / f"{index}.jpg").touch()
        (tmp_path / "depth" / f"{index}.png").touch()
    (tmp_path / "color" / "11.jpg").touch()  # without depth
    matrix = np.diag([50.0, 52, 1, 1])
    np.savetxt(tmp_path / "intrinsic" / "intrinsic_depth.txt", np.eye(4))
    np.savetxt(tmp_path / "intrinsic" / "intrinsic_color.txt", matrix)
    pairs = find_pairs(tmp_path)
    assert [one.name for one in pairs] == ["0", "2", "10"]
    camera = pairs[0].camera((30, 44))
    assert (camera.size, camera.fx, camera.fy) == ((30, 44), 50, 52)


def test_other_folders_have_no_pairs(tmp_path):
    (tmp_path / "color").mkdir()
    assert find_pairs(tmp_path) == []
