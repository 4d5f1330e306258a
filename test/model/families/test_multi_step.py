from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.core.framing import framing_for
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.engine.torch_engine import TorchEngine
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.one_step import ONE_STEP
from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task


def _image(seed: int = 0, size: tuple[int, int] = (21, 34)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def _load(folder: Path, sampling: Sampling) -> Estimator:
    return Estimator.load(folder, device="cpu", processing_resolution=32, sampling=sampling)


def _depth(estimator: Estimator, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    depth = estimator.estimate(image).depth
    assert depth is not None
    return depth.values


def test_the_seed_is_all_that_is_random(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("marigold_depth_lcm")
    zero, one = (_load(folder, Sampling(steps=2, seed=seed)) for seed in (0, 1))
    global_state = torch.get_rng_state()
    first = _depth(zero, _image())
    assert torch.equal(torch.get_rng_state(), global_state)
    np.testing.assert_array_equal(_depth(zero, _image()), first)
    assert np.abs(_depth(one, _image()) - first).mean() > 0.01
    unseeded = _load(folder, Sampling(steps=2, seed=None))
    assert np.abs(_depth(unseeded, _image()) - _depth(unseeded, _image())).mean() > 0.01


@pytest.mark.parametrize("layout", ["marigold_depth_v1_1", "marigold_depth_lcm"])
def test_the_memory_bound_changes_nothing_but_memory(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Neither in what is drawn nor in what comes out; only the network sees fewer items at once."""
    sampling = Sampling(steps=2, ensemble_size=5)
    whole = _load(tiny_checkpoint(layout), sampling)
    parts = _load(tiny_checkpoint(layout), sampling)
    seen: list[int] = []
    unet = parts.engine.network.unet.forward
    monkeypatch.setattr(parts, "_batch", lambda _: 2)
    monkeypatch.setattr(
        parts.engine.network.unet, "forward", lambda x, *a, **k: seen.append(len(x)) or unet(x, *a, **k)
    )
    images = [_image(seed) for seed in range(3)]
    for found, expected in zip(parts.estimate_batch(images), whole.estimate_batch(images), strict=True):
        assert found.depth is not None
        assert expected.depth is not None
        np.testing.assert_allclose(found.depth.values, expected.depth.values, rtol=0, atol=2e-3)
    assert seen == 2 * [2, 2, 2, 2, 2, 2, 2, 1]


def test_the_memory_bound_counts_pixels_and_bytes(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("marigold_depth_v1_1")
    single, half = (
        Estimator.load(folder, device="cpu", dtype=dtype, processing_resolution=32, batch_memory_mb=1)
        for dtype in ("float32", "float16")
    )
    floats = single.facts.activation_floats
    assert floats == 8 * 8
    framing = framing_for((21, 34), 32, 8)
    pixels = framing.padded_size[0] * framing.padded_size[1]
    assert single._batch(framing) == 10**6 // (4 * floats * pixels)
    assert half._batch(framing) == 10**6 // (2 * floats * pixels)
    assert single._batch(framing_for((2100, 3400), 0, 8)) == 1


def test_carrying_over_steadies_a_video_and_ends_with_the_scene(tiny_checkpoint: Callable[..., Path]) -> None:
    estimator = _load(tiny_checkpoint("marigold_depth_v1_1"), Sampling(steps=1, carry=0.3))
    first = _depth(estimator, _image(0))
    second = _depth(estimator, _image(1))
    estimator.forget_last_frame()
    alone = _depth(estimator, _image(1))
    assert np.abs(second - alone).max() > 1e-3
    estimator.forget_last_frame()
    np.testing.assert_array_equal(_depth(estimator, _image(0)), first)
    _depth(estimator, _image(0, size=(30, 20)))  # another size: nothing to carry over
    np.testing.assert_array_equal(_depth(estimator, _image(1)), alone)


def test_nan_is_not_carried_over(
    tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = _load(tiny_checkpoint("marigold_depth_v1_1"), Sampling(steps=1, carry=0.3))
    alone = _depth(estimator, _image(1))
    estimator.forget_last_frame()
    with monkeypatch.context() as broken:
        broken.setattr(estimator.engine.network, "encode", lambda _: torch.full((1, 4, 3, 4), torch.nan))
        assert estimator.estimate(_image(0)).non_finite == 21 * 34
    np.testing.assert_array_equal(_depth(estimator, _image(1)), alone)


def test_an_ensemble_has_an_uncertainty_at_the_image_s_size(tiny_checkpoint: Callable[..., Path]) -> None:
    estimate = _load(tiny_checkpoint("marigold_depth_lcm"), Sampling(ensemble_size=3)).estimate(_image())
    assert estimate.depth_uncertainty is not None
    assert estimate.depth_std is not None
    assert estimate.depth_uncertainty.shape == (21, 34)
    assert estimate.depth_uncertainty.dtype == estimate.depth_std.dtype == np.float32
    assert estimate.depth_uncertainty.max() > 0.01
    np.testing.assert_allclose(estimate.depth_std, 1.4826 * estimate.depth_uncertainty, rtol=1e-5)


@pytest.mark.parametrize("layout", ["marigold_depth_v1_1", "marigold_depth_lcm"])
def test_what_is_written_is_of_the_same_family(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, layout: str
) -> None:
    original = load_checkpoint(tiny_checkpoint(layout))
    written = load_checkpoint(
        write_checkpoint(tmp_path / "written", original.model, original.facts, torch.float32)
    )
    assert written.facts.family is original.facts.family
    assert written.facts.steps == original.facts.steps
    assert written.facts.scheduler_config == original.facts.scheduler_config


def test_refuses_a_unet_that_reads_no_target(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("four_channels"), tmp_path / "copy")
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "default_denoising_steps": 4}))
    with pytest.raises(CheckpointError, match="image and target, 8 channels"):
        load_checkpoint(folder)


def test_refuses_wrong_noise(tiny_checkpoint: Callable[..., Path]) -> None:
    model = load_checkpoint(tiny_checkpoint("marigold_depth_lcm")).model
    with pytest.raises(InvalidInputError, match="noise for each of 2 predictions, got none"):
        model.denoise(torch.zeros(2, 4, 3, 4), [Task.DEPTH])
    one_step = load_checkpoint(tiny_checkpoint("e2e_ft_depth"))
    assert one_step.facts.family is ONE_STEP
    with pytest.raises(InvalidInputError, match="starts from zero"):
        one_step.model.denoise(torch.zeros(1, 4, 3, 4), [Task.DEPTH], torch.zeros(1, 4, 3, 4))


def test_refuses_no_memory(tiny_checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(InvalidInputError, match="1 MB for a pass, got 0"):
        Estimator.load(tiny_checkpoint(), device="cpu", batch_memory_mb=0)


@pytest.mark.parametrize(
    ("layout", "asked", "expected"),
    [
        ("marigold_depth_v1_1", None, 4),
        ("marigold_depth_v1_1", 2, 2),
        ("marigold_depth_lcm", 3, 3),
        ("geowizard_v1", 2, 2),
        ("embedded", None, 1),
        ("geowizard_e2e_ft", None, 1),
    ],
)
def test_a_network_takes_the_steps_that_its_estimator_tells(
    tiny_checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    asked: int | None,
    expected: int,
) -> None:
    estimator = Estimator(
        TorchEngine(load_checkpoint(tiny_checkpoint(layout), sampling=Sampling(steps=asked)))
    )
    steps = []
    unet = estimator.engine.network.unet.forward
    monkeypatch.setattr(
        estimator.engine.network.unet, "forward", lambda *a, **k: steps.append(a[1]) or unet(*a, **k)
    )
    estimator.estimate(_image())
    assert len(steps) == estimator.steps == expected
