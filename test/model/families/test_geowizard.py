from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task
from helpers.known_weights import fill_with_known_numbers

_BOTH = (Task.DEPTH, Task.NORMALS)
_GOLDEN = json.loads((Path(__file__).parent / "geowizard_golden.json").read_text(encoding="utf-8"))
_SAMPLED = (slice(None, None, 7), slice(None, None, 5))


@pytest.mark.parametrize("case", _GOLDEN["cases"], ids=lambda case: f"{case['layout']}-{case['steps']}")
def test_equals_the_published_repository(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, case: dict[str, Any]
) -> None:
    folder = shutil.copytree(tiny_checkpoint(case["layout"]), tmp_path / "checkpoint")
    fill_with_known_numbers(folder)
    sampling = Sampling(
        steps=case["steps"], spacing=case["spacing"], seed=case["seed"], domain=case["domain"]
    )
    estimator = Estimator.load(folder, device="cpu", processing_resolution=0, sampling=sampling)
    image = np.random.RandomState(case["seed"]).randint(0, 256, (*case["size"], 3)).astype(np.uint8)
    estimate = estimator.estimate(image, tasks=_BOTH)
    assert estimate.depth is not None
    assert estimate.normals is not None
    depth, normals = estimate.depth.values[_SAMPLED], estimate.normals.values[_SAMPLED]
    expected = np.reshape(case["depth"], depth.shape), np.reshape(case["normals"], normals.shape)
    assert expected[0].std() > 0.02
    np.testing.assert_allclose(depth, expected[0], rtol=0, atol=1e-4)
    # Its tools show normals negated: x left, y up, z towards the camera.
    np.testing.assert_allclose(normals, -expected[1], rtol=0, atol=1e-4)


def _image(seed: int = 0, size: tuple[int, int] = (21, 34)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def _load(folder: Path, sampling: Sampling | None = None) -> Estimator:
    return Estimator.load(folder, device="cpu", processing_resolution=32, sampling=sampling)


@pytest.mark.parametrize("layout", ["geowizard_v1", "geowizard_v2", "geowizard_e2e_ft"])
def test_a_batch_equals_its_images_and_a_task_alone_both(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    estimator = _load(tiny_checkpoint(layout), None if "e2e" in layout else Sampling(steps=2))
    images = [_image(seed) for seed in range(3)]
    if estimator.engine.network.sampler.starts_from_noise:  # the same noise for each image
        monkeypatch.setattr(torch, "randn", lambda shape, **_: torch.linspace(-2, 2, shape[3]).expand(shape))
    for batch in (1, 4, 100):
        monkeypatch.setattr(estimator, "_batch", lambda _, batch=batch: batch)
        for image, found in zip(images, estimator.estimate_batch(images, tasks=_BOTH), strict=True):
            alone = estimator.estimate(image).depth
            normals = estimator.estimate(image, tasks=[Task.NORMALS]).normals
            assert found.depth is not None
            assert found.normals is not None
            assert alone is not None
            assert normals is not None
            np.testing.assert_allclose(found.depth.values, alone.values, rtol=0, atol=1e-4)
            np.testing.assert_allclose(found.normals.values, normals.values, rtol=0, atol=1e-3)


@pytest.mark.parametrize("layout", ["geowizard_v1", "geowizard_v2"])
def test_the_domain_matters(tiny_checkpoint: Callable[..., Path], layout: str) -> None:
    indoor, outdoor = (
        _load(tiny_checkpoint(layout), Sampling(steps=1, domain=domain)).estimate(_image()).depth
        for domain in ("indoor", "outdoor")
    )
    assert indoor is not None
    assert outdoor is not None
    assert np.abs(indoor.values - outdoor.values).max() > 1e-3


def test_one_task_alone_may_be_loaded(tiny_checkpoint: Callable[..., Path]) -> None:
    sampling = Sampling(steps=1)
    for layout in ("geowizard_v1", "geowizard_v2"):
        folder = tiny_checkpoint(layout)
        alone = Estimator.load(
            folder, task="depth", device="cpu", processing_resolution=32, sampling=sampling
        )
        found, expected = alone.estimate(_image()).depth, _load(folder, sampling).estimate(_image()).depth
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found.values, expected.values)
        with pytest.raises(InvalidInputError, match="predicts depth; normals was asked for"):
            alone.estimate(_image(), tasks=[Task.NORMALS])


def test_is_written_but_for_its_encoders(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = tiny_checkpoint("geowizard_e2e_ft")
    loaded = load_checkpoint(folder)
    written = write_checkpoint(tmp_path / "new", loaded.model, loaded.facts, torch.float32)
    assert not (written / "image_encoder").exists()
    for part in ("image_encoder", "feature_extractor"):
        shutil.copytree(folder / part, written / part)
    found, expected = (_load(one).estimate(_image()).depth for one in (written, folder))
    assert found is not None
    assert expected is not None
    np.testing.assert_array_equal(found.values, expected.values)


def test_ensembles_of_both(tiny_checkpoint: Callable[..., Path]) -> None:
    estimator = _load(tiny_checkpoint("geowizard_v1"), Sampling(steps=1, ensemble_size=3))
    estimate = estimator.estimate(_image(), tasks=_BOTH)
    assert estimate.depth_uncertainty is not None
    assert estimate.normals_uncertainty is not None
    assert estimate.depth_uncertainty.max() > 1e-3
    assert estimate.normals_uncertainty.max() > 1e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_close(tiny_checkpoint: Callable[..., Path], dtype: str) -> None:
    folder = tiny_checkpoint("geowizard_e2e_ft")
    found = Estimator.load(folder, device="cpu", dtype=dtype, processing_resolution=32).estimate(_image())
    expected = _load(folder).estimate(_image())
    assert found.depth is not None
    assert expected.depth is not None
    assert np.abs(found.depth.values - expected.depth.values).mean() < 0.02


def test_what_is_missing_is_named(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("geowizard_v1"), tmp_path / "checkpoint")
    weights = folder / "image_encoder" / "model.safetensors"
    weights.rename(tmp_path / "kept")
    with pytest.raises(CheckpointError, match=r"image_encoder: expected model\.safetensors"):
        load_checkpoint(folder)
    (tmp_path / "kept").rename(weights)
    config = folder / "feature_extractor" / "preprocessor_config.json"
    config.write_text("{}")
    with pytest.raises(CheckpointError, match="expected crop_size"):
        load_checkpoint(folder)


def test_refuses_what_one_step_cannot_do(tiny_checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(InvalidInputError, match="one deterministic step: expected steps 1, got 2"):
        _load(tiny_checkpoint("geowizard_e2e_ft"), Sampling(steps=2))
