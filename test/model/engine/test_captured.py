"""A recorded forward gives what the forward gives. Recording takes a GPU; without one a stand-in records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from e2e_depth_ros.model.engine import torch_engine
from e2e_depth_ros.model.engine.torch_engine import TorchEngine
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.forward import forward_on_device, stacked
from e2e_depth_ros.model.task import Task

_BOTH = (Task.DEPTH, Task.NORMALS)


class _OnCpu:
    """Records nothing: it runs the forward, as a graph of a GPU would repeat it."""

    made = 0

    def __init__(self, *arguments: Any) -> None:
        type(self).made += 1
        self._network, self._facts, self._tasks, self._framing, self._sampling, self._images = arguments

    def __call__(self, images: list[NDArray[np.uint8]]) -> dict[Task, NDArray[np.float32]]:
        assert len(images) == self._images
        pixels = torch.from_numpy(stacked(images))
        found = forward_on_device(
            self._network, self._facts, pixels, self._tasks, self._framing, self._sampling
        )
        return {task: of_task.numpy() for task, of_task in found.maps.items()}


@pytest.fixture
def estimators(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> tuple[Estimator, Estimator]:
    """One that records, if only by a stand-in, and one that doesn't."""
    monkeypatch.setattr(torch_engine, "CapturedForward", _OnCpu)
    monkeypatch.setattr(_OnCpu, "made", 0)
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"))
    recording, plain = TorchEngine(checkpoint), TorchEngine(checkpoint)
    monkeypatch.setattr(recording, "_can_be_captured", True)
    return Estimator(recording, processing_resolution=32), Estimator(plain, processing_resolution=32)


def _image(size: tuple[int, int] = (21, 34), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_what_was_recorded_is_read_as_any_forward(estimators: tuple[Estimator, Estimator]) -> None:
    recording, plain = estimators
    images = [_image(seed=seed) for seed in range(3)]
    pairs = zip(
        recording.estimate_batch(images, tasks=_BOTH), plain.estimate_batch(images, tasks=_BOTH), strict=True
    )
    for found, expected in pairs:
        assert found.depth is not None
        assert expected.depth is not None
        np.testing.assert_array_equal(found.depth.values, expected.depth.values)
        assert found.normals is not None
        assert expected.normals is not None
        np.testing.assert_array_equal(found.normals.values, expected.normals.values)
        assert list(found.durations_s) == ["network", "postprocess"]


def test_each_kind_of_frame_is_recorded_once_and_few_are_kept(
    estimators: tuple[Estimator, Estimator],
) -> None:
    recording, _ = estimators
    for _ in range(3):
        recording.estimate(_image())
    assert _OnCpu.made == 1
    for width in (35, 36, 37, 38):
        recording.estimate(_image((21, width)))
    assert _OnCpu.made == 5
    recording.estimate(_image())  # the oldest had to go
    assert _OnCpu.made == 6


def test_what_cannot_be_recorded_runs_step_by_step(
    estimators: tuple[Estimator, Estimator], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch_engine, "CapturedForward", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    recording, plain = estimators
    found, expected = recording.estimate(_image()).depth, plain.estimate(_image()).depth
    assert found is not None
    assert expected is not None
    np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU is needed to record on it")
@pytest.mark.parametrize("tasks", [(Task.DEPTH,), _BOTH])
def test_a_gpu_repeats_what_it_recorded(
    tiny_checkpoint: Callable[..., Path], tasks: tuple[Task, ...]
) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint("embedded"))
    engine = TorchEngine(checkpoint, torch.device("cuda"))
    estimator = Estimator(engine, processing_resolution=32)
    for seed in range(3):
        found = estimator.estimate(_image(seed=seed), tasks=tasks)
        assert list(found.durations_s) == ["network", "postprocess"]
        step_by_step = estimator.estimate(_image(seed=seed), tasks=tasks, synchronize=True)
        assert found.depth is not None
        assert step_by_step.depth is not None
        np.testing.assert_allclose(found.depth.values, step_by_step.depth.values, atol=1e-4)
