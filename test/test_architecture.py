"""The rooms look only down, ROS stays in its room, and nothing is in the repository that shouldn't be."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "e2e_depth_ros"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
SCENES = "e2e_depth_scenes"

MAY_LOOK_INTO = {
    None: {"core", "model", "alignment"},  # the package's face
    "core": {"core"},
    "model": {"core", "model"},
    "alignment": {"core", "alignment"},
    "ros": {"core", "model", "alignment", "ros"},
    "training": {"core", "model", "ros", "training"},  # ros for bags alone
    "evaluation": {"core", "model", "alignment", "evaluation"},
    "offline": {"core", "model", "alignment", "evaluation", "offline"},
    "cli": {"core", "model", "alignment", "training", "evaluation", "offline", "ros", "cli"},
}
# As data flows: each folder looks only at those before it.
ROS_FOLDERS = (
    *(
        "messages",
        "declarations",
        "running",
        "telling",
        "inputs",
        "aligning",
        "outputs",
        "nodes",
        "recordings",
        "deployment",
    ),
)
# The model room: what is under it, from where it lies to a network; its own files are above both.
MODEL = ROOT / PACKAGE / "model"
WORDS_OF_MODEL = {"clock", "limits", "sampling", "shipped", "task", "threads", "upsampling"}
MODEL_MAY_LOOK_INTO = {
    "checkpoint": WORDS_OF_MODEL | {"checkpoint"},
    "families": WORDS_OF_MODEL | {"checkpoint", "families"},
    "instruct": WORDS_OF_MODEL | {"checkpoint", "families", "placement", "instruct"},
    "engine": WORDS_OF_MODEL
    | {"checkpoint", "families", "placement", "network_facts", "estimate", "forward", "engine"},
    "export": WORDS_OF_MODEL | {"checkpoint", "families", "engine", "export"},
}
MAX_FILES_OF_MODEL = 15  # of a folder
ALIGNMENT_FOLDERS = ("evidence", "fitting", "tracking")  # as it thinks: each looks only at those before it

MAY_IMPORT = {
    "core": {"numpy", "torch", "cv2", "yaml", "PIL", "pillow_heif", "threadpoolctl"},
    "alignment": {"numpy", "cv2"},
}
ROS_PACKAGES = {"rclpy", "tf2_ros", "cv_bridge", "sensor_msgs_py", "rosbags", "ament_index_python", "launch"}
ROS_SUFFIXES = ("_msgs", "_srvs", "_interfaces", "_ros")

MAX_LINES = 400
MAX_FILES_OF_A_ROS_FOLDER = 15
MAX_BYTES = 25 * 2**20
NOT_TEXT = {".gz", ".png", ".jpg", ".npz", ".safetensors", ".ply", ".onnx"}
# Written in two parts, so that this file does not contain them.
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "file:" + "///"]


@dataclass(frozen=True)
class Import:
    """One import, wherever in the module it stands."""

    module: str
    line: int
    lazy: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports_in(node: ast.AST, path: Path, *, lazy: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                package = path.parent.relative_to(ROOT).parts
                base = ".".join([*package[: len(package) - child.level + 1], *filter(None, [base])])
            for alias in child.names:
                submodule = f"{base}.{alias.name}"
                yield Import(submodule if submodule in NAMES else base, child.lineno, lazy)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_in(child, path, lazy=lazy or inside)


@functools.cache
def imports_of(path: Path) -> tuple[Import, ...]:
    return tuple(imports_in(ast.parse(path.read_text(encoding="utf-8")), path))


def room_of(path: Path) -> str | None:
    parts = path.relative_to(ROOT / PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def is_ros(name: str) -> bool:
    return name in ROS_PACKAGES or (name.endswith(ROS_SUFFIXES) and name != PACKAGE)


def defines(path: Path, function: str) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in body)


def at(path: Path, found: Import) -> str:
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


def test_the_reader_of_imports_reads_them_all() -> None:
    """The tests below would pass in silence if it did not."""
    source = """
import torch.nn as nn
from e2e_depth_ros.core import camera, errors
from . import checkpoint
from ..core.maps import DepthMap
def late():
    if True:
        import rclpy
"""
    found = list(imports_in(ast.parse(source), ROOT / PACKAGE / "model" / "some.py"))
    assert [(entry.module, entry.lazy) for entry in found] == [
        ("torch.nn", False),
        ("e2e_depth_ros.core.camera", False),
        ("e2e_depth_ros.core.errors", False),
        ("e2e_depth_ros.model.checkpoint", False),
        ("e2e_depth_ros.core.maps", False),
        ("rclpy", True),
    ]
    assert len(MODULES) > 10


def test_rooms_look_only_down() -> None:
    wrong = []
    for path in MODULES:
        allowed = MAY_LOOK_INTO[room_of(path)]
        for found in imports_of(path):
            parts = found.module.split(".")
            if parts[0] == PACKAGE and len(parts) > 1 and parts[1] not in allowed:
                wrong.append(at(path, found))
    assert not wrong


def test_the_page_of_the_architecture_tells_who_looks_where() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room | does | imports |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", table, re.MULTILINE)
    told = {room: set(re.findall(r"`(\w+)`", rooms)) for room, rooms in rows}
    rooms = {room: allowed - {room} for room, allowed in MAY_LOOK_INTO.items() if room is not None}
    told["cli"] = set(rooms) - {"cli"}  # "all of them"
    assert told == rooms
    folders = page.partition("- `ros` follows the data")[2].partition("\n- ")[0]
    assert tuple(re.findall(r"`ros/(\w+)`", folders)) == ROS_FOLDERS


def test_folders_of_ros_look_only_down_and_stay_small() -> None:
    ros = ROOT / PACKAGE / "ros"
    assert {path.name for path in ros.iterdir() if (path / "__init__.py").is_file()} == set(ROS_FOLDERS)
    assert [path.name for path in ros.glob("*.py")] == ["__init__.py"]
    wrong = []
    for rank, folder in enumerate(ROS_FOLDERS):
        modules = sorted((ros / folder).glob("*.py"))
        assert len(modules) <= MAX_FILES_OF_A_ROS_FOLDER
        for path in modules:
            for found in imports_of(path):
                _, _, where = found.module.partition(f"{PACKAGE}.ros.")
                if where and ROS_FOLDERS.index(where.split(".")[0]) > rank:
                    wrong.append(at(path, found))
    assert not wrong


def test_the_model_room_looks_only_down() -> None:
    wrong = []
    for path in MODULES:
        folder = path.relative_to(MODEL).parts[0] if MODEL in path.parents else ""
        if folder not in MODEL_MAY_LOOK_INTO and folder.removesuffix(".py") not in WORDS_OF_MODEL:
            continue
        allowed = MODEL_MAY_LOOK_INTO.get(folder, set())
        for found in imports_of(path):
            parts = found.module.split(".")
            if parts[:2] == [PACKAGE, "model"] and parts[2] not in allowed:
                wrong.append(at(path, found))
    assert not wrong
    assert {path.name for path in MODEL.iterdir() if (path / "__init__.py").exists()} == {
        *MODEL_MAY_LOOK_INTO
    }


def test_folders_of_the_model_room_stay_small() -> None:
    counts = {
        folder: len(list(folder.glob("*.py")))
        for folder in (MODEL, *(MODEL / n for n in MODEL_MAY_LOOK_INTO))
    }
    assert not {str(folder): count for folder, count in counts.items() if count > MAX_FILES_OF_MODEL}


def test_folders_of_alignment_look_only_down() -> None:
    room = ROOT / PACKAGE / "alignment"
    assert {path.name for path in room.iterdir() if (path / "__init__.py").is_file()} == set(
        ALIGNMENT_FOLDERS
    )
    wrong = []
    for rank, folder in enumerate(ALIGNMENT_FOLDERS):
        for path in sorted((room / folder).glob("*.py")):
            for found in imports_of(path):
                _, _, where = found.module.partition(f"{PACKAGE}.alignment.")
                later = ALIGNMENT_FOLDERS[rank + 1 :]
                if where.split(".")[0] in (*later, "one_image"):
                    wrong.append(at(path, found))
    assert not wrong


def test_core_and_alignment_stay_light() -> None:
    wrong = []
    for path in MODULES:
        allowed = MAY_IMPORT.get(room_of(path))
        if allowed is not None:
            allowed = sys.stdlib_module_names | allowed | {PACKAGE}
            wrong += [at(path, found) for found in imports_of(path) if found.top not in allowed]
    assert not wrong


def test_only_ros_and_the_command_line_know_ros() -> None:
    wrong = []
    for path in MODULES:
        if room_of(path) not in {"ros", "cli"}:
            wrong += [at(path, found) for found in imports_of(path) if is_ros(found.top)]
    assert not wrong


def test_every_command_starts_without_ros() -> None:
    """Only once a command runs may it find ROS missing, and say so."""
    paths = {name_of(path): path for path in MODULES}
    commands = [path for path in MODULES if room_of(path) == "cli" and defines(path, "add_parser")]
    assert len(commands) > 1
    for command in [*commands, ROOT / PACKAGE / "cli" / "main.py"]:
        seen, ahead = set(), [name_of(command)]
        while ahead:
            name = ahead.pop()
            if name in seen or name not in paths:
                continue
            seen.add(name)
            ahead += [name.rpartition(".")[0]]  # Python runs a package before its modules
            eager = [found for found in imports_of(paths[name]) if not found.lazy]
            assert not [at(paths[name], found) for found in eager if is_ros(found.top)], (
                f"needed by {command}"
            )
            ahead += [found.module for found in eager]


def test_the_package_knows_no_scenes() -> None:
    """Not by an import, and not by a name that is imported later."""
    wrong = [at(path, found) for path in MODULES for found in imports_of(path) if found.top == SCENES]
    assert not wrong
    assert not [path for path in MODULES if SCENES in path.read_text(encoding="utf-8")]


def test_no_circles() -> None:
    """Nor does an import inside a function hide one: what waits for each other isn't two modules."""
    graph = {
        name_of(path): {found.module for found in imports_of(path) if found.module in NAMES}
        for path in MODULES
    }
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"circular import: {' <- '.join(error.args[1])}")


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert not {str(path): length for path, length in lengths.items() if length > MAX_LINES}


@pytest.fixture(scope="module")
def tracked_files() -> list[Path]:
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_repository_stays_small(tracked_files: list[Path]) -> None:
    assert not {str(path): path.stat().st_size for path in tracked_files if path.stat().st_size > MAX_BYTES}


def test_repository_names_no_path_of_a_machine(tracked_files: list[Path]) -> None:
    wrong = []
    for path in tracked_files:
        if path.suffix in NOT_TEXT:
            continue
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path.relative_to(ROOT)} contains {word!r}" for word in MACHINE_PATHS if word in text]
    assert not wrong
