"""The pages of the documentation name what is there."""

import argparse
import math
import re
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.alignment import AlignmentState, align
from e2e_depth_ros.alignment.fitting.verdict import FitCase

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("examples/*/*.md"), ROOT / "CONTRIBUTING.md"])
CHECKPOINTS = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
METRIC_DEPTH = (DOCS / "metric_depth.md").read_text(encoding="utf-8")


def cells(heading):
    """The rows of the table whose first column has this heading, each as its cells."""
    table = METRIC_DEPTH.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_files_that_pages_link_to_exist(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    # The source archive of the robot's package comes without the scenes.
    assert [link for link in missing if (ROOT / "scenes").exists() or "../scenes/" not in link] == []


def test_parameters_and_topics_of_metric_depth_are_the_nodes():
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS, Parameters
    from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS

    words = set(re.findall(r"`([a-z0-9_]+)`", METRIC_DEPTH))
    named = words & set(DECLARATIONS)
    assert {"sparse_extrinsics", "camera_height", "fixed_scale", "publish_held", "hold_duration"} <= named
    # Words of several parts name a parameter, a topic or key of the status, a frame or a package.
    others = {"frame_id", "camera_info", "sparse_points", "sparse_depth", "tf2_ros", "depth_image_proc"}
    keys = {"samples_used", "samples_dropped", "inlier_ratio", "shift_m", "age_s", "camera_from_points"}
    assert {word for word in words if "_" in word} - named == others | keys
    assert {output.value for output in METRIC_OUTPUTS} <= set(re.findall(r"`([\w/]+)`", METRIC_DEPTH))
    defaults = Parameters()
    assert f"`fresh_duration` ({defaults.fresh_duration:g} s)" in METRIC_DEPTH
    assert f"`hold_duration` ({defaults.hold_duration:g} s)" in METRIC_DEPTH


def options_of(parser):
    """Every option of a command line, those of its commands among them."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options_of(command)


def test_sampling_of_checkpoints_is_chosen_as_they_say():
    from e2e_depth_ros.cli.main import build_parser

    told = set(re.findall(r"`(--[a-z-]+)[ `]", CHECKPOINTS))
    assert {"--steps", "--ensemble", "--noise-seed", "--carry", "--domain"} <= told
    assert told <= set(options_of(build_parser()))
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.declarations.depth_parameters import DECLARATIONS

    names = re.findall(r"`([a-z]+_[a-z_]+)`", CHECKPOINTS)
    assert len(names) >= 4
    assert set(names) <= set(DECLARATIONS)


def test_states_and_keys_of_the_status_are_all_told():
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.telling.status import status_from_alignment

    assert [row[0].strip("`") for row in cells("state")] == ["fresh", "degraded", "held", "lost"]
    assert {state.value for state in AlignmentState} == {"fresh", "degraded", "held", "lost"}
    relative = np.linspace(0, 1, 60 * 80, dtype=np.float32).reshape(60, 80)
    alignment = align(relative, [10, 70, 30, 90], [5, 50, 40, 5], [1.1, 1.8, 1.7, 2.0])
    status = status_from_alignment("depth", alignment)
    told = set(re.findall(r"`([\w/]+)`", " ".join(row[0] for row in cells("key"))))
    keys = {entry.key for entry in status.values}
    assert {key for key in keys if "/" in key} == {"samples_dropped/outside_image"}
    assert told == {key for key in keys if "/" not in key} | {"samples_dropped/REASON"}
    assert not math.isnan(alignment.scale)


def test_every_reason_has_its_advice():
    told = " ".join(row[0] for row in cells("reason"))
    for case in FitCase:
        if case not in {FitCase.WELL_POSED, FitCase.NO_SAMPLES, FitCase.ONE_SAMPLE}:
            start = case.value.partition(":")[0]
            assert start in told, case
    assert "one sample" in told
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.alignment.shortfall import shortfall

    for reason in ("behind_camera", "too_far", "too_near", "outside_image", "masked"):
        words = shortfall("sparse_points", {reason: 5}, ("sparse_min_depth", "sparse_max_depth"))
        what = re.split(r"all (?:5 samples )?", words)[-1].partition(":")[0]
        assert what in told, words
    for source, words in (("sparse_points", "0 points"), ("sparse_depth", "no pixel holds a measurement")):
        assert shortfall(source, {}) == f"{source}: {words}"
        assert words in told
