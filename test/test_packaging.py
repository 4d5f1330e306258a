"""The package installs whole, and says truly what it needs."""

import ast
import importlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import setuptools

import e2e_depth_ros

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "e2e_depth_ros"
# A distribution of its own.
SCENES = "scenes/"

# How a distribution is imported, where that differs from its name.
IMPORTED_AS = {
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "opencv-python-headless": "cv2",
    "pyyaml": "yaml",
    "rerun-sdk": "rerun",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
# What running things leaves in the source tree, as .gitignore says.
NOT_SOURCE = (".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "*.pyc")
NOT_SOURCE += ("build", "install", "log", "demo_out", "out", "PKG-INFO")


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


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory):
    """A copy of what git has, or of what an unpacked archive had."""
    tree = tmp_path_factory.mktemp("source") / "tree"
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_SOURCE))
        return tree
    for name in filter(None, listing.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def unpacked(source_tree, tmp_path_factory):
    """The source distribution, built from a copy and unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    shutil.copytree(source_tree, tree)
    build = "import sys, setuptools.build_meta; setuptools.build_meta.build_sdist(sys.argv[1])"
    run([sys.executable, "-c", build, str(folder)], tree)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked")  # noqa: S202 - our own archive
    (content,) = (folder / "unpacked").iterdir()
    return content


@pytest.fixture(scope="module")
def metadata(unpacked):
    return message_from_string((unpacked / "PKG-INFO").read_text(encoding="utf-8"))


def run(command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=280)
    assert result.returncode == 0, result.stdout + result.stderr


def relative_files(folder):
    """The source files below, by their path from there; without what setuptools adds to an archive."""
    paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path.as_posix() for path in paths if not any(part.endswith(".egg-info") for part in path.parts)}


def source_files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def run_time_nodes(node):
    """Walk a syntax tree, but not into `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from run_time_nodes(child)


def requirement_lines(path):
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


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


def test_the_one_licence_has_its_text(manifest, metadata):
    tags = {tag.text: tag.get("file") for tag in manifest.iter("license")}
    assert tags == {"Apache-2.0": "LICENSE"}
    assert metadata.get("License-Expression", metadata["License"]) == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_nothing_of_another_licence_is_in_it(unpacked):
    foreign = re.compile(r"SPDX-License-Identifier: (?!Apache-2\.0$)", re.MULTILINE)
    texts = {path: path.read_bytes().decode("latin-1") for path in source_files(unpacked)}
    found = [
        path.name for path, text in texts.items() if foreign.search(text) or "GNU GENERAL PUBLIC" in text
    ]
    assert found == [Path(__file__).name]


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


def test_colcon_can_link_instead_of_copying(setup_arguments, tmp_path, monkeypatch):
    """`colcon build --symlink-install` runs a link to setup.py beside links to what setup.py names."""
    for name in ("setup.py", "setup.cfg", "e2e_depth_ros", "launch", "config", "resource", "package.xml"):
        (tmp_path / name).symlink_to(ROOT / name)
    captured = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(setuptools, "setup", captured.update)
    runpy.run_path("setup.py")
    assert captured | {"license_files": []} == setup_arguments | {"license_files": []}


def test_every_import_is_declared(manifest, setup_arguments):
    requirements = names_of(setup_arguments["install_requires"])
    extras = (
        "ros",
        "demo",
        "hub",
        "openvino",
        "export",
        "bags",
        "video",
        "exr",
        "heif",
        "view",
        "hypersim",
        "training",
    )
    for extra in (*extras, "evaluation"):
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
                known = sys.stdlib_module_names | declared | {"e2e_depth_ros"}
                if name not in known:
                    undeclared.setdefault(name, path.relative_to(ROOT).as_posix())
    assert undeclared == {}


def test_ros_is_never_a_hard_requirement(setup_arguments):
    assert not {name for name in names_of(setup_arguments["install_requires"]) if "ros" in name}


def test_pip_gives_a_robot_all_that_its_distribution_does_not(manifest, setup_arguments):
    keys = {
        tag.text.removeprefix("python3-") for tag in manifest.iter("exec_depend") if "python3-" in tag.text
    }
    in_debian = {"opencv-python-headless": "opencv", "pyyaml": "yaml"}
    by_distribution = {in_debian.get(name, name) for name in names_of(setup_arguments["install_requires"])}
    by_pip = names_of(line for line in requirement_lines("requirements-robot.txt"))
    assert by_distribution - by_pip - {"setuptools"} == keys
    assert not by_pip & keys


def test_a_robot_needs_no_screen(manifest):
    assert not {tag.text for tag in manifest.iter("exec_depend") if tag.text.startswith("rviz")}


def test_lower_bounds_are_run(setup_arguments):
    """test/constraints/lowest.txt pins what the matrix installs; a bound that nobody runs is a guess."""
    pinned = dict(line.split("==") for line in requirement_lines("test/constraints/lowest.txt"))
    bounds = {}
    extras = setup_arguments["extras_require"]
    for line in [
        *setup_arguments["install_requires"],
        *(line for extra in extras.values() for line in extra),
    ]:
        name, bound = re.match(r"([\w.-]+)(?:>=([\d.]+))?", line).groups()
        if bound:
            bounds[name] = bound
    assert pinned.keys() == bounds.keys()
    assert {name: pin for name, pin in pinned.items() if not f"{pin}.".startswith(f"{bounds[name]}.")} == {}


def test_source_distribution_holds_every_file_but_the_scenes(source_tree, unpacked):
    added = {"PKG-INFO"}
    ours = {name for name in relative_files(source_tree) if not name.startswith(SCENES)}
    assert relative_files(unpacked) - added == ours


def test_metadata_says_where_it_runs(metadata, setup_arguments):
    classifiers = metadata.get_all("Classifier")
    pythons = re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert pythons == ["3.10", "3.11", "3.12", "3.13"]
    assert setup_arguments["python_requires"] == f">={pythons[0]}"
    assert f"({pythons[0]} to {pythons[-1]})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_addresses_are_one(manifest, metadata):
    repository = manifest.findtext("url")
    addresses = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert addresses["Source"] == repository
    assert all(address.startswith(repository) for address in addresses.values())


def test_description_has_no_relative_link(metadata, unpacked):
    text = metadata.get_payload()
    readme = (unpacked / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) == len(re.findall(r"\]\(([^)\s]+)\)", readme)) > 10
    assert [link for link in links if not link.startswith("https://")] == []
    assert not re.findall(r"(?:src|href)=\"(?!https://)|^\[[^\]]+\]:\s*(?!https://)", text, re.MULTILINE)
    base = dict(line.split(", ") for line in metadata.get_all("Project-URL"))["Source"]
    ours = [link.removeprefix(base).partition("#")[0] for link in links if link.startswith(base)]
    assert ours
    for link in ours:
        view, branch, path = link.strip("/").split("/", 2)
        assert (view == "raw") == path.endswith(".png")
        assert branch == "main"
        assert (unpacked / path).exists() or path.startswith(SCENES), path
    code = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    assert code.findall(text) == code.findall(readme)


def test_wheel_holds_every_file(unpacked, tmp_path):
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    shutil.copytree(unpacked, tree)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*build, "--wheel-dir", str(wheels), str(tree)], tmp_path)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
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
    assert not [name for name in packed if "blender" in name or "scenes" in name.partition("/")[0]]
