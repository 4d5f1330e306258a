"""The distribution installs whole, with two licences, and goes with one version of the robot's package."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_bytes
from pathlib import Path

import pytest

import e2e_depth_ros
from e2e_depth_scenes import __version__
from e2e_depth_scenes.__main__ import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "e2e_depth_scenes"
GPL, APACHE = "GPL-3.0-or-later", "Apache-2.0"
IMPORTED_AS = {"opencv-python-headless": "cv2", "pyyaml": "yaml"}


def package_files():
    return [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.fixture(scope="module")
def config():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    not_source = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "tree", ignore=not_source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(folder), str(folder / "tree")]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250)
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel[name])


def test_wheel_holds_every_file_and_nothing_else(wheel):
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert packed == {path.relative_to(ROOT).as_posix() for path in package_files()}


def test_metadata_names_both_licences_and_the_wheel_holds_their_texts(wheel, metadata):
    assert metadata.get("License-Expression", metadata["License"]) == f"{APACHE} AND {GPL}"
    assert len(metadata.get_all("License-File")) == 2
    texts = [
        text.decode() for name, text in wheel.items() if name.endswith("LICENSE") and ".dist-info/" in name
    ]
    titles = ("Apache License\n", "GNU GENERAL PUBLIC LICENSE\n                       Version 3")
    assert all(any(title in text for text in texts) for title in titles)


def test_blenders_scripts_alone_are_gpl():
    tagged = {path for path in package_files() if path.suffix == ".py" and GPL in path.read_text("utf-8")}
    assert tagged == set((PACKAGE / "blender").glob("*.py"))
    assert all(path.read_text("utf-8").startswith(f"# SPDX-License-Identifier: {GPL}\n") for path in tagged)


def test_it_goes_with_the_robots_package_of_its_version(config):
    assert __version__ == e2e_depth_ros.__version__
    assert f"e2e_depth_ros=={__version__}" in config["options"]["install_requires"].splitlines()


def test_every_import_is_declared(config):
    lines = filter(None, config["options"]["install_requires"].splitlines())
    names = [re.match(r"[\w-]+", line).group() for line in lines]
    known = sys.stdlib_module_names | {IMPORTED_AS.get(name, name) for name in names} | {"e2e_depth_scenes"}
    for path in package_files():
        if path.suffix == ".py" and path.parent != PACKAGE / "blender":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module] if isinstance(node, ast.ImportFrom) else []
                assert {module.partition(".")[0] for module in modules} <= known, path


def test_command_is_the_modules_main(config):
    assert (
        "e2e-depth-scenes = e2e_depth_scenes.__main__:main"
        in config["options.entry_points"]["console_scripts"]
    )
    assert callable(main)


def test_readme_lists_the_recipes_and_links_to_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("| recipe |")[2].partition("\n\n")[0]
    recipes = {path.name for path in (PACKAGE / "recipes").iterdir()}
    assert set(re.findall(r"`(\w+\.yaml)`", table)) == recipes
    assert [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not (ROOT / link).exists()] == []
