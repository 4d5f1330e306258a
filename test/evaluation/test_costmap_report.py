"""Costmaps of frames: samples make them metric, filters make their clouds."""

import json

import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.core.calibration_file import write_calibration
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.cloud_filters import CloudFilterSettings
from e2e_depth_ros.core.frames import find_frames, write_frame
from e2e_depth_ros.core.ground_plane import GroundPlane
from e2e_depth_ros.core.maps import DepthKind, DepthMap
from e2e_depth_ros.evaluation.alignment import Relative
from e2e_depth_ros.evaluation.cloud_variants import DEFAULTS, VARIANTS, CloudVariant, cloud_points
from e2e_depth_ros.evaluation.costmap import CostmapSettings, compare_costmaps, costmap_from_points
from e2e_depth_ros.evaluation.costmap_report import evaluate_costmap
from e2e_depth_ros.evaluation.protocol_samples import SamplingProtocol

SIZE = (120, 160)
CAMERA = Camera(SIZE, np.array([[130.0, 0, 78], [0, 124, 55], [0, 0, 1]]))
HEIGHT_M = 0.7


def room_depth():
    """A level floor, a wall 5 m ahead, and a box on the floor 2 m ahead."""
    _, y = (np.broadcast_to(grid, SIZE).astype(np.float64) for grid in CAMERA.normalized_grid)
    depth = np.minimum(np.where(y > 0.01, HEIGHT_M / np.maximum(y, 0.01), np.inf), 5)
    depth[30:98, 60:90] = np.minimum(depth[30:98, 60:90], 2)
    return depth


@pytest.fixture
def folder(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    write_frame(tmp_path / "rooms" / "0", rgb, CAMERA, depth_m=room_depth())
    write_frame(tmp_path / "walls" / "0", rgb, CAMERA, depth_m=np.full(SIZE, 3.0))
    return tmp_path


def network(_rgb):
    """Says the depth of the room up to a scale and a shift."""
    values = ((room_depth() - 1) / 6).astype(np.float32)
    return Relative(DepthMap(values, np.ones(SIZE, bool), DepthKind.AFFINE_INVARIANT))


def evaluated(folder, **variants):
    return evaluate_costmap(
        find_frames([folder]),
        network,
        protocol=SamplingProtocol.parse("random:300"),
        settings=CostmapSettings(tolerance=0.1),
        variants=variants or {DEFAULTS: CloudVariant()},
    )


def test_a_perfect_network_gives_the_true_costmap(folder):
    report = evaluated(folder)
    assert report.groups == ["rooms"]
    assert report.without_floor == ["walls/0"]
    assert report.failures == {}
    scores = report.scores(DEFAULTS)
    assert scores["precision"] > 0.99
    assert scores["recall"] > 0.95
    assert scores["blocked"] == 0
    assert scores["nearest_error_m"] < 0.1


def test_a_calibration_of_another_size_is_told(folder):
    write_calibration(folder / "rooms" / "0" / "camera_info.yaml", CAMERA.resized((60, 80)))
    assert "image's size (120, 160) in rooms/0, got (60, 80)" in evaluated(folder).failures["rooms/0"]


@pytest.mark.parametrize(("level_ground", "blocked"), [(False, True), (True, False)])
def test_a_floor_that_floats_blocks_the_way_until_it_is_levelled(level_ground, blocked):
    depth = room_depth()
    y = np.broadcast_to(CAMERA.normalized_grid[1], SIZE)
    floating = np.where(np.abs(depth * y - HEIGHT_M) < 1e-6, 0.65 * depth, depth)  # a quarter of a metre high
    ground = GroundPlane(np.array([0, 1.0, 0]), HEIGHT_M)
    true, predicted = (
        costmap_from_points(
            cloud_points(
                DepthMap(values.astype(np.float32), np.ones(SIZE, bool), DepthKind.METRIC),
                np.ones(SIZE, np.float32),
                CAMERA,
                ground,
                CloudVariant(level_ground=level),
            ),
            ground,
            CostmapSettings(),
        )
        for values, level in ((depth, False), (floating, level_ground))
    )
    scores = compare_costmaps(predicted, true, CostmapSettings()).scores()
    assert (scores["blocked"] > 0.3) == blocked
    assert scores["blocked"] < 0.01 or blocked


def test_filters_leave_points_out(folder):
    near = CloudVariant(CloudFilterSettings(max_depth=1.0))
    counts = evaluated(folder, all=CloudVariant(), near=near).counts
    assert counts["near"]["rooms"].predicted == 0 < counts["all"]["rooms"].predicted
    assert counts["near"]["rooms"].true == counts["all"]["rooms"].true


def test_command_prints_tables_and_draws_maps(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    scores, maps = tmp_path / "scores.json", tmp_path / "maps.png"
    command = ["evaluate", str(folder), "--costmap", "--json", str(scores), "--maps", str(maps)]
    assert main([*command, "--obstacle-max-range", "6", "--samples", "random:300"]) == 0
    output = capsys.readouterr()
    assert "1 of 2 frames show no floor" in output.err
    content = json.loads(scores.read_text())
    assert set(content["variants"]) == set(VARIANTS)
    assert content["settings"]["obstacle_max_range"] == 6
    assert all(name in output.out for name in ("preci-", "blocked", "level_ground"))
    assert "…" not in output.out
    assert maps.stat().st_size > 1000


def test_command_refuses_what_shows_no_floor(folder, capsys):
    assert main(["evaluate", str(folder / "walls"), "--costmap"]) == 2
    assert "floor in view" in capsys.readouterr().err
