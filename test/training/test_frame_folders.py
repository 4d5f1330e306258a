"""Own frames become a data set by one line in a recipe."""

import re

import cv2
import numpy as np
import pytest

from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.frames import write_frame as write_whole_frame
from e2e_depth_ros.training.datasets import Source
from e2e_depth_ros.training.frame_folders import FrameFolderViews
from e2e_depth_ros.training.recipe import SourceRecipe

SIZE = (48, 64)
CAMERA = Camera(SIZE, np.array([[60.0, 0, 30], [0, 55, 22], [0, 0, 1]]))
NORMAL = np.array([0.2, -0.6, -0.77]) / np.linalg.norm([0.2, -0.6, -0.77])


def plane():
    """Depth of a slanted plane 2 m away, with a hole."""
    x, y = (np.broadcast_to(grid, SIZE).astype(np.float64) for grid in CAMERA.normalized_grid)
    depth = -2 / (NORMAL[0] * x + NORMAL[1] * y + NORMAL[2])
    depth[(depth < 0) | (depth > 50)] = np.nan
    depth[20:24, 30:34] = np.nan
    return depth


@pytest.fixture
def folder(tmp_path):
    rgb = np.full((*SIZE, 3), (200, 60, 30), np.uint8)
    depth = plane()
    write_whole_frame(tmp_path / "all" / "kitchen" / "0001", rgb, CAMERA, depth_m=depth)
    points = np.array([[0, 0, 2.0], [0.5, 0.1, 3.0]])
    write_whole_frame(tmp_path / "all" / "street" / "0001", rgb, CAMERA, points_m=points)
    cv2.imwrite(str(tmp_path / "all" / "unmeasured.png"), rgb)
    return tmp_path / "all"


def test_dense_depth_brings_normals(folder):
    views = FrameFolderViews(folder)
    assert (len(views), views.scenes) == (2, ["kitchen", "street"])
    view = views[0]
    assert tuple(view.image[0, 0]) == (200, 60, 30)
    expected = np.nan_to_num(plane()).astype(np.float32)
    np.testing.assert_allclose(view.depth_m, expected, rtol=1e-6)
    known = np.linalg.norm(view.normals, axis=-1) > 0
    assert known.mean() > 0.5
    assert not known[expected == 0].any()
    np.testing.assert_allclose(view.normals[known] @ NORMAL, 1, atol=1e-4)


def test_points_bring_depth_where_they_appear(folder):
    view = FrameFolderViews(folder)[1]
    assert np.argwhere(view.depth_m).tolist() == [[22, 30], [24, 40]]
    np.testing.assert_allclose(view.depth_m[view.depth_m > 0], [2, 3])
    assert not view.normals.any()


def test_a_recipe_takes_them_by_one_line(folder):
    source = Source(SourceRecipe(frames=str(folder), limit=1))
    assert (len(source), source.contents) == (1, {"kitchen": 1})
    assert source.view(0).depth_m.shape == SIZE


def test_images_without_measurements_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InvalidInputError, match="without measurements"):
        FrameFolderViews(tmp_path)
    with pytest.raises(InvalidInputError, match="nowhere"):
        FrameFolderViews(tmp_path / "nowhere")


@pytest.fixture
def recording(tmp_path):
    """A recording of an RGB-D camera that looks at the plane, and at nothing in its second image."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    from helpers import bags

    views = [
        (np.full((*SIZE, 3), (200, 60, 30 + index), np.uint8), depth_m)
        for index, depth_m in enumerate((plane(), np.full(SIZE, np.nan), plane()))
    ]
    return bags.write_bag(tmp_path / "drive", bags.rgbd_messages(views, CAMERA))


def test_a_bag_is_a_source_by_one_line(recording):
    source = Source(SourceRecipe(bag=str(recording)))
    assert (len(source), source.contents) == (3, {"drive": 3})
    view = source.view(2)
    assert tuple(view.image[0, 0]) == (200, 60, 32)
    np.testing.assert_allclose(view.depth_m, np.nan_to_num(plane()).astype(np.float32), rtol=1e-6)
    known = np.linalg.norm(view.normals, axis=-1) > 0
    assert known.mean() > 0.5
    np.testing.assert_allclose(view.normals[known] @ NORMAL, 1, atol=1e-4)


def test_an_image_without_a_measurement_stops_no_training(recording):
    view = Source(SourceRecipe(bag=str(recording))).view(1)
    assert not view.depth_m.any()
    assert not view.normals.any()
    assert tuple(view.image[0, 0]) == (200, 60, 31)


def test_a_broken_image_of_a_bag_stops_no_training(tmp_path, caplog):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    from helpers import bags

    views = [(np.full((*SIZE, 3), 30 + index, np.uint8), plane()) for index in range(3)]
    messages = bags.rgbd_messages(views, CAMERA)
    path = bags.write_bag(tmp_path / "drive", messages, storage="sqlite3")
    stamp = np.uint32(divmod(bags.START_NS, 10**9)).tobytes()
    bags.spoil(path, "/camera/image_raw", b"\x00\x01\x00\x00" + stamp)  # cut short behind it
    source = Source(SourceRecipe(bag=str(path)))
    told = rf"cannot read /camera/image_raw, recorded at {bags.START_NS} ns in .*drive: .*; the next image"
    assert source.view(0).image[0, 0, 0] == 31
    assert re.search(told, caplog.text)
    assert source.view(2).image[0, 0, 0] == 32


def write_frames(folder, count):
    for index in range(count):
        rgb = np.full((*SIZE, 3), 30 + index, np.uint8)
        write_whole_frame(folder / str(index), rgb, CAMERA, depth_m=plane())


def test_a_broken_frame_stops_no_training(tmp_path, caplog):
    write_frames(tmp_path, 4)
    image = tmp_path / "0" / "image.png"
    image.write_bytes(image.read_bytes()[:100])
    np.savez(tmp_path / "3" / "depth.npz", depth=np.full(SIZE, np.nan, np.float32))
    source = Source(SourceRecipe(frames=str(tmp_path)))
    assert source.view(0).image[0, 0, 0] == 31
    assert re.search(r"cannot read .*image.png: .*; the next image takes its place", caplog.text)
    assert source.view(3).image[0, 0, 0] == 31  # after the last comes the first, which is broken
    assert re.search(r"expected measurements of .* in .*3.*found none; the next", caplog.text)


def test_where_all_frames_are_broken_there_is_nothing_to_learn(tmp_path):
    write_frames(tmp_path, 2)
    for index in range(2):
        (tmp_path / str(index) / "image.png").write_bytes(b"no picture")
    with pytest.raises(
        InvalidInputError, match=r"expected an image that can be read, got none: .*0.image.png"
    ):
        Source(SourceRecipe(frames=str(tmp_path))).view(0)


def test_topics_of_a_bag_are_looked_for_or_named(recording):
    recipe = SourceRecipe(bag=str(recording), image="/camera/image_raw", sparse_depth="/camera/nowhere")
    with pytest.raises(InvalidInputError, match="on /camera/nowhere as sparse_depth"):
        Source(recipe)
    with pytest.raises(InvalidInputError, match="every_seconds: expected bag beside it"):
        SourceRecipe(frames="some", every_seconds=1)
