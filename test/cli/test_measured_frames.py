"""Shards of renders are scored as frame folders are."""

import json
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.cli.measured_frames import find_measured_frames
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.shards import Sample, write_shard

CONSOLE = Console(quiet=True)


# Corners of boxes in the world, x y z, z up: what is around the camera, and what stands in it.
AROUND = {"room": [(-2.5, 0, 0), (2, 5, 2.6)], "corridor": [(-0.9, 0, 0), (1.1, 9, 2.4)]}
CRATE = np.array([(0.1, 3, 0), (0.6, 3.5, 0.8)])


def walk(kind, scene):
    """Three samples of a camera that goes ahead 3 cm and turns half a degree each time, in closed form."""
    samples = []
    for step in range(3):
        turn = np.deg2rad(0.5 * step - 4)
        eye = np.array([0.2, 1 + 0.03 * step, 1.3])
        right, ahead = np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0])
        axes = np.stack([right, [0, 0, -1], ahead])  # of the optical frame, in the world
        v, u = np.mgrid[0:48, 0:65]
        rays = np.stack([(u - 32) / 40, (v - 23.5) / 40, np.ones(u.shape)], axis=-1) @ axes
        with np.errstate(divide="ignore"):
            walls, crate = ((np.array(box)[:, None, None] - eye) / rays for box in (AROUND[kind], CRATE))
        out, enter, leave = walls.max(axis=0), crate.min(axis=0), crate.max(axis=0)
        is_crate = enter.max(axis=-1) < leave.min(axis=-1)
        # Rays are 1 long along the optical axis: how far one goes is the depth.
        depth_m = np.where(is_crate, enter.max(axis=-1), out.min(axis=-1))
        side = np.where(is_crate, enter.argmax(axis=-1), out.argmin(axis=-1))
        normals = -np.sign(rays) * np.eye(3)[side] @ axes.T
        image = 120 + 60 * np.sin(9 * (eye + rays * depth_m[..., None])) + 30 * is_crate[..., None]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = axes.T, eye
        arrays = (image.astype(np.uint8), depth_m.astype(np.float32), normals.astype(np.float32))
        samples.append(Sample(*arrays, 40.0, kind, scene, pose))
    return samples


@pytest.fixture(scope="module")
def samples():
    return [*walk("room", 1), *walk("corridor", 2)]


@pytest.fixture
def shards(tmp_path, samples):
    (tmp_path / "renders").mkdir()
    write_shard(tmp_path / "renders" / "shard-00000.npz", samples[:4])
    write_shard(tmp_path / "renders" / "shard-00001.npz", samples[4:])
    (tmp_path / "renders" / "statistics.json").write_text("{}")
    return tmp_path / "renders"


def test_images_of_shards_are_frames(shards, samples):
    frames = find_measured_frames([shards], CONSOLE)
    assert [frame.name for frame in frames][3:5] == ["renders/shard-00000/0003", "renders/shard-00001/0000"]
    assert [frame.group for frame in frames] == ["room"] * 3 + ["corridor"] * 3
    assert len({frame.sequence for frame in frames[:3]}) == 1
    assert len({frame.sequence for frame in frames}) == 2
    frame, sample = frames[4], samples[4]
    assert frame.read_image().shape == (48, 65, 3)
    known = sample.depth_m > 0
    np.testing.assert_allclose(frame.read_depth()[known], sample.depth_m[known], rtol=2e-4)
    assert np.isnan(frame.read_depth()[~known]).all()
    camera = frame.read_camera()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (sample.focal_px, sample.focal_px, 32, 23.5)
    np.testing.assert_array_equal(frame.read_pose(), sample.world_from_camera)


def test_points_of_consecutive_views_agree_in_the_world(shards):
    """Camera, depth and pose belong together: the floor stays where it is."""
    frames = find_measured_frames([shards], CONSOLE)[3:]  # of the corridor
    worlds = []
    for frame in frames:
        depth, camera, pose = frame.read_depth(), frame.read_camera(), frame.read_pose()
        x, y = camera.normalized_grid
        points = np.stack(np.broadcast_arrays(x * depth, y * depth, depth), axis=-1)
        worlds.append(points @ pose[:3, :3].T + pose[:3, 3])
    for first, second in pairwise(worlds):
        gap = np.linalg.norm(first - second, axis=-1)
        assert 0 < np.nanmedian(gap) < 0.1
    heights = np.concatenate([world[..., 2].ravel() for world in worlds])
    assert np.nanmin(heights) == pytest.approx(0, abs=2e-3)


def test_shards_are_scored_by_kind_of_scene(shards, tmp_path, tiny_checkpoint, capsys):
    out = tmp_path / "scores.json"
    assert main(["evaluate", str(shards), "--model", str(tiny_checkpoint()), "--json", str(out)]) == 0
    scores = json.loads(out.read_text())
    assert set(scores["sets"]) == {"room", "corridor"}
    assert len(scores["frames"]) == 6
    assert "edge_f1" in scores["sets"]["room"]
    assert scores["normals"]["room"]["pixels"] > 100
    assert "mean of frames" in capsys.readouterr().out


def test_flicker_of_a_path_is_told(shards, tmp_path, tiny_checkpoint, capsys):
    out = tmp_path / "scores.json"
    command = ["evaluate", str(shards), "--flicker", "--model", str(tiny_checkpoint()), "--json", str(out)]
    assert main(command) == 0
    flicker = json.loads(out.read_text())["flicker"]
    assert 0 < flicker["constant"]["mean"] < 0.1
    assert {one["pairs"] for one in flicker["constant"]["sequences"].values()} == {2}
    assert "mean of sequences" in capsys.readouterr().out


def test_what_is_no_shard_is_refused_in_one_line(tmp_path, shards, capsys):
    (tmp_path / "shard-00000.npz").write_bytes(b"PK")
    for given, message in ((tmp_path / "shard-00000.npz", "whole shard"), (tmp_path / "x.npz", "not exist")):
        assert main(["evaluate", str(given)]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    with pytest.raises(InvalidInputError, match="two of one name"):
        find_measured_frames([shards, shards], CONSOLE)


def test_a_bag_is_scored_as_frames_are(samples, tmp_path):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    from helpers import bags

    write_shard(tmp_path / "shard-00000.npz", samples[:3])
    renders = find_measured_frames([tmp_path], CONSOLE)
    views = [(frame.read_image(), frame.read_depth()) for frame in renders]
    path = bags.write_bag(tmp_path / "drive", bags.rgbd_messages(views, renders[0].read_camera()))
    found = find_measured_frames([path], CONSOLE)
    assert [frame.name for frame in found] == ["drive/000000", "drive/000001", "drive/000002"]
    for frame, (rgb, depth_m) in zip(found, views, strict=True):
        np.testing.assert_array_equal(frame.read_image(), rgb)
        np.testing.assert_array_equal(frame.read_depth(), depth_m)
    assert [frame.name for frame in find_measured_frames([path / "drive.mcap"], CONSOLE)][2] == "drive/000002"


def test_of_a_bag_with_two_cameras_one_is_named(samples, tmp_path, capsys):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    from helpers import bags

    write_shard(tmp_path / "shard-00000.npz", samples[:4])
    renders = find_measured_frames([tmp_path], CONSOLE)
    camera = renders[0].read_camera()
    views = [(frame.read_image(), frame.read_depth()) for frame in renders]
    both = [*bags.rgbd_messages(views[:2], camera, "left"), *bags.rgbd_messages(views[2:], camera, "right")]
    path = bags.write_bag(tmp_path / "drive", sorted(both, key=lambda one: one[1]))
    found = find_measured_frames([path], CONSOLE, topics={"image": "/right/image_raw"})
    for frame, (rgb, depth_m) in zip(found, views[2:], strict=True):
        np.testing.assert_array_equal(frame.read_image(), rgb)
        np.testing.assert_array_equal(frame.read_depth(), depth_m)
    assert main(["evaluate", str(path)]) == 2
    assert "/left/image_raw, /right/image_raw" in capsys.readouterr().err
    without = [one for one in both if one[0] != "/left/depth" or one[1] == bags.START_NS]
    some = str(bags.write_bag(tmp_path / "some", sorted(without, key=lambda one: one[1])))
    assert main(["evaluate", some, "--image", "/left/image_raw", "--align", "--samples", "random:50"]) == 0
    told = "1 of 2 images of some/left/image_raw are left out: the nearest measurement is 0.0333 s away"
    assert told in capsys.readouterr().err
    out, picture = tmp_path / "scores.json", tmp_path / "rows.jpg"
    assert main(["gallery", str(path), "--image", "/left/image_raw", "--output", str(picture)]) == 0
    named = ["--image", "/left/image_raw", "--json", str(out)]
    assert main(["evaluate", str(path), *named, "--align", "--samples", "random:50"]) == 0
    told = json.loads(out.read_text())["methods"]["correction"]["frames"]
    assert list(told) == ["drive/left/image_raw/000000", "drive/left/image_raw/000001"]


def test_topics_without_a_bag_are_refused(shards, capsys):
    assert main(["evaluate", str(shards), "--image", "/left/image_raw", "--sparse-depth", "/left/depth"]) == 2
    error = capsys.readouterr().err
    assert "expected a bag with --image, --sparse-depth, got" in error
    assert error.count("\n") == 1


def test_alignment_is_scored_on_renders_too(shards, tmp_path):
    out = tmp_path / "scores.json"
    assert main(["evaluate", str(shards), "--align", "--samples", "random:50", "--json", str(out)]) == 0
    told = json.loads(out.read_text())["methods"]["correction"]
    assert set(told["sets"]) == {"room", "corridor"}
    assert all(scores["abs_rel"] < 0.1 for scores in told["frames"].values())
