"""Networks that start from noise give what diffusers' Marigold pipelines give from the same seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import MarigoldDepthPipeline, MarigoldNormalsPipeline
from numpy.typing import NDArray

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

diffusers.utils.logging.set_verbosity_error()

_OPTICAL_FROM_MARIGOLD = np.array([1, -1, -1], dtype=np.float32)
_RESOLUTION = 40


@pytest.mark.parametrize(
    ("layout", "sampling"),
    [
        ("marigold_depth_v1_0", Sampling()),
        ("marigold_depth_v1_0", Sampling(steps=1, seed=7)),
        ("marigold_depth_v1_0", Sampling(steps=5, spacing="leading")),
        ("marigold_depth_v1_0", Sampling(steps=3, spacing="linspace")),
        ("marigold_depth_v1_1", Sampling()),
        ("marigold_depth_v1_1", Sampling(steps=1)),
        ("marigold_depth_v1_1", Sampling(steps=7, spacing="linspace", seed=123)),
        ("marigold_depth_lcm", Sampling()),
        ("marigold_depth_lcm", Sampling(steps=2)),
        ("marigold_depth_lcm", Sampling(steps=4, seed=3)),
        ("leading_and_silent_depth", Sampling(steps=2)),
    ],
)
def test_depth_equals_the_pipeline(
    tiny_checkpoint: Callable[..., Path], layout: str, sampling: Sampling
) -> None:
    images = _images((37, 58), count=3)
    folder = tiny_checkpoint(layout)
    estimator = _estimator(folder, sampling)
    expected = _pipeline(folder, MarigoldDepthPipeline, sampling)(
        _tensor(images), batch_size=3, generator=_generator(sampling)
    ).prediction[..., 0]
    assert expected.std() > 0.02  # else anything would agree
    assert np.abs(expected[0] - expected[1]).mean() > 0.01
    for estimate, depth in zip(estimator.estimate_batch(images), expected, strict=True):
        assert estimate.depth is not None
        assert estimate.depth_uncertainty is None
        np.testing.assert_allclose(estimate.depth.values, depth, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "sampling"),
    [
        ("marigold_normals_v0_1", Sampling(steps=2)),
        ("marigold_normals_v1_1", Sampling(steps=3, seed=5)),
        ("marigold_normals_lcm", Sampling(steps=3)),
    ],
)
def test_normals_equal_the_pipeline(
    tiny_checkpoint: Callable[..., Path], layout: str, sampling: Sampling
) -> None:
    images = _images((59, 38), count=2)
    folder = tiny_checkpoint(layout)
    expected = _pipeline(folder, MarigoldNormalsPipeline, sampling)(
        _tensor(images), batch_size=2, generator=_generator(sampling)
    ).prediction
    estimates = _estimator(folder, sampling).estimate_batch(images, tasks=[Task.NORMALS])
    for estimate, normals in zip(estimates, expected, strict=True):
        assert estimate.normals is not None
        optical = normals * _OPTICAL_FROM_MARIGOLD
        np.testing.assert_allclose(estimate.normals.values, optical, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("layout", "steps"), [("marigold_normals_v1_1", 2), ("marigold_normals_lcm", 2)])
def test_ensembles_of_normals_equal_the_pipeline(
    tiny_checkpoint: Callable[..., Path], layout: str, steps: int
) -> None:
    images = _images((33, 52), count=2)
    folder, sampling = tiny_checkpoint(layout), Sampling(steps=steps, ensemble_size=5)
    expected = _pipeline(folder, MarigoldNormalsPipeline, sampling)(
        _tensor(images),
        batch_size=10,
        ensemble_size=5,
        generator=_generator(sampling),
        output_uncertainty=True,
    )
    estimates = _estimator(folder, sampling).estimate_batch(images, tasks=[Task.NORMALS])
    for i, estimate in enumerate(estimates):
        assert estimate.normals is not None
        assert estimate.normals_uncertainty is not None
        optical = expected.prediction[i] * _OPTICAL_FROM_MARIGOLD
        # Where two members are equally close to the mean, rounding chooses.
        differs = np.abs(estimate.normals.values - optical).max(axis=-1) > 1e-4
        assert differs.mean() < 0.005
        uncertainty = expected.uncertainty[i, ..., 0]
        assert uncertainty.max() > 0.01
        np.testing.assert_allclose(estimate.normals_uncertainty, uncertainty, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "sampling"),
    [
        ("marigold_depth_v1_0", Sampling(steps=2, ensemble_size=4)),
        ("marigold_depth_v1_1", Sampling(steps=1, ensemble_size=3, seed=2)),
        ("marigold_depth_lcm", Sampling(steps=3, ensemble_size=3)),
    ],
)
def test_ensembles_of_depth_equal_the_pipeline(
    tiny_checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    sampling: Sampling,
) -> None:
    """With the alignment from which diffusers' minimiser starts, in both: ours ends elsewhere, and better."""
    images = _images((37, 58), count=2)
    folder = tiny_checkpoint(layout)
    pipeline = _pipeline(folder, MarigoldDepthPipeline, sampling)
    aligned: list[tuple[torch.Tensor, torch.Tensor]] = []

    def remember(_cost: Any, start: NDArray[np.float64], **_: Any) -> Any:
        aligned.append(
            (torch.from_numpy(start[: len(start) // 2]), torch.from_numpy(start[len(start) // 2 :]))
        )
        return type("Result", (), {"x": start})

    monkeypatch.setattr("scipy.optimize.minimize", remember)
    expected = pipeline(
        _tensor(images),
        batch_size=len(images) * sampling.ensemble_size,
        ensemble_size=sampling.ensemble_size,
        generator=_generator(sampling),
        output_uncertainty=True,
    )
    theirs = iter(aligned)
    monkeypatch.setattr(
        "e2e_depth_ros.model.ensemble.align_members", lambda *_: tuple(part.float() for part in next(theirs))
    )
    for i, estimate in enumerate(_estimator(folder, sampling).estimate_batch(images)):
        assert estimate.depth is not None
        assert estimate.depth_uncertainty is not None
        depth, uncertainty = expected.prediction[i, ..., 0], expected.uncertainty[i, ..., 0]
        assert uncertainty.max() > 0.01
        np.testing.assert_allclose(estimate.depth.values, depth, rtol=0, atol=1e-4)
        np.testing.assert_allclose(estimate.depth_uncertainty, uncertainty, rtol=0, atol=1e-4)


def test_carried_latents_equal_the_pipeline(tiny_checkpoint: Callable[..., Path]) -> None:
    """The video recipe of diffusers' documentation: 0.9 of the noise and 0.1 of the last frame's latents."""
    first, second = _images((37, 58), count=2)
    folder, sampling = tiny_checkpoint("marigold_depth_v1_1"), Sampling(steps=2, carry=0.1)
    pipeline, estimator = _pipeline(folder, MarigoldDepthPipeline, sampling), _estimator(folder, sampling)
    noise = torch.randn(1, 4, 4, 5, generator=_generator(sampling))
    latents = noise
    for image in (first, second, second):
        expected = pipeline(_tensor([image]), latents=latents, output_latent=True)
        latents = 0.9 * noise + 0.1 * expected.latent
        found = estimator.estimate(image).depth
        assert found is not None
        np.testing.assert_allclose(found.values, expected.prediction[0, ..., 0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.06)], ids=["fp16", "bf16"]
)
@pytest.mark.parametrize("layout", ["marigold_depth_v1_1", "marigold_depth_lcm"])
def test_half_precision_stays_close(
    tiny_checkpoint: Callable[..., Path], layout: str, dtype: torch.dtype, tolerance: float
) -> None:
    """To the pipeline in the same format; at the native size, as the CPU doesn't resize in float16."""
    image, sampling = _images((37, 58), count=1), Sampling(steps=2)
    folder = tiny_checkpoint(layout)
    pipeline = _pipeline(folder, MarigoldDepthPipeline, sampling).to(dtype)
    expected = pipeline(_tensor(image), generator=_generator(sampling), processing_resolution=0).prediction[
        0, ..., 0
    ]
    name = str(dtype).removeprefix("torch.")
    estimator = Estimator.load(folder, device="cpu", dtype=name, processing_resolution=0, sampling=sampling)
    depth = estimator.estimate(image[0]).depth
    assert depth is not None
    difference = np.abs(depth.values - expected.astype(np.float32))
    assert 0 < difference.max() < tolerance, difference.max()


def _images(size: tuple[int, int], count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def _tensor(images: list[NDArray[np.uint8]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def _generator(sampling: Sampling) -> torch.Generator:
    assert sampling.seed is not None
    return torch.Generator().manual_seed(sampling.seed)


def _estimator(folder: Path, sampling: Sampling) -> Estimator:
    return Estimator.load(folder, device="cpu", processing_resolution=_RESOLUTION, sampling=sampling)


def _pipeline(
    folder: Path, pipeline_class: type[MarigoldDepthPipeline | MarigoldNormalsPipeline], sampling: Sampling
) -> Callable[..., Any]:
    """Load the pipeline with the spacing of the sampling, and bind what the sampling says of its call."""
    pipeline = pipeline_class.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if isinstance(pipeline.scheduler, diffusers.DDIMScheduler):
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(
            pipeline.scheduler.config, timestep_spacing=sampling.spacing
        )
    return _Bound(pipeline, sampling)


class _Bound:
    def __init__(self, pipeline: Any, sampling: Sampling) -> None:
        self.pipeline = pipeline
        self.sampling = sampling

    def to(self, dtype: torch.dtype) -> _Bound:
        return _Bound(self.pipeline.to(dtype), self.sampling)

    def __call__(self, images: torch.Tensor, **arguments: Any) -> Any:
        return self.pipeline(
            images,
            num_inference_steps=self.sampling.steps,
            **{"processing_resolution": _RESOLUTION, **arguments},
        )
