"""Who reads a module finds its tests: test/<room>/<folder>/test_<module>.py."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "e2e_depth_ros"
ROOMS = ("alignment", "model", "ros")

ELSEWHERE = {
    "alignment/evidence/doubt.py": "declares alone; tracking/test_doubts.py tells what comes of it",
    "model/engine/engine.py": "declares alone; test_graph_engine.py and test_torch_engine.py test engines",
    "model/network_facts.py": "declares alone; test_graph_engine.py compares what implements it",
    "model/task.py": "names alone",
    "ros/declarations/image_parameters.py": "declares alone; test_depth_parameters.py checks what all share",
    "ros/declarations/mask_parameters.py": "declares alone; test_depth_parameters.py checks what all share",
    "ros/deployment/launch_end.py": "needs launch: test_launch.py and test_real_launch.py see what it ends",
    "ros/inputs/kept_messages.py": "needs DDS: over_dds/test_calibrations_over_dds.py",
    "ros/inputs/subscriptions.py": "needs DDS: over_dds/test_told_over_dds.py",
    "ros/nodes/mask_node.py": "needs DDS: over_dds/test_mask_over_dds.py",
    "ros/outputs/publishers.py": "needs DDS: over_dds/test_metric_over_dds.py",
    "ros/running/quiet_start.py": "needs a process of its own: nodes/test_executables.py",
    "ros/telling/silence.py": "names alone",
}
"""Modules without a test file of their own, and why."""


def modules() -> list[str]:
    paths = (path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))
    return sorted(path.relative_to(PACKAGE).as_posix() for path in paths if path.name != "__init__.py")


def mirror(module: str) -> Path:
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_has_a_test_file_or_a_reason(room: str) -> None:
    own = [module for module in modules() if module.startswith(f"{room}/")]
    assert len(own) > 10
    assert [module for module in own if not mirror(module).exists() and module not in ELSEWHERE] == []


def test_reasons_are_of_modules_without_a_test_file_and_name_tests_that_are_there() -> None:
    assert [module for module in ELSEWHERE if module not in modules() or mirror(module).exists()] == []
    for reason in ELSEWHERE.values():
        names = [word.rstrip(";:,") for word in reason.split() if word.rstrip(";:,").endswith(".py")]
        assert all(list(TESTS.rglob(name)) for name in names), reason


def test_helpers_come_by_name() -> None:
    """From `helpers`, which pyproject.toml puts on the path: not by a path that a test makes up."""
    ways = ("spec_from_file_" + "location", "sys.path." + "insert")
    found = [path for path in TESTS.rglob("*.py") if any(way in path.read_text("utf-8") for way in ways)]
    assert found == []
