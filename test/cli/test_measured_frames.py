"""Shards of renders are scored as frame folders are."""

import json
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.cli.measured_frames import find_measured_frames
from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.training.ray_caster import render_path
from e2e_depth_ros.training.shards import write_shard

CONSOLE = Console(quiet=True)


@pytest.fixture(scope="module")
def samples():
    def path(seed, kind):
        rng = np.random.default_rng(seed)
        return render_path(rng, (48, 65), frames=3, step_m=0.03, turn_deg=0.5, kind=kind)

    return [*path(1, "room"), *path(2, "corridor")]


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
