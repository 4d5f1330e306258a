"""Ways to run a network are timed in turns, each in a process of its own, and agree with each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from e2e_depth_ros.cli.engine_comparison import Way, compare, print_comparison, ways_to_run
from e2e_depth_ros.core.errors import E2EDepthError

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 65, 3), np.uint8)


def ways(models, **options):
    given = {"device": "cpu", "dtypes": ["float32"], "threads": [1], "processing_resolution": None}
    return ways_to_run(models, **{**given, "diffusers": False, "compiled": False, **options})


def test_every_engine_that_can_run_a_model_is_a_way(tiny_checkpoint):
    checkpoint = str(tiny_checkpoint("marigold_depth"))
    assert [way.engine for way in ways([checkpoint], diffusers=True)] == ["diffusers", "torch"]
    found = ways(["embedded"], dtypes=["float32", "bfloat16"], threads=[1, 2])
    openvinos = {(way.dtype, way.num_threads) for way in found if way.engine == "openvino"}
    assert openvinos in (set(), {(dtype, n) for dtype in ("float32", "bfloat16") for n in (1, 2)})
    assert [(way.engine, way.dtype, way.num_threads) for way in found if way.engine != "openvino"] == [
        ("torch", "float32", 1),
        ("torch", "float32", 2),
        ("torch", "bfloat16", 1),
        ("torch", "bfloat16", 2),
        ("onnx", "float32", 1),
        ("onnx", "float32", 2),
    ]
    assert [way.compiled for way in ways([checkpoint], compiled=True)] == [False, True]
    one = ways(["embedded"], engine="onnx", diffusers=True)
    assert [way.engine for way in one] == ["diffusers", "onnx"]
    assert [way.num_threads for way in ways([checkpoint], device="cuda", threads=[1, 2])] == [None]


def test_ways_are_timed_and_agree(tmp_path: Path) -> None:
    missing = Way(str(tmp_path / "missing"), "torch", device="cpu", num_threads=1)
    asked = [*ways(["embedded"], diffusers=True), missing]
    report = compare(asked, IMAGE, frames=2, busy=1)
    assert [way["engine"] for way in report["ways"]][:3] == ["diffusers", "torch", "onnx"]
    for way in report["ways"]:
        assert way["difference"] <= 1e-3  # diffusers reads images that it has rounded to 0..1
        assert way["first_s"] > 0
        times = way["ms"]["depth"]
        assert set(times) == {"quiet", "busy"}
        assert all(0 < time["fastest"] <= time["median"] for time in times.values())
    assert "depth and normals" not in report["ways"][0]["ms"]  # diffusers has a pipeline for each
    assert "depth and normals" in report["ways"][1]["ms"]
    (left_out,) = report["left_out"]
    assert left_out["why"].startswith("expected 'embedded', a folder")
    assert "no such folder" in left_out["why"]


def test_a_model_of_normals_alone_is_timed_by_them(tiny_checkpoint) -> None:
    normals = "marigold_normals"
    models = [str(tiny_checkpoint("embedded")), str(tiny_checkpoint(normals))]
    report = compare(ways(models, diffusers=True), IMAGE, frames=1, busy=0)
    assert [way["engine"] for way in report["ways"]] == ["diffusers", "torch", "torch"]
    assert [list(way["ms"]) for way in report["ways"]] == [
        ["depth"],
        ["depth", "depth and normals"],
        ["normals"],
    ]
    assert report["ways"][2]["difference"] == 0  # from the first of normals
    (left_out,) = report["left_out"]
    assert left_out["why"].endswith("got one of normals")
    console = Console(record=True, width=80)
    print_comparison({"image size": [48, 65], "cores": 1, **report}, console)
    assert f"{Path(models[1]).name}: median ms" in console.export_text()


def test_its_tables_fit_a_terminal_of_80_columns() -> None:
    """Times of a full-size network have five digits; cut to "54…" they say nothing."""
    times = {"quiet": {"median": 12704.9, "fastest": 1.0}, "busy": {"median": 20123.4, "fastest": 1.0}}
    place = {"device": "cpu", "threads": 2, "compiled": False, "first_s": 20.04, "difference": 1.3e-2}
    ways = [
        {
            "model": f"/somewhere/{model}",
            "engine": engine,
            "precision": precision,
            **place,
            "memory_mb": {"process, peak": 5555.2},
            "ms": {"depth": times, "depth and normals": times},
        }
        for model in ("checkpoint", "other")
        for engine, precision in (("diffusers", "float32"), ("torch", "bfloat16"))
    ]
    left_out = {"model": "/somewhere/checkpoint", "engine": "onnx", "dtype": "float16", "why": "none"}
    console = Console(record=True, width=80)
    print_comparison(
        {"image size": [48, 65], "cores": 2, "ways": ways, "left_out": [left_out, left_out]}, console
    )
    printed = console.export_text()
    assert "…" not in printed
    assert "12705 1.00   20123 1.00   12705 1.00   20123 1.00" in printed
    assert "5555" in printed
    assert printed.count("checkpoint: median ms") == printed.count("other: median ms") == 1
    assert printed.count("left out: checkpoint by onnx, float16: none") == 1


def test_where_no_way_can_run_that_is_the_answer(tmp_path: Path) -> None:
    with pytest.raises(E2EDepthError, match=r"expected a way to run, found none: expected .* no such folder"):
        compare([Way(str(tmp_path / "missing"), "torch", "float32", "cpu", 1)], IMAGE, frames=1, busy=0)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_one_way_alone_is_compared_with_itself(engine: str) -> None:
    report = compare([Way("embedded", engine, "float32", "cpu", 1)], IMAGE, frames=1, busy=0)
    assert report["ways"][0]["difference"] == 0
    assert list(report["ways"][0]["ms"]["depth"]) == ["quiet"]
