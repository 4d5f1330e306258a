"""One forward serves all: tasks, batches and stages; what is not finite never looks valid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task

_BOTH = (Task.DEPTH, Task.NORMALS)


@pytest.fixture(scope="module")
def estimator(tiny_checkpoint: Callable[..., Path]) -> Estimator:
    return Estimator.load(tiny_checkpoint("embedded"), device="cpu", processing_resolution=32)


def _image(size: tuple[int, int] = (21, 34), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_both_tasks_together_equal_each_alone(estimator: Estimator) -> None:
    both = estimator.estimate(_image(), tasks=_BOTH)
    depth = estimator.estimate(_image()).depth
    normals = estimator.estimate(_image(), tasks=[Task.NORMALS]).normals
    assert both.depth is not None
    assert both.normals is not None
    assert depth is not None
    assert normals is not None
    np.testing.assert_allclose(both.depth.values, depth.values, atol=1e-4)
    np.testing.assert_allclose(both.normals.values, normals.values, atol=1e-3)


def test_a_batch_equals_its_images(estimator: Estimator) -> None:
    images = [_image(seed=seed) for seed in range(3)]
    for image, estimate in zip(images, estimator.estimate_batch(images, tasks=_BOTH), strict=True):
        alone = estimator.estimate(image, tasks=_BOTH)
        assert estimate.depth is not None
        assert alone.depth is not None
        np.testing.assert_allclose(estimate.depth.values, alone.depth.values, atol=1e-4)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_invalid_and_counted(
    estimator: Estimator, monkeypatch: pytest.MonkeyPatch, broken: float
) -> None:
    def decode(latents: torch.Tensor) -> torch.Tensor:
        decoded = torch.full((len(latents), 3, 20, 32), 0.25)
        decoded[0, 1, 4, 7] = broken
        return decoded

    monkeypatch.setattr(estimator.engine.network, "decode", decode)
    estimate, untouched = estimator.estimate_batch([_image((20, 32)), _image((20, 32))])
    assert estimate.depth is not None
    assert np.argwhere(~estimate.depth.valid).tolist() == [[4, 7]]
    assert (estimate.non_finite, untouched.non_finite) == (1, 0)
    normals = estimator.estimate(_image((20, 32)), tasks=[Task.NORMALS])
    assert normals.normals is not None
    assert np.argwhere(~normals.normals.valid).tolist() == [[4, 7]]
    assert normals.non_finite == 1


def test_stages_are_timed(estimator: Estimator) -> None:
    durations = estimator.estimate(_image(), synchronize=True).durations_s
    assert list(durations) == ["preprocess", "encode", "denoise", "decode", "postprocess"]
    assert all(duration > 0 for duration in durations.values())
