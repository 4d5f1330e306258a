"""CONTRIBUTING.md and docs/architecture.md name what is there: files, names and the ways through them."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from e2e_depth_ros.model.estimator import Estimator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "e2e_depth_ros"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
HAS_SCENES = (ROOT / "scenes").exists()  # the source archive of the robot's package comes without them


def paths_in(text):
    """What stands in backticks and looks like a path of this repository."""
    found = re.findall(r"`([\w.-]+(?:/[\w.-]*)+)`", text)
    return [path for path in found if HAS_SCENES or not path.startswith("scenes/")]


def numbered(heading):
    """The items of the list below a heading of the architecture."""
    text = ARCHITECTURE.partition(f"**{heading}:**")[2].partition("\n\n**")[0]
    return re.findall(r"^\d+\. (.*?)(?=\n\d+\. |\Z)", text, re.MULTILINE | re.DOTALL)


def definitions(path):
    """The names that a module binds at its top."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_files_that_contributing_names_exist():
    paths = paths_in(CONTRIBUTING)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_names_are_where_contributing_says():
    found = re.findall(r"`(\w+)`\s+in\s+`([\w./]+\.py)`", CONTRIBUTING)
    assert len(found) >= 10
    found = [(name, path) for name, path in found if HAS_SCENES or not path.startswith("scenes/")]
    assert [(name, path) for name, path in found if name not in definitions(ROOT / path)] == []


def test_commands_of_contributing_exist():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    made = set(re.findall(r"^make ([a-z]+)", CONTRIBUTING, re.MULTILINE))
    assert {"lint", "test", "matrix", "docs"} <= made <= targets
    modules = re.findall(r"python -m (e2e_depth_ros[\w.]+)", CONTRIBUTING)
    assert len(modules) == 4
    assert all(importlib.util.find_spec(module) for module in modules)
    markers = re.findall(r'^  "(\w+): ', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert [marker for marker in markers if marker not in CONTRIBUTING] == []


def test_files_that_the_architecture_names_exist():
    paths = paths_in(ARCHITECTURE)
    assert len(paths) > 30
    assert [path for path in paths if not ((PACKAGE / path).exists() or (ROOT / path).exists())] == []


def test_a_checkpoint_goes_through_the_files_that_the_architecture_lists():
    items = numbered("A checkpoint id, to an estimator")
    assert len(items) <= 9
    listed = [path for item in items for path in re.findall(r"`(model/[\w/]+\.py)`", item)]
    codes = set()

    def note(frame, event, _):  # called very often: no more than this
        if event == "call":
            codes.add(frame.f_code)

    Estimator.load("embedded", engine="torch", device="cpu")  # the second time nothing is imported
    sys.setprofile(note)
    try:
        Estimator.load("embedded", engine="torch", device="cpu")
    finally:
        sys.setprofile(None)
    paths = {Path(code.co_filename) for code in codes}
    ran = {path.relative_to(PACKAGE).as_posix() for path in paths if PACKAGE / "model" in path.parents}
    # Other families are asked whether it is theirs, and the words for device and dtype are read first.
    others = ("consistency", "geowizard", "genpercept", "lotus")
    aside = {"model/placement.py", *(f"model/families/{name}.py" for name in others)}
    aside |= {"model/upsampling.py", "model/threads.py", "model/sampling.py"}
    aside |= {path for path in ran if path.startswith("model/engine/")}  # told of in the first step
    assert [path for path in ran if path not in aside and path not in listed] == []
    others = {"model/engine/onnx_runtime.py", "model/engine/openvino_runtime.py"}  # for exported models
    assert [path for path in listed if path not in ran | others] == []


def test_an_image_goes_through_few_files():
    steps = numbered("An image, from subscription to points")
    assert 5 <= len(steps) <= 15
    assert all(paths_in(step) for step in steps)


def test_threads_have_the_names_that_the_architecture_gives():
    table = ARCHITECTURE.partition("| thread |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \|.*`(ros/[\w/]+\.py)` \|$", table, re.MULTILINE)
    assert len(rows) == 3
    for name, path in rows:
        assert f'name="{name}"' in (PACKAGE / path).read_text(encoding="utf-8")


def test_the_picture_shows_every_output():
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output

    picture = ET.parse(ROOT / "docs" / "data_flow.svg").getroot()  # noqa: S314 - our own file
    words = {
        word for text in picture.iter("{http://www.w3.org/2000/svg}text") for word in text.text.split(", ")
    }
    assert {output.value for output in Output} <= words
    assert {"depth/image_rect", "points", "confidence/image"} == {output.value for output in METRIC_OUTPUTS}
