"""The package installs whole, and says truly what it needs."""

import ast
import importlib
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import setuptools

import e2e_depth_ros

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "e2e_depth_ros"

# How a distribution is imported, where that differs from its name.
IMPORTED_AS = {
    "opencv-python-headless": "cv2",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "rosbags-image": "rosbags",
    "scikit-learn": "sklearn",
}
# Imported only inside Blender's own interpreter.
BLENDER = {"bpy", "mathutils", "bmesh"}


@pytest.fixture(scope="module")
def manifest():
    return ET.parse(ROOT / "package.xml").getroot()  # noqa: S314 - our own file


@pytest.fixture(scope="module")
def setup_arguments():
    """What setup.py hands to setuptools."""
    captured = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, "setup", captured.update)
        runpy.run_path("setup.py")
    return captured


@pytest.fixture(scope="module")
def config():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def source_files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def run_time_nodes(node):
    """Walk a syntax tree, but not into `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from run_time_nodes(child)


def names_of(requirements):
    return {re.match(r"[\w.-]+", line).group() for line in requirements if line.strip()}


def test_versions_agree(manifest):
    changelog = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert manifest.findtext("version") == e2e_depth_ros.__version__
    assert re.search(r"^(\d+\.\d+\.\d+)", changelog, re.MULTILINE).group(1) == e2e_depth_ros.__version__


def test_package_xml_is_valid_for_ros_tools(manifest):
    catkin = pytest.importorskip("catkin_pkg.package", reason="catkin-pkg is not installed")
    warnings = []
    package = catkin.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.get_build_type() == "ament_python"
    assert manifest.get("format") == "3"


def test_each_licence_has_its_text(manifest):
    tags = {tag.text: tag.get("file") for tag in manifest.iter("license")}
    assert set(tags) == {"Apache-2.0", "GPL-2.0-or-later"}
    assert "Apache License" in (ROOT / tags["Apache-2.0"]).read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / tags["GPL-2.0-or-later"]).read_text(encoding="utf-8")


def test_entry_points_can_be_called(config):
    scripts = dict(
        line.replace(" ", "").split("=")
        for line in config["options.entry_points"]["console_scripts"].splitlines()
        if line
    )
    assert set(scripts) == {"e2e-depth", "depth_node", "mask_node", "demo_camera"}
    for target in scripts.values():
        module, function = target.split(":")
        if ".ros." in module:
            pytest.importorskip("rclpy", reason="ROS 2 is not installed")
        assert callable(getattr(importlib.import_module(module), function))


def test_executables_go_where_ros2_run_looks(config):
    assert config["install"]["install_scripts"] == "$base/lib/e2e_depth_ros"
    assert config["develop"]["script_dir"] == "$base/lib/e2e_depth_ros"


def test_colcon_can_read_the_setup_back(setup_arguments):
    """colcon evaluates the arguments as literals; an object among them breaks `colcon build`."""
    ast.literal_eval(repr(setup_arguments))
    assert isinstance(setup_arguments["python_requires"], str)


def test_every_import_is_declared(manifest, setup_arguments, config):
    requirements = names_of(config["options"]["install_requires"].splitlines())
    for extra in ("ros", "demo", "hub", "hypersim", "training", "evaluation"):
        requirements |= names_of(setup_arguments["extras_require"].get(extra, []))
    ros_packages = {tag.text for tag in manifest.iter("exec_depend")}
    declared = {IMPORTED_AS.get(name, name) for name in requirements} | ros_packages
    undeclared = {}
    for path in PACKAGE.rglob("*.py"):
        for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names}:
                known = sys.stdlib_module_names | declared | BLENDER | {"e2e_depth_ros"}
                if name not in known and PACKAGE / "training" / "blender" not in path.parents:
                    undeclared.setdefault(name, path.relative_to(ROOT).as_posix())
    assert undeclared == {}


def test_ros_is_never_a_hard_requirement(config):
    assert not {
        name for name in names_of(config["options"]["install_requires"].splitlines()) if "ros" in name
    }


def test_wheel_holds_every_file(tmp_path):
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    shutil.copytree(
        ROOT,
        tree,
        ignore=shutil.ignore_patterns(
            ".*", "test", "build", "install", "log", "demo_out", "*.egg-info", "__pycache__"
        ),
    )
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    result = subprocess.run(
        [*build, "--wheel-dir", wheels, tree], capture_output=True, text=True, check=False, timeout=200
    )
    assert result.returncode == 0, result.stderr
    packed = set(zipfile.ZipFile(next(wheels.glob("*.whl"))).namelist())
    expected = {path.relative_to(ROOT).as_posix() for path in source_files(PACKAGE)}
    share = f"e2e_depth_ros-{e2e_depth_ros.__version__}.data/data/share"
    expected |= {
        f"{share}/e2e_depth_ros/{path.relative_to(ROOT).as_posix()}"
        for folder in ("launch", "config")
        for path in source_files(ROOT / folder)
    }
    expected |= {
        f"{share}/e2e_depth_ros/package.xml",
        f"{share}/ament_index/resource_index/packages/e2e_depth_ros",
    }
    assert expected - packed == set()
