import numpy as np

from e2e_depth_ros.cli.demo import clouds


def test_side_view_shows_the_cloud_and_hides_what_is_behind():
    rng = np.random.default_rng(0)
    far = np.c_[rng.uniform(-1, 1, (20000, 2)), np.full(20000, 3.0)].astype(np.float32)
    near = (far * 0.5 + (0, 0, 1.3)).astype(np.float32)  # parallel, in front of the far one's middle
    cloud = clouds.ColoredCloud(
        np.concatenate([near, far]),
        np.concatenate([np.full((20000, 3), (255, 0, 0)), np.full((20000, 3), (0, 255, 0))]).astype(np.uint8),
    )
    view = clouds.view_from_side(cloud, (90, 140), turn_deg=0.0)
    assert view.shape == (90, 140, 3)
    assert (view == (255, 0, 0)).all(axis=2).sum() > 500
    assert (view == (0, 255, 0)).all(axis=2).sum() > 500
    np.testing.assert_array_equal(view[45, 70], (255, 0, 0))


def test_side_view_of_an_empty_cloud_is_background():
    empty = clouds.ColoredCloud(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))
    assert len(np.unique(clouds.view_from_side(empty, (20, 30)))) == 1


def test_ply_reads_back(tmp_path):
    points = np.array([[1, 2, 3], [-4, 5.5, 6]], np.float32)
    rgb = np.array([[1, 2, 3], [253, 254, 255]], np.uint8)
    clouds.write_ply(tmp_path / "cloud.ply", clouds.ColoredCloud(points, rgb))
    header, body = (tmp_path / "cloud.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 2\n" in header
    vertices = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_array_equal(vertices["xyz"], points)
    np.testing.assert_array_equal(vertices["rgb"], rgb)
