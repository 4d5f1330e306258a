"""`e2e-depth export`: a folder that every other command takes, and one line where none can be made."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main
from e2e_depth_ros.model.engine.exported import read_exported
from e2e_depth_ros.model.task import Task


def _export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def test_what_is_exported_is_a_model_for_checkpoint(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = tmp_path / "exported", tmp_path / "record.json"
    before = os.umask(0o027)
    try:
        assert _export(tiny_checkpoint("embedded"), "--output", folder, "--tasks", "depth") == 0
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o750
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o640"}
    capsys.readouterr()
    assert main(["checkpoint", "inspect", str(folder), "--json"]) == 0
    text = capsys.readouterr().out
    facts = json.loads(text)
    assert facts["tasks"] == ["depth"]
    assert set(facts["sha256"]) == {"depth.onnx", "weights.safetensors"}
    record.write_text(text)
    assert main(["checkpoint", "verify", str(folder), "--against", str(record)]) == 0
    assert "2 files: all present" in capsys.readouterr().out
    with (folder / "weights.safetensors").open("ab") as stream:
        stream.write(b"x")
    assert main(["checkpoint", "verify", str(folder)]) == 2
    assert "expected the file that was exported" in capsys.readouterr().err
    assert _export(folder, "--output", tmp_path / "again") == 2
    assert "graphs that e2e-depth export wrote" in capsys.readouterr().err


def test_what_is_exported_is_a_model_for_predict(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, folder = tiny_checkpoint("embedded"), tmp_path / "exported"
    assert _export(model, "--output", folder) == 0
    told = capsys.readouterr().out
    for name in ("depth.onnx", "normals.onnx", "depth_normals.onnx"):
        assert f"{name}: at most " in told
    assert f"{folder}: 0." in told
    assert f"--model {folder} runs it" in told
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "image.png"), image)
    for name, taken in (("torch", model), ("onnx", folder), ("openvino", folder)):
        out = tmp_path / name
        arguments = [
            "--model",
            str(taken),
            "--engine",
            name,
            "--output",
            str(out),
            "--normals",
            "--device",
            "cpu",
        ]
        assert main(["predict", str(tmp_path / "image.png"), *arguments]) == 0
    for kind, atol in (("depth", 1e-5), ("normals", 1e-4)):
        expected = np.load(tmp_path / "torch" / "image" / f"{kind}.npy")
        for name in ("onnx", "openvino"):
            found = np.load(tmp_path / name / "image" / f"{kind}.npy")
            np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_tasks_size_precision_and_autoencoder(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--tasks", "depth", "--size", "40x64", "--precision", "float16")
    tiny = tiny_checkpoint("tiny_vae")
    assert (
        _export(tiny_checkpoint("marigold_depth"), "--output", tmp_path / "out", *arguments, "--vae", tiny)
        == 0
    )
    found = read_exported(tmp_path / "out")
    assert (found.facts.tasks, found.size, found.precision) == ({Task.DEPTH}, (40, 64), "float16")
    told = capsys.readouterr().out
    assert f"with the autoencoder of {tiny}, decoded values in -1..1 move by depth 0." in told


def test_the_own_folder_serves(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "own")
    assert _export(folder, "--output", folder) == 0
    assert not (tmp_path / "own" / "weights.safetensors").exists()
    assert _export(folder, "--output", folder) == 0  # and again


@pytest.mark.parametrize(
    ("layout", "arguments", "why"),
    [
        ("marigold_depth_v1_1", [], "this one repeats its network from noise, 4 times"),
        ("geowizard_e2e_ft", [], "not by CLIP"),
        ("marigold_depth", ["--size", "big"], "expected --size as HxW, say 480x640, or dynamic, got 'big'"),
        ("marigold_depth", ["--size", "0x64"], "expected --size as HxW"),
        ("marigold_depth", ["--size", "42x64"], "expected a size of multiples of 8 up to 8192, got 42x64"),
        ("marigold_depth", ["--size", "８x８"], "expected --size as HxW"),
        ("marigold_depth", ["--vae", "nowhere"], "nowhere"),
        ("marigold_depth", ["--vae", ""], "expected 'embedded', a folder, or a hub id"),
        ("marigold_depth", ["--revision", "main"], "expected a revision only with a hub id"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    layout: str,
    arguments: list[str],
    why: str,
) -> None:
    assert _export(tiny_checkpoint(layout), "--output", tmp_path / "out", *arguments) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert why in told[-1]
    assert not any("Traceback" in line for line in told)
    assert not list(tmp_path.iterdir())


def test_another_autoencoder_needs_another_folder_and_a_checkpoint(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "own"))
    assert _export(folder, "--output", folder, "--vae", folder) == 2
    assert "expected another folder than the checkpoint's own with --vae" in capsys.readouterr().err
    assert _export(folder, "--output", tmp_path / "graphs") == 0
    assert _export(folder, "--output", tmp_path / "more", "--vae", tmp_path / "graphs") == 2
    assert "graphs: expected a checkpoint with vae/, got an exported model" in capsys.readouterr().err


def test_a_network_that_paints_by_instruction_is_refused(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "painter"))
    index = folder / "model_index.json"
    index.write_text(
        index.read_text(encoding="utf-8").replace("{", '{"tasks": ["instructed image"],', 1), encoding="utf-8"
    )
    assert _export(folder, "--output", tmp_path / "out") == 2
    assert "instruct" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_onnx_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("e2e_depth_ros.model.export.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert _export("embedded", "--output", tmp_path / "out") == 2
    assert "pip install 'e2e_depth_ros[export]'" in capsys.readouterr().err
