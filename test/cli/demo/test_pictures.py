import numpy as np

from e2e_depth_ros.cli.demo import pictures


def test_side_view_shows_the_cloud_and_hides_what_is_behind():
    rng = np.random.default_rng(0)
    far = np.c_[rng.uniform(-1, 1, (20000, 2)), np.full(20000, 3.0)].astype(np.float32)
    near = (far * 0.5 + (0, 0, 1.3)).astype(np.float32)  # parallel, in front of the far one's middle
    cloud = pictures.ColoredCloud(
        np.concatenate([near, far]),
        np.concatenate([np.full((20000, 3), (255, 0, 0)), np.full((20000, 3), (0, 255, 0))]).astype(np.uint8),
    )
    view = pictures.view_from_side(cloud, (90, 140), turn_deg=0.0)
    assert view.shape == (90, 140, 3)
    assert (view == (255, 0, 0)).all(axis=2).sum() > 500
    assert (view == (0, 255, 0)).all(axis=2).sum() > 500
    np.testing.assert_array_equal(view[45, 70], (255, 0, 0))


def test_side_view_of_an_empty_cloud_is_background():
    empty = pictures.ColoredCloud(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))
    assert len(np.unique(pictures.view_from_side(empty, (20, 30)))) == 1


def test_rows_of_different_widths_stack():
    wide = pictures.labelled_row(
        [("a", np.zeros((10, 30, 3), np.uint8)), ("b", np.zeros((20, 20, 3), np.uint8))]
    )
    narrow = pictures.labelled_row([("c", np.zeros((40, 20, 3), np.uint8))])
    picture = pictures.stacked([wide, narrow])
    assert picture.shape[1] == wide.shape[1] > narrow.shape[1]
    assert picture.shape[0] > wide.shape[0] + narrow.shape[0]


def test_ply_reads_back(tmp_path):
    points = np.array([[1, 2, 3], [-4, 5.5, 6]], np.float32)
    rgb = np.array([[1, 2, 3], [253, 254, 255]], np.uint8)
    pictures.write_ply(tmp_path / "cloud.ply", pictures.ColoredCloud(points, rgb))
    header, body = (tmp_path / "cloud.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 2\n" in header
    vertices = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_array_equal(vertices["xyz"], points)
    np.testing.assert_array_equal(vertices["rgb"], rgb)


def test_picture_keeps_its_colors(tmp_path):
    import cv2

    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[..., 0] = 200
    pictures.write_picture(tmp_path / "red.png", rgb)
    assert cv2.imread(str(tmp_path / "red.png"))[0, 0].tolist() == [0, 0, 200]
