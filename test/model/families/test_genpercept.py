"""GenPercept gives what its authors' program gives, on tiny weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_depth_ros.model.estimator import Estimator
from helpers.known_weights import fill_with_known_numbers

_GOLDEN = json.loads((Path(__file__).parent / "genpercept_golden.json").read_text(encoding="utf-8"))
_SAMPLED = (slice(None, None, 7), slice(None, None, 5))
_FROM_MARIGOLD = np.array([1, -1, -1])


@pytest.mark.parametrize("case", _GOLDEN["cases"], ids=lambda case: case["layout"])
def test_equals_the_published_repository(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, case: dict[str, Any]
) -> None:
    folder = shutil.copytree(tiny_checkpoint(case["layout"]), tmp_path / case["layout"])
    fill_with_known_numbers(folder)
    estimator = Estimator.load(folder, device="cpu", processing_resolution=0)
    images = [
        np.random.RandomState(number).randint(0, 256, (*case["size"], 3)).astype(np.uint8)
        for number in (case["seed"], case["seed"] + 100)
    ]
    estimates = estimator.estimate_batch(images, tasks=estimator.tasks)
    for estimate, expected in zip(estimates, case["predicted"], strict=True):
        assert np.std(expected) > 0.02
        if estimate.depth is not None:
            found = estimate.depth.values[_SAMPLED]
            np.testing.assert_allclose(found, np.reshape(expected, found.shape), rtol=0, atol=1e-5)
            continue
        assert estimate.normals is not None
        found = estimate.normals.values[_SAMPLED]
        vectors = 2 * np.reshape(expected, found.shape) - 1
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        # Where a vector is short, rounding turns it: by its own length less.
        np.testing.assert_allclose(found * length, vectors * _FROM_MARIGOLD, rtol=0, atol=2e-5)
