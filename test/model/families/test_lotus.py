"""Lotus gives what its authors' program gives, on tiny weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.lotus import LOTUS
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from helpers.known_weights import fill_with_known_numbers

_GOLDEN = json.loads((Path(__file__).parent / "lotus_golden.json").read_text(encoding="utf-8"))
_SAMPLED = (slice(None, None, 7), slice(None, None, 5))


def _images(seed: int, size: list[int]) -> list[Any]:
    return [
        np.random.RandomState(number).randint(0, 256, (*size, 3)).astype(np.uint8)
        for number in (seed, seed + 100)
    ]


@pytest.mark.parametrize("case", _GOLDEN["cases"], ids=lambda case: f"{case['layout']}-{case['seed']}")
def test_equals_the_published_repository(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, case: dict[str, Any]
) -> None:
    folder = shutil.copytree(tiny_checkpoint(case["layout"]), tmp_path / case["layout"])
    fill_with_known_numbers(folder)
    task = Task.NORMALS if "normals" in case["layout"] else Task.DEPTH
    estimator = Estimator.load(
        folder, device="cpu", processing_resolution=0, sampling=Sampling(seed=case["seed"])
    )
    estimates = estimator.estimate_batch(_images(case["seed"], case["size"]), tasks=[task])
    for estimate, expected in zip(estimates, case["predicted"], strict=True):
        if task is Task.DEPTH:
            assert estimate.depth is not None
            found = estimate.depth.values[_SAMPLED]
            assert np.std(expected) > 0.02  # else anything would agree
            np.testing.assert_allclose(found, np.reshape(expected, found.shape), rtol=0, atol=1e-5)
        else:
            assert estimate.normals is not None
            found = estimate.normals.values[_SAMPLED]
            vectors = 2 * np.reshape(expected, found.shape) - 1  # x left, y up, z towards the camera
            length = np.linalg.norm(vectors, axis=-1, keepdims=True)
            # Where a vector is short, rounding turns it: by its own length less.
            np.testing.assert_allclose(found * length, -vectors, rtol=0, atol=2e-5)


def test_disparity_is_disparity(tiny_checkpoint: Callable[..., Path]) -> None:
    estimator = Estimator.load(tiny_checkpoint("lotus_d_disparity"), device="cpu", processing_resolution=32)
    depth = estimator.estimate(_images(0, [21, 34])[0]).depth
    assert depth is not None
    assert depth.kind is DepthKind.AFFINE_INVARIANT_DISPARITY


def test_only_what_starts_from_noise_has_members(tiny_checkpoint: Callable[..., Path]) -> None:
    image = _images(0, [21, 34])[0]
    three = Sampling(ensemble_size=3)
    drawn = Estimator.load(
        tiny_checkpoint("lotus_g_depth"), device="cpu", processing_resolution=32, sampling=three
    )
    estimate = drawn.estimate(image)
    assert estimate.depth_uncertainty is not None
    assert estimate.depth_uncertainty.max() > 1e-4
    with pytest.raises(InvalidInputError, match="expected an ensemble of 1, got 3"):
        load_checkpoint(tiny_checkpoint("lotus_d_depth"), sampling=three)
    for wrong in (Sampling(steps=2), Sampling(carry=0.1)):
        with pytest.raises(InvalidInputError, match="answers in one step from noise"):
            load_checkpoint(tiny_checkpoint("lotus_g_depth"), sampling=wrong)


def test_a_batch_in_parts_equals_the_whole(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = Estimator.load(tiny_checkpoint("lotus_d_depth"), device="cpu", processing_resolution=32)
    images = [image for seed in (0, 1) for image in _images(seed, [21, 34])]
    whole = estimator.estimate_batch(images)
    monkeypatch.setattr(estimator, "_batch", lambda _: 3)
    for found, expected in zip(estimator.estimate_batch(images), whole, strict=True):
        assert found.depth is not None
        assert expected.depth is not None
        np.testing.assert_allclose(found.depth.values, expected.depth.values, rtol=0, atol=1e-5)


def test_what_is_not_finite_stays_to_be_seen(tiny_checkpoint: Callable[..., Path]) -> None:
    model = load_checkpoint(tiny_checkpoint("lotus_d_depth")).model
    with torch.no_grad():
        model.vae.decoder.conv_out.bias[1] = torch.inf
        decoded = model(torch.zeros(1, 3, 16, 24), Task.DEPTH)
    assert torch.isinf(decoded[:, 1]).all()
    assert decoded[:, 0].abs().max() <= 1
    assert LOTUS.is_one_step
