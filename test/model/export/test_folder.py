"""What an export writes, where, and what it refuses to write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.engine.exported import read_exported
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.export import folder as folder_module
from e2e_depth_ros.model.export.folder import TOLERANCES, export, largest_difference
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.shipped import SHIPPED
from e2e_depth_ros.model.task import Task
from helpers.exporting import REFUSED


def test_a_folder_has_graphs_weights_and_their_hashes(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    exported = export(load_checkpoint(tiny_checkpoint("embedded")), folder)
    names = {"depth.onnx", "normals.onnx", "depth_normals.onnx", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == names | {"graphs.json"}
    assert set(exported.model.files) == names
    assert exported.model == read_exported(folder)
    assert set(exported.difference) == names - {"weights.safetensors"}
    assert all(0 < value < 1e-5 for value in exported.difference.values())
    assert list((tmp_path / "new").iterdir()) == [folder]
    # Weights that were saved in float16 are so again, and each once.
    saved = load_file(folder / "weights.safetensors")
    assert sum(tensor.dtype == torch.float16 for tensor in saved.values()) > 0.9 * len(saved)


def test_some_tasks_and_one_size(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"))
    exported = export(checkpoint, tmp_path / "normals", tasks=[Task.NORMALS], size=(24, 40))
    assert exported.model.facts.tasks == {Task.NORMALS}
    assert exported.model.size == (24, 40)
    assert set(exported.model.graphs) == {frozenset({Task.NORMALS})}


def test_an_empty_folder_serves_and_another_is_left_alone(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"))
    (tmp_path / "empty").mkdir()
    export(checkpoint, tmp_path / "empty", tasks=[Task.DEPTH])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept", encoding="utf-8")
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for name in ("full", "file"):
        with pytest.raises(CheckpointError, match=f"expected a new or empty folder .*{name}"):
            export(checkpoint, tmp_path / name, tasks=[Task.DEPTH])
    with pytest.raises(CheckpointError, match="cannot write to"):
        export(checkpoint, tmp_path / "file" / "below", tasks=[Task.DEPTH])
    assert (tmp_path / "full" / "mine").read_text(encoding="utf-8") == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "full", "file"}


def test_the_checkpoint_s_own_folder_shares_its_weights(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "own"))
    before = {path for path in folder.rglob("*") if path.is_file()}
    exported = export(load_checkpoint(folder), folder)
    added = {path.name for path in folder.rglob("*") if path.is_file()} - {path.name for path in before}
    assert added == {"depth.onnx", "normals.onnx", "depth_normals.onnx", "graphs.json"}
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in exported.model.files
    assert exported.model.has_weights
    image = np.random.default_rng(0).integers(0, 255, (30, 44, 3), dtype=np.uint8)
    maps = [
        Estimator.load(folder, engine=engine, device="cpu").estimate(image).depth
        for engine in ("onnx", "torch")
    ]
    assert maps[0] is not None
    assert maps[1] is not None
    np.testing.assert_allclose(maps[0].values, maps[1].values, rtol=0, atol=1e-5)
    # A graph that isn't torch's is not left there, and what was there stays.
    (folder / "depth.onnx").write_bytes(b"before")
    monkey = pytest.MonkeyPatch()
    monkey.setattr(folder_module, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(CheckpointError, match=r"depth\.onnx: expected what torch decodes, to 0.0001, .* nan"):
        export(load_checkpoint(folder), folder)
    monkey.undo()
    assert (folder / "depth.onnx").read_bytes() == b"before"
    assert not [path for path in folder.iterdir() if "draft" in path.name]


def test_graphs_in_the_own_folder_predict_all_that_the_checkpoint_does(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "own"))
    with pytest.raises(InvalidInputError, match=r"own folder, depth and normals, .*, got depth"):
        export(load_checkpoint(folder), folder, tasks=[Task.DEPTH])
    assert not list(folder.glob("*.onnx"))
    export(load_checkpoint(folder), folder, tasks=[Task.NORMALS, Task.DEPTH])


@pytest.mark.parametrize("precision", list(TOLERANCES))
def test_a_graph_that_differs_from_torch_is_not_kept(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"))
    write = folder_module.write_network

    def wrong(network, *arguments, **options):
        graph = write(network, *arguments, **options)
        name = "unet.conv_norm_out.bias"
        graph.weights[name] = graph.weights[name] + 0.3
        return graph

    monkeypatch.setattr(folder_module, "write_network", wrong)
    with pytest.raises(CheckpointError, match="nothing was exported"):
        export(checkpoint, tmp_path / "wrong", precision=precision)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", REFUSED)
def test_what_no_graph_expresses_is_refused_by_name(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, layout: str
) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint(layout))
    with pytest.raises(InvalidInputError, match=REFUSED[layout]) as caught:
        export(checkpoint, tmp_path / "refused")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_starts_from_noise_is_refused(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "noise"))
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    (folder / "model_index.json").write_text(
        json.dumps({**index, "target_noise": "pyramid"}), encoding="utf-8"
    )
    with pytest.raises(InvalidInputError, match="starts from pyramid noise"):
        export(load_checkpoint(folder, sampling=Sampling()), tmp_path / "out")


def test_impossible_wishes_are_refused(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("marigold_depth"))
    out = tmp_path / "out"
    with pytest.raises(InvalidInputError, match="expected precision float32 or float16, got 'bfloat16'"):
        export(checkpoint, out, precision="bfloat16")
    for size in ((0, 8), (-8, 8), (24, 36), (8, 8200)):
        with pytest.raises(InvalidInputError, match=f"size of multiples of 8 up to 8192, got {size[0]}x"):
            export(checkpoint, out, size=size)
    with pytest.raises(InvalidInputError, match="expected tasks that it predicts, got normals"):
        export(checkpoint, out, tasks=[Task.NORMALS])
    assert not out.exists()


def test_the_shipped_graphs_equal_the_shipped_weights() -> None:
    network = load_checkpoint(SHIPPED["embedded"]).model
    model = read_exported(SHIPPED["embedded"])
    for tasks in ([Task.DEPTH], [Task.NORMALS], [Task.DEPTH, Task.NORMALS]):
        for size in (None, (120, 160)):
            found = largest_difference(network, tasks, model.graph(tasks), "float32", size)
            assert 0 < found < 1e-4  # of decoded values in -1..1; rounding was 2e-5
