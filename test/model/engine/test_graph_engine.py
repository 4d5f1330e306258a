"""Exported networks say what torch says: for each layout that can be exported, at odd sizes, in batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.decoded import depth_from_decoded, normals_from_decoded
from e2e_depth_ros.model.engine.graph_engine import depth_from_mean, normals_from_planes
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task
from helpers.exporting import EXPORTABLE, needs_bfloat16
from helpers.processors import need_bfloat16_attention

_BOTH = (Task.DEPTH, Task.NORMALS)
# Graphs round in other places than torch, in layers whose errors add up. They are compared with torch in
# float64, and may be off by a few times what torch is off in float32, by oneDNN's convolutions or by its own:
# how far one of them is off is luck of the processor. A wrong constant or layer does a hundred times as much.
_ROUNDINGS = 8
_MOST_ROUNDING = 2e-3  # of the normals of short vectors; 1e-3 where an image is constant, as one pixel is
_DEPTH = 1e-5  # from torch in float32
# Each number has 11 bits, 5e-4 of it, in some twenty layers.
_FLOAT16 = 0.02


def _images(size: tuple[int, int] = (37, 59), count: int = 3) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def _torch(folder: Path, resolution: int = 52, *, exact: bool = False) -> Estimator:
    estimator = Estimator.load(folder, engine="torch", device="cpu", processing_resolution=resolution)
    if exact:
        estimator.engine.network.double()
    return estimator


def _maps(
    estimator: Estimator, images: list[NDArray[np.uint8]], tasks: tuple[Task, ...]
) -> dict[str, NDArray[np.float32]]:
    estimates = estimator.estimate_batch(images, tasks=tasks)
    found = {task.value: [getattr(estimate, task.value) for estimate in estimates] for task in tasks}
    assert all(of_image.valid.all() for of_task in found.values() for of_image in of_task)
    return {name: np.stack([of_image.values for of_image in of_task]) for name, of_task in found.items()}


def _check(folder: Path, found: Estimator, images: list[NDArray[np.uint8]]) -> None:
    """Compare all tasks at once, and each alone."""
    resolution = found.processing_resolution
    rounded, exact = _torch(folder, resolution), _torch(folder, resolution, exact=True)
    tasks = tuple(task for task in _BOTH if task in rounded.tasks)
    for wanted in {tasks, *((task,) for task in tasks)}:
        mine, torchs, true = (_maps(estimator, images, wanted) for estimator in (found, rounded, exact))
        with torch.backends.mkldnn.flags(enabled=False):
            others = _maps(rounded, images, wanted)
        for name, values in mine.items():
            off = [float(np.abs(one[name] - true[name]).max()) for one in (torchs, others)]
            rounding = max(*off, 2.0**-23)
            assert _ROUNDINGS * rounding < _MOST_ROUNDING
            assert np.abs(values - true[name]).max() <= _ROUNDINGS * rounding, (name, wanted)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("layout", EXPORTABLE)
def test_float32_equals_torch(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], layout: str, engine: str
) -> None:
    expected = _torch(tiny_checkpoint(layout))
    found = Estimator.load(tiny_export(layout), engine=engine, processing_resolution=52)
    assert found.facts.depth_kind is expected.facts.depth_kind
    assert (found.tasks, found.steps) == (expected.tasks, 1)
    for what in ("normals_signs", "full_z_range", "clips_normals", "down_factor", "activation_floats"):
        assert getattr(found.facts, what) == getattr(expected.facts, what)
    maps = _maps(expected, _images(), tuple(expected.tasks))
    assert all(values.std() > 1e-3 for values in maps.values())
    _check(tiny_checkpoint(layout), found, _images())
    if Task.DEPTH in expected.tasks:
        depth = _maps(found, _images(), (Task.DEPTH,))["depth"]
        np.testing.assert_allclose(depth, maps["depth"], rtol=0, atol=_DEPTH)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (61, 20), (64, 96)])
def test_float32_equals_torch_at_any_size(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], engine: str, size: tuple[int, int]
) -> None:
    for resolution in (0, 44):
        found = Estimator.load(tiny_export("embedded"), engine=engine, processing_resolution=resolution)
        _check(tiny_checkpoint("embedded"), found, _images(size, 2))


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("layout", ["embedded", "tiny_vae"])
def test_float16_is_near_torch(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], layout: str, engine: str
) -> None:
    expected = _torch(tiny_checkpoint(layout))
    found = Estimator.load(tiny_export(layout, "float16"), engine=engine, processing_resolution=52)
    tasks = tuple(expected.tasks)
    for name, values in _maps(found, _images(), tasks).items():
        np.testing.assert_allclose(values, _maps(expected, _images(), tasks)[name], rtol=0, atol=_FLOAT16)


@needs_bfloat16
@pytest.mark.parametrize("layout", EXPORTABLE)
def test_bfloat16_is_as_near_as_torch_s(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path], layout: str
) -> None:
    need_bfloat16_attention()
    options = {"dtype": "bfloat16", "processing_resolution": 104}
    exact = _torch(tiny_checkpoint(layout), 104)
    torchs = Estimator.load(tiny_checkpoint(layout), engine="torch", device="cpu", **options)
    found = Estimator.load(tiny_export(layout), engine="openvino", **options)
    tasks, images = tuple(exact.tasks), _images((80, 104), 2)
    mine, torchs_maps, true = (_maps(estimator, images, tasks) for estimator in (found, torchs, exact))
    for name, values in true.items():
        off, rounding = (float(np.abs(maps[name] - values).mean()) for maps in (mine, torchs_maps))
        assert 0 < off < 3 * rounding, name


def test_a_batch_is_seen_in_parts_that_fit_into_memory(tiny_export: Callable[..., Path]) -> None:
    folder = tiny_export("embedded")
    whole, parts = (Estimator.load(folder, engine="onnx", batch_memory_mb=mb) for mb in (1000, 1))
    seen = []
    session = parts.engine.session(_BOTH)
    run = session.run
    session.run = lambda pixels: seen.append(len(pixels)) or run(pixels)
    images = _images((96, 96), 3)
    for one, other in zip(
        parts.estimate_batch(images, tasks=_BOTH), whole.estimate_batch(images, tasks=_BOTH), strict=True
    ):
        np.testing.assert_allclose(one.depth.values, other.depth.values, rtol=0, atol=_DEPTH)
    assert seen == [1, 1, 1]


def test_stretching_outlines_and_durations_are_as_with_torch(
    tiny_checkpoint: Callable[..., Path], tiny_export: Callable[..., Path]
) -> None:
    image = _images((60, 90), 1)[0]
    expected = _torch(tiny_checkpoint("embedded"), 32)
    found = Estimator.load(tiny_export("embedded"), engine="onnx", processing_resolution=32)
    found.warm_up((60, 90), _BOTH)
    one, other = (e.estimate(image, stretch=True) for e in (found, expected))
    assert one.depth is not None
    assert other.depth is not None
    assert (one.depth.values.min(), one.depth.values.max()) == (0, 1)
    # A tiny network's depth has a range of a tenth or so: stretched, its rounding is ten times as large.
    np.testing.assert_allclose(one.depth.values, other.depth.values, rtol=0, atol=20 * _DEPTH)
    plain, torchs = (e.estimate(image).outlined_depth for e in (found, expected))
    np.testing.assert_allclose(plain.values, torchs.values, rtol=0, atol=10 * _DEPTH)
    assert list(one.durations_s) == ["preprocess", "network", "postprocess"]
    assert found.engine.hashes()["depth.onnx"]


def test_a_task_or_size_that_was_not_exported_is_refused(tiny_export: Callable[..., Path]) -> None:
    # By default the longer edge becomes that of the size.
    fixed = Estimator.load(tiny_export("marigold_depth", size=(40, 64)), engine="onnx")
    assert fixed.estimate(_images((60, 96), 1)[0]).depth is not None
    with pytest.raises(InvalidInputError, match=r"\(40, 64\).* got \(96, 50\), which become \(64, 40\)"):
        fixed.estimate(_images((96, 50), 1)[0])
    with pytest.raises(InvalidInputError, match="predicts depth; normals was asked for"):
        fixed.estimate(_images()[0], tasks=[Task.NORMALS])


def _broken(shape: tuple[int, ...]) -> NDArray[np.float32]:
    decoded = np.random.default_rng(0).normal(0, 1.2, shape).astype(np.float32)
    decoded[0, :, 1, 2] = np.nan
    decoded[0, 1, 2, 3] = np.inf
    decoded[0, 2, 3, 4] = -np.inf
    decoded[0, :, 4, 0] = 0
    return decoded


def test_depth_is_read_as_from_tensors() -> None:
    decoded = _broken((1, 3, 5, 7))
    finite = torch.from_numpy(decoded).nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
    found = depth_from_mean(decoded.mean(axis=1)[0])
    assert np.isnan(found).sum() == 3
    np.testing.assert_allclose(found, depth_from_decoded(finite)[0].numpy(), rtol=0, atol=2.0**-23)


@pytest.mark.parametrize("full_z_range", [True, False])
@pytest.mark.parametrize("clip", [True, False])
def test_normals_are_read_as_from_tensors(full_z_range: bool, clip: bool) -> None:
    decoded, signs = _broken((1, 3, 5, 7)), (-1.0, 1.0, -1.0)
    finite = torch.from_numpy(decoded).nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
    expected = normals_from_decoded(finite, signs, full_z_range=full_z_range, clip=clip)[0].numpy()
    found = np.stack(normals_from_planes(decoded[0], signs, full_z_range=full_z_range, clip=clip))
    assert np.isnan(found).any(axis=0).sum() == 3
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-22)


def test_what_is_not_finite_is_invalid_and_counted(
    tiny_export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = Estimator.load(tiny_export("embedded"), engine="onnx", processing_resolution=0)
    session = estimator.engine.session(_BOTH)

    def run(pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        maps = {
            name: np.zeros((1, n, *pixels.shape[2:]), np.float32)
            for name, n in (("depth", 1), ("normals", 3))
        }
        maps["normals"][0, 2] = 1
        maps["depth"][0, 0, 4, 7] = np.inf
        maps["normals"][0, 1, 5, 8:10] = np.nan
        return maps

    monkeypatch.setattr(session, "run", run)
    estimate = estimator.estimate(_images((20, 32), 1)[0], tasks=_BOTH)
    assert estimate.depth is not None
    assert estimate.normals is not None
    assert estimate.depth.kind is DepthKind.AFFINE_INVARIANT
    assert np.argwhere(~estimate.depth.valid).tolist() == [[4, 7]]
    assert np.argwhere(~estimate.normals.valid).tolist() == [[5, 8], [5, 9]]
    assert estimate.non_finite == 2
