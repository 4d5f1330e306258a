"""The README says what the code does."""

import re
from pathlib import Path

from e2e_depth_ros.cli.main import SUBCOMMANDS
from e2e_depth_ros.ros.parameter_docs import parameters_markdown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_parameter_table_is_the_declaration():
    """Else replace it by the output of `python -m e2e_depth_ros.ros.parameter_docs depth markdown`."""
    table = re.search(r"<!-- parameters -->\n(.*?)<!-- /parameters -->", README, re.DOTALL).group(1)
    assert table.strip() == parameters_markdown("depth").strip()


def test_parameter_table_of_masks_is_the_declaration():
    text = (ROOT / "docs" / "masks.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- parameters -->\n(.*?)<!-- /parameters -->", text, re.DOTALL).group(1)
    assert table.strip() == parameters_markdown("mask").strip()


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


def test_ci_runs_what_the_readme_tells():
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test " in README
