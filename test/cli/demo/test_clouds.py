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
