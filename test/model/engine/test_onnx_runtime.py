from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, MissingDependencyError
from e2e_depth_ros.model.engine.onnx_runtime import OnnxRuntime, spinning


def test_a_graph_gives_each_task_by_its_name(tiny_export: Callable[..., Path]) -> None:
    runtime = OnnxRuntime("cpu", "float32", threads=2)
    assert (runtime.place.engine, runtime.place.device, runtime.place.threads) == ("onnx", "cpu", 2)
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 3, 24, 40)).astype(np.float32)
    found = runtime.load(tiny_export("embedded") / "depth_normals.onnx").run(pixels)
    assert {name: (values.shape, values.dtype.name) for name, values in found.items()} == {
        "depth": ((2, 1, 24, 40), "float32"),
        "normals": ((2, 3, 24, 40), "float32"),
    }


@pytest.mark.parametrize(
    "device",
    ["", "auto", "gpu", "cpu:0", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "cuda:" + "9" * 50],
)
def test_a_device_that_is_none_is_refused_in_one_line(device: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"expected a device that this ONNX Runtime has, .*cpu"
    ) as caught:
        OnnxRuntime(device)
    assert "\n" not in str(caught.value)


def test_gpus_fall_back_to_what_surrounds_them_and_keep_their_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cuda = OnnxRuntime("cuda:1", "float16")
    assert cuda._providers == [(names[1], {"device_id": 1}), names[2]]
    assert cuda.place.threads is None
    (tensorrt, options), *others = OnnxRuntime("tensorrt", "float16")._providers
    assert (tensorrt, others) == (names[0], [(names[1], {"device_id": 0}), names[2]])
    assert options["trt_fp16_enable"]
    assert options["trt_engine_cache_enable"]
    assert Path(options["trt_engine_cache_path"]) == tmp_path / "e2e_depth_ros" / "tensorrt"
    assert (tmp_path / "e2e_depth_ros" / "tensorrt").is_dir()


def test_what_is_no_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "depth.onnx"
    path.write_bytes(b"\x08\x09 no graph")
    with pytest.raises(CheckpointError, match=r"depth\.onnx: ONNX Runtime can't load it") as caught:
        OnnxRuntime().load(path)
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="pip install onnxruntime"):
        OnnxRuntime()


@pytest.mark.parametrize(
    ("version", "may_spin"),
    [("1.17.3", "0"), ("1.25.1", "0"), ("1.26.0", "1"), ("1.32.0.dev20261101+cpu", "1"), ("2.0", "1")],
)
def test_threads_spin_only_where_they_can_be_told_to_stop(version: str, may_spin: str) -> None:
    told = spinning(version)
    assert told["session.intra_op.allow_spinning"] == may_spin
    assert ("session.intra_op.spin_duration_us" in told) == (may_spin == "1")
