from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError, MissingDependencyError
from e2e_depth_ros.model.engine import openvino_runtime
from e2e_depth_ros.model.engine.openvino_runtime import OpenVino
from e2e_depth_ros.model.shipped import SHIPPED
from helpers.exporting import needs_bfloat16

openvino = pytest.importorskip("openvino")

Maps = Mapping[str, NDArray[np.float32]]


def test_a_graph_gives_each_task_by_its_name_and_keeps_what_it_gave(tiny_export: Callable[..., Path]) -> None:
    runtime = OpenVino("float32", threads=1)
    assert (runtime.place.engine, runtime.place.device, runtime.place.threads) == ("openvino", "cpu", 1)
    session = runtime.load(tiny_export("embedded") / "depth_normals.onnx")
    first, second = (np.full((2, 3, 24, 40), value, np.float32) for value in (-0.5, 0.5))
    found = session.run(first)
    kept = {name: values.copy() for name, values in found.items()}
    assert {name: values.shape for name, values in found.items()} == {
        "depth": (2, 1, 24, 40),
        "normals": (2, 3, 24, 40),
    }
    other = session.run(second)
    for name, values in found.items():  # the next frame doesn't overwrite the last
        np.testing.assert_array_equal(values, kept[name])
        assert np.abs(other[name] - values).max() > 1e-3


def test_few_shapes_are_kept_compiled(tiny_export: Callable[..., Path]) -> None:
    session = OpenVino().load(tiny_export("embedded") / "depth.onnx")
    for width in (8, 16, 24, 32, 40, 48, 8):
        assert session.run(np.zeros((1, 3, 8, width), np.float32))["depth"].shape == (1, 1, 8, width)
    assert len(session._requests) == 4


@pytest.mark.parametrize("precision", ["float16", "auto", "int8", ""])
def test_formats_that_the_cpu_lacks_are_refused(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=f"expected dtype float32.*OpenVINO.*got '{precision}'"):
        OpenVino(precision)
    monkeypatch.setattr(openvino_runtime, "has_bfloat16", lambda *_: False)
    with pytest.raises(InvalidInputError, match=r"expected dtype float32, which OpenVINO.*got 'bfloat16'"):
        OpenVino("bfloat16")


def in_both_formats(graph: Path, pixels: NDArray[np.float32], threads: int = 1) -> list[Maps]:
    return [OpenVino(name, threads).load(graph).run(pixels) for name in ("bfloat16", "float32")]


@needs_bfloat16
def test_bfloat16_is_what_float32_is_but_for_rounding(tiny_export: Callable[..., Path]) -> None:
    graph = tiny_export("embedded") / "depth_normals.onnx"
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, 3, 72, 88)).astype(np.float32)
    coarse, exact = in_both_formats(graph, pixels)
    for task, values in exact.items():
        assert 1e-5 < np.abs(coarse[task] - values).mean() < 0.02  # float32 would be nearer


@needs_bfloat16
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(120, 160), (160, 88)])
def test_the_embedded_model_is_right_in_bfloat16(size: tuple[int, int], threads: int) -> None:
    """Graphs of before were not, by two kernels: of strided columns, and of constants transposed."""
    pixels = np.random.default_rng(1).uniform(-1, 1, (1, 3, *size)).astype(np.float32)
    for graph in sorted(SHIPPED["embedded"].glob("*.onnx")):
        coarse, exact = in_both_formats(graph, pixels, threads)
        for task, values in exact.items():
            assert np.abs(coarse[task] - values).max() < 0.2
            assert np.abs(coarse[task] - values).mean() < 0.02


@needs_bfloat16
def test_what_openvino_computes_wrongly_in_bfloat16_is_refused(
    tiny_export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding stands for it, as which kernels are wrong hangs on version and processor."""
    session = OpenVino("bfloat16").load(tiny_export("embedded") / "depth_normals.onnx")
    pixels = np.zeros((1, 3, 80, 96), np.float32)
    monkeypatch.setattr(openvino_runtime, "_TOLERANCE", 1e-6)
    wrongly = r"OpenVINO computes \w+ of 96x80 pixels wrongly in bfloat16, by 0\.\d+ in"
    with pytest.raises(InvalidInputError, match=wrongly):
        session.run(pixels)
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match=wrongly):  # nor is it compiled again for each frame
        session.run(pixels)
    assert session.run(pixels[..., :88])["depth"].shape == (1, 1, 80, 88)


@needs_bfloat16
def test_small_images_run_in_float32(tiny_export: Callable[..., Path]) -> None:
    """Where a map within the network is one column, kernels of AMX are wrong, on noise or not."""
    graph = tiny_export("embedded") / "depth_normals.onnx"
    pixels = np.random.default_rng(2).uniform(-1, 1, (1, 3, 160, 64)).astype(np.float32)
    found, exact = in_both_formats(graph, pixels)
    for task, values in exact.items():
        np.testing.assert_array_equal(found[task], values)


def test_what_is_no_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "depth.onnx"
    path.write_bytes(b"\x08\x09 no graph")
    with pytest.raises(CheckpointError, match=r"depth\.onnx: OpenVINO can't load it \(.+\)") as caught:
        OpenVino().load(path)
    assert "\n" not in str(caught.value)
    assert "src/inference" not in str(caught.value)


def test_without_the_library_or_with_an_old_one_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for version in ("2026.0.0-20965-c6d6a13a886-releases/2026/0", "2025.4.1", "2024.0.0"):
        monkeypatch.setattr(openvino, "__version__", version)
        with pytest.raises(MissingDependencyError, match=r"OpenVINO 2026\.1 or later, got 202"):
            OpenVino()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="pip install openvino"):
        OpenVino()


def test_what_limits_onednn_is_hidden_from_openvino(tiny_export: Callable[..., Path]) -> None:
    """OpenVINO 2026.4 crashes with a processor of AVX-512 whose oneDNN may use AVX2 alone."""
    script = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from e2e_depth_ros.model.engine.openvino_runtime import OpenVino\n"
        "maps = OpenVino().load(Path(sys.argv[1])).run(np.zeros((1, 3, 24, 40), np.float32))\n"
        "assert np.isfinite(maps['depth']).all()\n"
        "assert os.environ['ONEDNN_MAX_CPU_ISA'] == 'AVX2'\n"
    )
    command = [sys.executable, "-c", script, str(tiny_export("embedded") / "depth.onnx")]
    subprocess.run(command, check=True, env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}, timeout=120)


def test_signals_are_handled_after_engines_that_are_gone(tiny_export: Callable[..., Path]) -> None:
    """Two cores of OpenVINO 2026.4 left Python's handlers a stack that was freed, on a CPU with AMX."""
    script = (
        "import gc, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from e2e_depth_ros.model.engine.openvino_runtime import OpenVino\n"
        "heard = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: heard.append(1))\n"
        "sessions = [OpenVino().load(Path(sys.argv[1])) for _ in range(3)]\n"
        "for session in sessions:\n"
        "    session.run(np.zeros((1, 3, 24, 40), np.float32))\n"
        "del session\n"
        "while sessions:\n"
        "    del sessions[0]\n"
        "    gc.collect()\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "assert heard == [1, 1, 1]\n"
    )
    command = [sys.executable, "-c", script, str(tiny_export("embedded") / "depth.onnx")]
    subprocess.run(command, check=True, timeout=120)
