"""Nothing but the shard format is shared with the robot's package, and Blender's scripts stand alone."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "e2e_depth_scenes"
MODULES = sorted(PACKAGE.rglob("*.py"))
BLENDER = PACKAGE / "blender"
ROBOT = "e2e_depth_ros"
SHARED = "e2e_depth_ros.training.shards"


def imports(text):
    """The modules that a text imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not read here"
            is_package = (PACKAGE.parents[1] / node.module.replace(".", "/")).is_dir()
            found += [f"{node.module}.{alias.name}" if is_package else node.module for alias in node.names]
    return found


def of_robot(text):
    return {name for name in imports(text) if name.partition(".")[0] == ROBOT}


def test_the_reader_of_imports_reads_them_all():
    text = f"from {ROBOT}.training import shards\ndef late():\n  import {ROBOT}.core.errors as e\n"
    assert of_robot(text) == {SHARED, f"{ROBOT}.core.errors"}
    assert len(MODULES) > 40


def test_only_the_shard_format_is_shared():
    shared = {path.relative_to(PACKAGE).as_posix(): of_robot(path.read_text("utf-8")) for path in MODULES}
    assert set().union(*shared.values()) == {SHARED}


def test_blenders_scripts_stand_alone():
    """Blender's own Python runs them; nothing is installed there."""
    for path in BLENDER.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not {name for name in imports(text) if name.startswith(("e2e_depth_", "rich", "yaml", "cv2"))}
    inside = {path.stem for path in BLENDER.glob("*.py")}
    for path in MODULES:
        if BLENDER not in path.parents:
            text = path.read_text(encoding="utf-8")
            assert not {"bpy", "mathutils", "e2e_depth_scenes.blender"} & set(imports(text)), path
    assert {"stage", "streets"} <= inside


def test_rendering_loads_neither_torch_nor_ros():
    code = (
        "import sys, e2e_depth_scenes.__main__, e2e_depth_scenes.ray_caster;"
        "print([name for name in ('torch', 'diffusers', 'rclpy', 'bpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_files_stay_short():
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > 300}
