"""A folder of graphs is read as it was written; a broken one is refused in a line that says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.integrity import sha256
from e2e_depth_ros.model.engine.exported import (
    GRAPHS_FILE,
    ExportedFacts,
    ExportedModel,
    find_exported,
    read_exported,
)
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.shipped import SHIPPED
from e2e_depth_ros.model.task import Task


def _model(folder: Path) -> ExportedModel:
    facts = ExportedFacts(
        name="some/model",
        tasks=frozenset({Task.DEPTH, Task.NORMALS}),
        processing_resolution=96,
        depth_kind=DepthKind.SCALE_INVARIANT,
        normals_signs=(1.0, -1.0, 1.0),
        full_z_range=False,
        clips_normals=False,
        upsampling="guided",
        down_factor=4,
        activation_floats=64,
    )
    graphs = {
        frozenset({Task.DEPTH}): "depth.onnx",
        frozenset({Task.NORMALS}): "normals.onnx",
        frozenset(Task): "depth_normals.onnx",
    }
    return ExportedModel(folder, facts, graphs, "float16", (40, 64), dict.fromkeys(graphs.values(), "0" * 64))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    model = _model(tmp_path)
    model.write(tmp_path)
    found = read_exported(tmp_path)
    assert found == model
    assert not found.has_weights
    assert found.graph([Task.NORMALS, Task.DEPTH]) == tmp_path / "depth_normals.onnx"


def test_a_graph_that_was_not_exported_is_named(tmp_path: Path) -> None:
    model = _model(tmp_path)
    del model.graphs[frozenset({Task.DEPTH})]
    with pytest.raises(InvalidInputError, match=r"some/model: .* depth\+normals / normals, got depth"):
        model.graph([Task.DEPTH])


@pytest.mark.parametrize("name", ["nowhere", "org/name", "~nobody-of-this-name/x", "x" * 5000, "null\0", ""])
def test_what_is_no_exported_model_is_left_to_torch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_exported(name) is None


def _changed(path: str, value: object) -> Callable[[Any], Any]:
    def change(content: Any) -> Any:
        *parents, last = path.split("/")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
        return content

    return change


_BROKEN = {
    "no JSON": (lambda _: "{", "Expecting"),
    "a list": (lambda _: [], "all as list, expected dict"),
    "nothing": (lambda _: {}, "no entry 'format'"),
    "too deep": (lambda _: "[" * 100_000, "nested too deeply"),
    "another format": (_changed("format", 2), "format 2, this version reads 1"),
    "no facts": (_changed("facts", None), "facts as NoneType, expected dict"),
    "an unknown task": (_changed("facts/tasks", ["depth", "smell"]), "smell"),
    "no tasks": (_changed("facts/tasks", []), "but tasks"),
    "fewer tasks": (_changed("facts/tasks", ["depth"]), "but tasks depth"),
    "a name of numbers": (_changed("facts/name", 3), "name as int"),
    "a truth in words": (_changed("facts/full_z_range", "false"), "full_z_range as str, expected bool"),
    "an unknown depth": (_changed("facts/depth_kind", "loud"), "loud"),
    "an unknown upsampling": (_changed("facts/upsampling", "auto"), "'auto', expected"),
    "two signs": (_changed("facts/normals_signs", [1, 1]), "not enough values"),
    "no sign": (_changed("facts/normals_signs", [1, 0, 1]), "sign 0, expected 1 or -1"),
    "infinity": (_changed("facts/normals_signs", [1, float("inf"), 1]), "sign inf"),
    "no factor": (_changed("facts/down_factor", 0), "0, expected a whole number of 1"),
    "a huge factor": (_changed("facts/down_factor", 10**30), "expected a whole number of 1"),
    "half a factor": (_changed("facts/down_factor", 8.5), "8.5, expected a whole number"),
    "a true factor": (_changed("facts/down_factor", True), "True, expected a whole number"),
    "a NaN": (_changed("facts/activation_floats", float("nan")), "nan, expected a whole number"),
    "a huge resolution": (
        _changed("facts/processing_resolution", 10**9),
        "expected a whole number of 0 to 8192",
    ),
    "a resolution below 0": (_changed("facts/processing_resolution", -1), "-1, expected"),
    "an unknown precision": (_changed("precision", "bfloat16"), "'bfloat16', expected float32 or float16"),
    "a size of words": (_changed("size", "big"), "b, expected a whole number"),
    "a size of one": (_changed("size", [8]), "not enough values"),
    "a size below 1": (_changed("size", [-8, 8]), "-8, expected a whole number of 1"),
    "a size that does not fit": (_changed("size", [42, 64]), "size 42x64, no multiple of 4"),
    "no graphs": (_changed("graphs", {}), "no hash of any graph"),
    "graphs as a list": (_changed("graphs", []), "graphs as list"),
    "a graph of nothing": (_changed("graphs", {"": "depth.onnx"}), "is not a valid Task"),
    "a graph without hash": (_changed("graphs/depth", "other.onnx"), "no hash of other.onnx"),
    "a graph above": (
        _changed("graphs/depth", "../depth.onnx"),
        "'../depth.onnx', expected one in the folder",
    ),
    "a file of the machine": (_changed("files", {"/etc/passwd": ""}), "'/etc/passwd', expected one in"),
    "a file of Windows": (_changed("files", {"..\\x": ""}), "expected one in the folder"),
    "the folder itself": (_changed("files", {".": ""}), "'.', expected one in the folder"),
    "a graph of numbers": (_changed("graphs/depth", 7), "'7', expected one in the folder"),
}


@pytest.mark.parametrize("what", _BROKEN)
def test_a_broken_description_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    change, why = _BROKEN[what]
    _model(tmp_path).write(tmp_path)
    path = tmp_path / GRAPHS_FILE
    content = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match=GRAPHS_FILE) as caught:
        find_exported(tmp_path)
    assert why in str(caught.value)
    assert "export it again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_description_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / GRAPHS_FILE
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="as text"):
        read_exported(tmp_path)
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="up to"):
        read_exported(tmp_path)


@pytest.fixture
def folder(tiny_export: Callable[..., Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_export("embedded"), tmp_path / "exported"))


@pytest.mark.parametrize("engine", ["auto", "onnx", "openvino"])
@pytest.mark.parametrize("name", ["depth.onnx", "weights.safetensors"])
def test_a_file_that_is_missing_or_another_is_named(folder: Path, name: str, engine: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=rf"{name}: expected the file that was exported, SHA-256 .*, got"
    ):
        Estimator.load(folder, engine=engine)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: expected a file of the exported model, not there"):
        Estimator.load(folder, engine=engine)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_graph_that_no_library_reads_is_refused_in_one_line(folder: Path, engine: str) -> None:
    path = folder / GRAPHS_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    (folder / "depth.onnx").write_bytes(b"no graph")
    content["files"]["depth.onnx"] = sha256(folder / "depth.onnx")
    path.write_text(json.dumps(content), encoding="utf-8")
    estimator = Estimator.load(folder, engine=engine)
    with pytest.raises(CheckpointError, match=r"depth\.onnx: O.* can't load it") as caught:
        estimator.warm_up((24, 40))
    assert "\n" not in str(caught.value)


def test_the_shipped_graphs_belong_to_the_shipped_weights() -> None:
    model = read_exported(SHIPPED["embedded"])
    model.check_files()
    facts = read_facts(SHIPPED["embedded"])
    assert model.has_weights
    assert {path.name for path in SHIPPED["embedded"].glob("*.onnx")} == set(model.graphs.values())
    # Every file that torch reads, too: else the engines could say different things.
    read = {path.relative_to(SHIPPED["embedded"]).as_posix() for path in facts.files}
    assert read | set(model.graphs.values()) == set(model.files)
    for name in ExportedFacts.__dataclass_fields__:
        assert getattr(model.facts, name) == getattr(facts, name), name
