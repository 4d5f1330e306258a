from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from e2e_depth_ros.model.export.graph import OPSET, Graph, external, inline


def _doubled(dtype: torch.dtype) -> Graph:
    g = Graph("doubled", dtype)
    x = g.input("x", ["n", 3])
    g.output(g.op("Mul", x, g.scalar(2.0)), "y", ["n", 3])
    return g


def test_inputs_and_outputs_are_float32_whatever_it_computes_in() -> None:
    x = np.array([[1, 2, 1 / 3]], np.float32)
    for dtype, rounding in ((torch.float32, 0), (torch.float16, 2.0**-11)):
        g = _doubled(dtype)
        model = g.model({name: inline(tensor.to(dtype), name) for name, tensor in g.weights.items()})
        onnx.checker.check_model(model, full_check=True)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, 2 * x, rtol=rounding, atol=0)


def test_a_weight_stands_once_by_its_own_name() -> None:
    g, weight, other = Graph("weights"), torch.ones(3), torch.ones(3)
    g.name_weights({"unet.weight": weight})
    assert g.weight(weight) == g.weight(weight) == "unet.weight"
    assert g.weight(other) != "unet.weight"
    assert g.is_named("unet.weight")
    assert not g.is_named(g.weight(other))
    assert len(g.weights) == 2
    assert g.scalar(0.1) == g.scalar(0.1) != g.scalar(0.2)
    assert g.integers(-1, 2) == g.integers(-1, 2) != g.integers(1, 2)


def test_a_weight_in_another_file_and_format_is_read_from_its_place(tmp_path: Path) -> None:
    values = np.array([0.5, -2, 8], np.float16)
    (tmp_path / "weights").write_bytes(b"before" + values.tobytes())
    g, weight = Graph("away"), torch.from_numpy(values.astype(np.float32))
    g.name_weights({"w": weight})
    g.output(g.op("Mul", g.input("x", ["n", 3]), g.weight(weight)), "y", ["n", 3])
    model = g.model({"w": external(weight.half(), "w", "weights", len(b"before"))})
    onnx.save_model(model, str(tmp_path / "away.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "away.onnx"), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.array([[1, 2, 3]], np.float32)})
    np.testing.assert_array_equal(y, [[0.5, -4, 24]])
