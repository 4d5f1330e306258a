import json

import numpy as np
import pytest
from rich.console import Console

from e2e_depth_ros.cli import alignment_timing, benchmark
from e2e_depth_ros.cli.alignment_timing import CLOUD, CORRECTION, SCALE_AND_SHIFT, time_alignment
from e2e_depth_ros.cli.arrivals import Arrival, print_arrivals, summarise_arrivals
from e2e_depth_ros.cli.benchmark_image import camera_image
from e2e_depth_ros.cli.main import main


def test_summary_separates_the_network_from_the_rest():
    laps = [{"read": 0.001 * k, "encode": 0.01, "denoise": 0.02, "decode": 0.03} for k in (1, 2, 3, 4, 90)]
    summary = benchmark.summarise(laps)
    stages = summary["stages_ms"]
    assert stages["read"] == {"fastest": 1.0, "median": 3.0, "p95": pytest.approx(72.8)}
    assert stages[benchmark.WITHOUT_NETWORK]["median"] == pytest.approx(3.0)
    assert stages[benchmark.TOTAL]["median"] == pytest.approx(63.0)
    assert summary["frames_per_s"] == pytest.approx(1 / 0.08)


def test_camera_image_is_the_same_each_time_and_has_structure():
    first, second = camera_image((36, 52)), camera_image((36, 52))
    assert first.shape == (36, 52, 3)
    np.testing.assert_array_equal(first, second)
    assert first.std() > 10


def test_report_as_json(tiny_checkpoint, capsys):
    model = str(tiny_checkpoint("embedded"))
    capsys.readouterr()
    assert main(["benchmark", "--model", model, "--size", "60x100", "--frames", "2", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["image size"] == [60, 100]
    assert report["memory MB"]["process, peak"] > 10
    cases = report["cases"]
    assert set(cases) >= {"network, depth", "network, depth and normals"}
    for case in cases.values():
        stages = {name: times["median"] for name, times in case["stages_ms"].items()}
        assert 0 < stages[benchmark.WITHOUT_NETWORK] < stages[benchmark.TOTAL]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_timed(tmp_path, capsys):
    assert main(["benchmark", "--json", str(tmp_path / "nowhere" / "x.json")]) == 2
    output = capsys.readouterr()
    assert "x.json: expected a file in a folder that exists" in output.err
    assert not output.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--compare", "--steps", "4", "--dtype", "float16"], "no --dtype and --steps with --compare, which"),
        (["--compare", "--dds", "9"], "expected no --dds with --compare, which passes over them"),
        (["--busy", "2", "--diffusers"], "expected --compare with --diffusers and --busy"),
        (
            ["--compare", "--engine", "onnx", "--dtypes", "float16"],
            "engine onnx runs in float16, got emb",
        ),
    ],
)
def test_options_that_would_be_passed_over_are_refused(options, message, capsys):
    assert main(["benchmark", *options]) == 2
    assert message in capsys.readouterr().err


def test_alignment_is_timed_from_the_cloud_on(tiny_checkpoint, capsys):
    model = str(tiny_checkpoint("embedded"))
    capsys.readouterr()
    command = ["benchmark", "--model", model, "--size", "60x100", "--frames", "2", "--points", "5000"]
    assert main(command) == 0
    assert "a cloud of 5,000 points, 500 samples" in capsys.readouterr().out
    laps = time_alignment((60, 100), 5000, range(2))
    assert len(laps) == 2
    for lap in laps:
        assert set(lap) == {CLOUD, SCALE_AND_SHIFT, CORRECTION}
        assert 0 < lap[SCALE_AND_SHIFT] < lap[CORRECTION]


def test_the_room_of_the_timed_alignment_is_closed():
    rng = np.random.default_rng(0)
    start, directions = np.array([0.5, -0.3, 2.0]), rng.normal(size=(200, 3))
    ends = start + directions * alignment_timing._distances(start, directions)[:, None]
    first, last = alignment_timing._ROOM_M
    on_wall = np.isclose(ends, first, atol=1e-9) | np.isclose(ends, last, atol=1e-9)
    assert on_wall.any(axis=1).all()
    assert ((ends >= first - 1e-9) & (ends <= last + 1e-9)).all()


def test_node_cases_time_every_message(tiny_checkpoint):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from e2e_depth_ros.cli.node_timing import SUBSCRIPTIONS, NodeTimer
    from e2e_depth_ros.model.estimator import Estimator
    from e2e_depth_ros.ros.outputs.depth_outputs import Output

    timer = NodeTimer(Estimator.load(tiny_checkpoint("embedded")), camera_image((60, 100)))
    few = timer.time(SUBSCRIPTIONS["depth/image_rect subscribed"], range(2))
    everything = timer.time(SUBSCRIPTIONS["every output subscribed"], range(3))
    assert len(everything) == 3
    for lap in everything:
        assert {output.value for output in Output} <= set(lap)
    assert Output.POINTS.value not in few[0]
    assert {"rectify", "align", Output.DEPTH.value} <= set(few[0])


def test_arrivals_are_condensed():
    """Period 0.1 s; each image is as old as told, the last is older than the two periods before it."""
    arrivals = [
        Arrival(stamp_s=received_s - age_s, received_s=received_s)
        for received_s, age_s in ((10.0, 0.15), (10.1, 0.1), (10.2, 0.19), (10.3, 0.12), (10.4, 0.25))
    ]
    summary = summarise_arrivals(arrivals)
    assert (summary["images"], summary["rate_hz"]) == (5, 10.0)
    assert summary["age_ms"] == {"median": 150.0, "p95": pytest.approx(238.0), "max": 250.0}
    assert summary["period_ms"]["max"] == pytest.approx(100.0)
    assert summary["older_than_two_periods"] == 1


def test_arrivals_are_told_in_80_columns():
    arrivals = [Arrival(0.1 * k, 0.1 * k + 0.05) for k in range(5)]
    summary = summarise_arrivals(arrivals)
    case = {**summary, "node": {"age_max_ms": 51.0}, "node_cpu_ms": 12.5}
    masks = {**summary, "masks": 3, "mask_cpu_share": 0.25, "rate_lost": 0.1}
    console = Console(width=80, record=True)
    print_arrivals(console, {"depth and normals": case, "with masks": masks})
    lines = console.export_text().splitlines()
    (row,) = [line for line in lines if line.startswith("│ depth")]
    assert row.replace("│", " ").split() == (
        ["depth", "and", "normals", "10.0", "50.0", "50.0", "100.0", "100.0", "0/5", "12.5"]
    )
    assert "depth and normals, the node itself: age_max_ms 51.0" in lines
    assert any("(3 masks): 10.0 depth images/s, 10.0% fewer; it took 25.0%" in line for line in lines)


def test_depth_over_dds_is_at_most_two_periods_old(tiny_checkpoint, capsys):
    """The node's own clock is exact; on arrival a loaded machine adds what it likes."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    model = str(tiny_checkpoint("embedded"))
    capsys.readouterr()
    arguments = ["--model", model, "--size", "60x100", "--frames", "1", "--dds", "20", "--json", "-"]
    assert main(["benchmark", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)["over DDS"]
    assert list(report) == ["depth", "depth and normals", "every output"]
    for case in report.values():
        assert case["images"] == 20
        assert case["age_ms"]["median"] > 0
        assert case["node_cpu_ms"] > 0
        node = case["node"]
        if node:  # a report a second
            assert 0 < node["age_since_arrival_max_ms"] <= 2 * node["worker_period_max_ms"]


@pytest.mark.parametrize("size", ["640", "0x640", "480x", "axb", "-4x5"])
def test_wrong_size_is_named(size, capsys):
    assert main(["benchmark", f"--size={size}"]) == 2
    assert size in capsys.readouterr().err
