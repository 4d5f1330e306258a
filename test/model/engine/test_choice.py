"""`auto` takes the fastest engine that says what torch would say; a named one is taken or refused."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e_depth_ros.core.errors import InvalidInputError, MissingDependencyError
from e2e_depth_ros.model.engine import choice, openvino_runtime
from e2e_depth_ros.model.engine.choice import load_engine
from e2e_depth_ros.model.sampling import DEFAULT_SAMPLING, Sampling
from e2e_depth_ros.model.task import Task


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`machine("onnx", gpu=False)`: one that has these libraries, and nothing else."""

    def be(*engines: str, gpu: bool = False) -> None:
        libraries = {"onnxruntime": "onnx", "openvino": "openvino"}
        find = importlib.util.find_spec
        monkeypatch.setattr(
            choice,
            "find_spec",
            lambda name: find("json") if libraries[name] in engines else None,
        )
        for library, engine in libraries.items():
            if engine not in engines:
                monkeypatch.setitem(sys.modules, library, None)  # an import of it fails
        monkeypatch.setattr(choice, "_GPUS", (__file__,) if gpu else ("/dev/no-such-gpu",))

    return be


@pytest.fixture
def both(tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], tmp_path: Path) -> Path:
    """A checkpoint and its graphs in one folder, as the embedded model is."""
    folder = Path(shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "both"))
    return Path(shutil.copytree(tiny_export("embedded"), folder, dirs_exist_ok=True))


@pytest.mark.parametrize(
    ("engines", "options", "expected"),
    [
        (["onnx", "openvino"], {}, "onnx float32"),
        (["openvino"], {}, "openvino float32"),
        ([], {}, "torch float32"),
        (["onnx", "openvino"], {"device": "cpu"}, "onnx float32"),
        (["onnx", "openvino"], {"dtype": "float32"}, "onnx float32"),
        (["onnx", "openvino"], {"dtype": "float16"}, "torch float16"),
        (["onnx"], {"dtype": "bfloat16"}, "torch bfloat16"),
        (["onnx"], {"padded_prompt": True}, "torch float32"),
        (["onnx"], {"sampling": Sampling(domain="outdoor")}, "torch float32"),
        (["onnx"], {"sampling": DEFAULT_SAMPLING}, "onnx float32"),
        (["onnx"], {"task": "depth"}, "onnx float32"),
    ],
)
def test_auto_of_a_folder_with_graphs_and_weights(
    machine: Callable[..., None], both: Path, engines: list[str], options: dict, expected: str
) -> None:
    machine(*engines)
    place = load_engine("auto", both, **options).place
    assert f"{place.engine} {place.precision}" == expected
    assert place.device == "cpu"
    assert place.threads is not None


@pytest.mark.parametrize("has_it", [True, False])
def test_bfloat16_is_openvino_s_where_the_cpu_has_it(
    machine: Callable[..., None],
    both: Path,
    tiny_export: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    has_it: bool,
) -> None:
    machine("onnx", "openvino")
    monkeypatch.setattr(openvino_runtime, "has_bfloat16", lambda *_: has_it)
    place = load_engine("auto", both, dtype="bfloat16").place
    assert (place.engine, place.precision) == ("openvino" if has_it else "torch", "bfloat16")
    if not has_it:  # and there is no checkpoint for torch
        with pytest.raises(InvalidInputError, match=r"expected dtype auto or float32.*'bfloat16'"):
            load_engine("auto", tiny_export("embedded"), dtype="bfloat16")


def test_an_old_openvino_is_passed_over(
    machine: Callable[..., None], both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("onnx", "openvino")
    monkeypatch.setattr("openvino.__version__", "2025.4.1")
    assert load_engine("auto", both, dtype="bfloat16").place.engine == "torch"


def test_a_gpu_is_torch_s(machine: Callable[..., None], both: Path) -> None:
    machine("onnx", "openvino", gpu=True)
    assert load_engine("auto", both).place.engine == "torch"
    assert load_engine("auto", both, device="cpu").place.engine == "onnx"
    machine("onnx", "openvino")
    with pytest.raises(InvalidInputError, match=r"torch sees|expected device"):
        load_engine("auto", both, device="cuda:77")


def test_auto_of_graphs_alone_is_what_runs_graphs(
    machine: Callable[..., None], tiny_export: Callable[..., Path]
) -> None:
    folder = tiny_export("embedded")
    machine("onnx", "openvino", gpu=True)
    assert load_engine("auto", folder).place.engine == "onnx"
    with pytest.raises(
        InvalidInputError, match="expected a device that this ONNX Runtime has, cpu, got 'cuda'"
    ):
        load_engine("auto", folder, device="cuda")
    with pytest.raises(InvalidInputError, match=r"expected dtype auto or float32.*'float16'"):
        load_engine("auto", folder, dtype="float16")
    with pytest.raises(InvalidInputError, match="nothing to sample; engine torch can, with the checkpoint"):
        load_engine("auto", folder, sampling=Sampling(steps=3))
    with pytest.raises(InvalidInputError, match="its prompt is part of it"):
        load_engine("auto", folder, padded_prompt=True)


def test_graphs_alone_without_a_library_say_what_to_install(
    machine: Callable[..., None], tiny_export: Callable[..., Path]
) -> None:
    machine()
    for engine, what in (("auto", "onnxruntime"), ("onnx", "onnxruntime"), ("openvino", "openvino")):
        with pytest.raises(MissingDependencyError, match=f"pip install {what}"):
            load_engine(engine, tiny_export("embedded"))


def test_auto_of_a_checkpoint_is_torch(tiny_checkpoint: Callable[..., Path]) -> None:
    assert load_engine("auto", tiny_checkpoint("marigold_depth"), device="cpu").place.engine == "torch"


def test_a_named_engine_is_taken_or_refused(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], both: Path
) -> None:
    for engine in ("torch", "onnx", "openvino"):
        assert load_engine(engine, both, device="cpu").place.engine == engine
    with pytest.raises(
        InvalidInputError, match="expected engine auto, torch, onnx, openvino, got 'tensorrt'"
    ):
        load_engine("tensorrt", both)
    checkpoint = tiny_checkpoint("embedded")
    for engine in ("onnx", "openvino"):
        with pytest.raises(InvalidInputError, match=f"e2e-depth export {checkpoint} --output"):
            load_engine(engine, checkpoint)
    with pytest.raises(
        InvalidInputError, match=r"expected a checkpoint for engine torch, got .* without one"
    ):
        load_engine("torch", tiny_export("embedded"))
    with pytest.raises(InvalidInputError, match="expected a revision only with a hub id"):
        load_engine("onnx", both, revision="main")
    with pytest.raises(InvalidInputError, match="it predicts depth; engine torch can"):
        load_engine("onnx", tiny_export("marigold_depth"), task="normals")
    with pytest.raises(
        InvalidInputError, match="expected device auto or cpu with engine openvino, got 'cuda'"
    ):
        load_engine("openvino", both, device="cuda")
    with pytest.raises(InvalidInputError, match="1 to 256 threads, got 0"):
        load_engine("auto", both, num_threads=0)


def test_fewer_tasks_are_all_that_it_predicts(tiny_export: Callable[..., Path]) -> None:
    engine = load_engine("onnx", tiny_export("embedded"), task="normals")
    assert engine.facts.tasks == {Task.NORMALS}


def test_threads_are_those_that_were_asked_for(tiny_export: Callable[..., Path]) -> None:
    for engine in ("onnx", "openvino"):
        assert load_engine(engine, tiny_export("embedded"), num_threads=3).place.threads == 3
