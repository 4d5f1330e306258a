"""The README says what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.cli.main import SUBCOMMANDS
from e2e_depth_ros.ros.deployment.declaration_docs import (
    STRUCTS,
    brief_markdown,
    outputs_markdown,
    parameters_markdown,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("node", "page"), [("depth", "README.md"), ("mask", "docs/masks.md")])
def test_brief_tables_of_parameters_are_the_declarations(node, page):
    """Else replace it: `python -m e2e_depth_ros.ros.deployment.declaration_docs NODE brief`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    table = re.search(r"<!-- parameters -->\n(.*?)<!-- /parameters -->", text, re.DOTALL).group(1)
    assert table == brief_markdown(node)


@pytest.mark.parametrize("node", STRUCTS)
def test_tables_of_all_parameters_are_the_declarations(node):
    """Else replace it: `python -m e2e_depth_ros.ros.deployment.declaration_docs NODE markdown`."""
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    table = re.search(rf"<!-- {node} -->\n(.*?)<!-- /{node} -->", page, re.DOTALL).group(1)
    assert table == parameters_markdown(node)


def test_table_of_topics_holds_the_outputs_as_they_are_declared():
    """Else replace its rows: `python -m e2e_depth_ros.ros.deployment.declaration_docs depth outputs`."""
    rows = [row for row in README.splitlines(keepends=True) if row.startswith("| out | `")]
    assert "".join(row for row in rows if "`/diagnostics`" not in row) == outputs_markdown("depth")


def test_every_command_is_listed():
    listed = re.findall(
        r"^\| `(\w+)", README.partition("## The command line")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert sorted(listed) == sorted(SUBCOMMANDS)


def test_files_that_it_links_to_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    # The source archive of the robot's package comes without the scenes.
    assert [link for link in missing if (ROOT / "scenes").exists() or not link.startswith("scenes/")] == []


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_example_ends_in_a_coloured_cloud(tmp_path):
    """It is run as it stands there."""
    data = pytest.importorskip("skimage.data")
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", README, re.DOTALL).group(1)
    assert len(code.splitlines()) <= 15
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "FRESH" in result.stdout or "DEGRADED" in result.stdout
    (path,) = tmp_path.iterdir()
    header, body = path.read_bytes().split(b"end_header\n")
    vertices = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rgb, _, disparity = data.stereo_motorcycle()
    assert f"element vertex {rgb[..., 0].size}\n".encode() in header
    np.testing.assert_array_equal(vertices["rgb"], rgb.reshape(-1, 3))
    known = np.isfinite(disparity).ravel()
    truth_m = 192.031 / (disparity.ravel()[known] + 31.086)
    assert np.median(np.abs(vertices["xyz"][known, 2] / truth_m - 1)) < 0.2
