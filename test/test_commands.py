"""Every command of the README and the documentation, as a reader pastes it.

Those of `e2e-depth` run, page by page and in their order, on small stand-ins of what the page names. What
needs a download, a robot, minutes or another machine is read by the parser that would read it.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from e2e_depth_ros.cli.main import build_parser, main
from e2e_depth_ros.core.camera import Camera
from e2e_depth_ros.core.frames import write_frame
from e2e_depth_ros.model.export.folder import export
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.training.recipe import find_recipe, read_recipe
from e2e_depth_ros.training.shards import Sample, write_shard
from helpers.protocol_sets import WRITERS

ROOT = Path(__file__).parents[1]
PAGES = [
    path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("examples/*/README.md")),
        ROOT / "scenes" / "README.md",
    )
    if path.exists()  # the source archive of the robot's package comes without the scenes
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL_WORDS = {"cd", "touch", ".", "cp", "export", "for", "do", "done", "rosdep", "sudo"}
SIZE = (48, 64)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command of a page; what stands behind && is one of its own."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "&&" in words:
                place = words.index("&&")
                yield words[:place]
                words = words[place + 1 :]
            if words:
                yield words


def program(words: list[str]) -> str:
    return words[0].removeprefix(".venv/bin/")


def without_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


def check_make(words: list[str]) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_pip(words: list[str]) -> None:
    extras = set(re.findall(r'^ {8}"(\w+)": ', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE))
    for word in words:
        if word.endswith(".txt"):
            assert (ROOT / Path(word).name).exists(), word
        if match := re.fullmatch(r"\.\[([\w,]+)\]", word):
            assert set(match.group(1).split(",")) <= extras, word
        if word.startswith("./"):
            assert (ROOT / word).exists(), word


def check_e2e_depth(words: list[str]) -> None:
    args = build_parser().parse_args(words[1:])
    if args.command == "train" and args.recipe not in ("mine.yaml", "my_recipe.yaml"):
        read_recipe(find_recipe(args.recipe))


def check_scenes(words: list[str]) -> None:
    pytest.importorskip("e2e_depth_scenes")
    from e2e_depth_scenes.recipe_file import read_recipe as read_render_recipe

    assert "--output" in words
    read_render_recipe(ROOT / words[1])


def check_python(words: list[str]) -> None:
    if "-m" in words:
        module = words[words.index("-m") + 1]
        assert module in ("venv", "colcon") or importlib.util.find_spec(module), module
        return
    script = Path(words[1])
    assert (ROOT / script).exists() or script.parts[0] == "away", script


def arguments_of(launch_file: str) -> set[str]:
    """What a launch file declares; `launch` is not on PyPI, so it is read and not run."""
    tree = ast.parse((ROOT / "launch" / launch_file).read_text(encoding="utf-8"))
    (declared,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["ARGUMENTS"]
    )
    return {ast.literal_eval(key) for key in declared.keys}


def check_ros2(words: list[str]) -> None:
    if words[1] != "launch":
        assert words[1] in ("run", "topic", "param", "pkg", "security", "service", "lifecycle", "node", "bag")
        return
    assert words[2] == "e2e_depth_ros"
    # cameras.launch.py hands on what depth.launch.py takes.
    declared = arguments_of(words[3]) | arguments_of("depth.launch.py")
    given = {word.partition(":=")[0] for word in words[4:] if ":=" in word}
    assert given <= declared, given - declared


def check_node(words: list[str]) -> None:
    pytest.importorskip("diagnostic_msgs", reason="ROS 2 is not installed")
    from e2e_depth_ros.ros.deployment.declaration_docs import STRUCTS

    node = words[0].removesuffix("_node")
    declared = set(STRUCTS[node].__dataclass_fields__)
    given = {words[i + 1].partition(":=")[0] for i, word in enumerate(words) if word == "-p"}
    assert given <= declared, given - declared


def check_launcher(words: list[str]) -> None:
    """torchrun and accelerate, by their own parsers; what they start, by ours."""
    if words[0] == "torchrun":
        from torch.distributed.run import get_args_parser as launcher
    else:
        launcher = pytest.importorskip("accelerate.commands.launch").launch_command_parser
        words = words[1:]
    args = launcher().parse_args(words[1:])
    assert args.module
    assert args.training_script == "e2e_depth_ros.cli.main"
    assert build_parser().parse_args(args.training_script_args).command == "train"


def check_shell(words: list[str]) -> None:
    if words[0] == "cp":
        assert (ROOT / words[1]).exists(), words[1]


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "pip": check_pip,
    "e2e-depth": check_e2e_depth,
    "e2e-depth-scenes": check_scenes,
    "python": check_python,
    "python3": check_python,
    "ros2": check_ros2,
    "depth_node": check_node,
    "mask_node": check_node,
    "torchrun": check_launcher,
    "accelerate": check_launcher,
    **dict.fromkeys(SHELL_WORDS, check_shell),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_shell(page):
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(without_redirection(words), id=f"{page.relative_to(ROOT).as_posix()}-{number}")
        for page in PAGES
        for number, words in enumerate(commands(page))
        if "=" not in words[0]  # variables, alone or before a program
    ],
)
def test_commands_are_read_by_what_they_start(words):
    words = [program(words), *words[1:]]
    assert words[0] in CHECKS, f"{shlex.join(words)}: who reads this?"
    CHECKS[words[0]](words)


NOT_RUN = {
    "GonzaloMG/": "needs a checkpoint of the hub",
    "org/name": "stands for a checkpoint of the hub",
    "v1-5-pruned": "needs InstructDiffusion's weights",
    "verify instruct": "verifies what that conversion wrote",
    "verify checkpoint": "verifies what came back from a GPU",
    "train mine.yaml": "needs Marigold, Hypersim and Virtual KITTI 2",
    "checkpoint join": "needs GenPercept's UNet and Stable Diffusion 2.1",
    "export MODEL": "stands for any checkpoint",
    "--dds": "starts node and camera, which test_benchmark.py does",
}
"""What is only parsed, by a part of the command, and why."""
HAS_BAGS = all(importlib.util.find_spec(name) for name in ("rclpy", "rosbags"))
if not HAS_BAGS:
    NOT_RUN |= dict.fromkeys(("evaluate corridor", "evaluate rig"), "reads a bag")


def room(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Camera]:
    """An image, its depth (a floor and a wall) and its camera."""
    camera = Camera(SIZE, np.array([[52.0, 0, 31.5], [0, 52, 23.5], [0, 0, 1]]))
    y = np.broadcast_to(camera.normalized_grid[1], SIZE).astype(np.float64)
    depth = np.minimum(np.where(y > 0.02, 0.6 / np.maximum(y, 0.02), np.inf), 4.0)
    return rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8), depth, camera


@pytest.fixture
def workplace(tmp_path, monkeypatch, tiny_checkpoint):
    """A folder with small stand-ins of all that the pages name, and the repository's own folders."""
    monkeypatch.chdir(tmp_path)
    for name in ("docs", "e2e_depth_ros", "scenes"):
        if (ROOT / name).exists():
            Path(name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    for place in ("demo_out/frames", "frames/train", "frames/validation"):
        for index in range(3):
            rgb, depth, camera = room(rng)
            rows, columns = rng.integers(5, 43, 200), rng.integers(5, 59, 200)
            x, y = (np.broadcast_to(grid, SIZE) for grid in camera.normalized_grid)
            points = np.stack([x * depth, y * depth, depth], axis=-1)[rows, columns]
            write_frame(Path(place) / f"{index}", rgb, camera, depth_m=depth, points_m=points)
    cv2.imwrite("photo.jpg", rng.integers(0, 255, (60, 80, 3), np.uint8))
    for folder in ("ray", "ray_caster", "validation", "path"):
        place = Path("renders") / folder
        place.mkdir(parents=True)
        samples = []
        for index in range(3):
            rgb, depth, camera = room(rng)
            pose = np.eye(4)
            pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
            pose[2, 3], pose[0, 3] = 0.6, 0.01 * index
            normals = np.zeros((*SIZE, 3), np.float32)
            samples.append(Sample(rgb, depth.astype(np.float32), normals, camera.fx, "room", 7, pose))
        write_shard(place / "shard-00000.npz", samples)
    if HAS_BAGS:
        from helpers import bags

        rgb, depth, camera = room(rng)
        bags.write_bag(Path("corridor"), bags.rgbd_messages([(rgb, depth)] * 2, camera))
        both = [bags.rgbd_messages([(rgb, depth)] * 2, camera, side) for side in ("left", "right")]
        bags.write_bag(Path("rig"), sorted(itertools.chain(*both), key=lambda message: message[1]))
    for name in ("base", "no_anchor", "wide"):
        run = Path("runs") / name
        run.mkdir(parents=True)
        shutil.copy(ROOT / "e2e_depth_ros/training/recipes/embedded.yaml", run / "recipe.yaml")
        (run / "log.jsonl").write_text('{"step": 1, "depth_loss": 0.5, "seconds": 3.0}\n')
    small = {
        "seed": 1,
        "model": {"start": str(tiny_checkpoint()), "processing_resolution": 64},
        "data": {
            "train": [{"shards": "renders/ray/*.npz"}],
            "sizes": [{"height": 32, "width": 48}],
            "batch_size": 2,
            "workers": 0,
        },
        "optimiser": {"steps": 2, "learning_rate": 1e-4, "warmup_steps": 1},
        "run": {"device": "cpu", "threads": 1},
    }
    Path("my_recipe.yaml").write_text(yaml.safe_dump(small))
    shutil.copytree(tiny_checkpoint(), "runs/marigold_e2e_ft_depth/checkpoint")
    export(load_checkpoint(tiny_checkpoint()), Path("exported"))
    with tarfile.open("nyu_labeled_extracted.tar", "w") as archive:
        archive.add(WRITERS["nyuv2"](tmp_path / "nyu").folder, arcname="nyu")
    return tmp_path


@pytest.fixture
def short_trainings(monkeypatch):
    """Recipes that ship take one step of two images."""

    def read_shortened(path):
        recipe = read_recipe(path)
        optimiser = replace(recipe.optimiser, steps=1, warmup_steps=1, decay_steps=0)
        data = replace(recipe.data, batch_size=2, workers=0)
        return replace(
            recipe, optimiser=optimiser, data=data, run=replace(recipe.run, device="cpu", threads=1)
        )

    monkeypatch.setattr("e2e_depth_ros.training.recipe.read_recipe", read_shortened)


def shortened(words):
    """Time two frames where a page times many: on a busy machine those take a quarter of an hour."""
    counts = [index + 1 for index, word in enumerate(words) if word == "--frames"]
    return ["2" if index in counts else word for index, word in enumerate(words)]


OF_RECORDINGS = ROOT / "docs" / "recordings.md"  # test_recordings_page.py runs these, on a bag
RUNNING = [
    page
    for page in PAGES
    if page != OF_RECORDINGS and any(program(words) == "e2e-depth" for words in commands(page))
]


@pytest.mark.slow
@pytest.mark.timeout(900)  # a protocol shows the network whole images
@pytest.mark.usefixtures("workplace", "short_trainings")
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_e2e_depth_run_as_they_are_pasted(page, capsys):
    for words in commands(page):
        if program(words) == "cp":
            shutil.copy(words[1], words[2])
        if program(words) != "e2e-depth" or any(part in shlex.join(words) for part in NOT_RUN):
            continue
        code = main(shortened(without_redirection(words))[1:])
        assert code == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
