"""Every layout gives what diffusers' Marigold pipelines give from the same files.

Two programs that add in another order differ by rounding, and how much that is depends on the network, the
processor and the number of threads. So the pipeline runs twice: in float64, exact beside float32, and in
float32, which tells how far rounding drives this network on this machine. Ours may be off by some times
that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, MarigoldDepthPipeline, MarigoldNormalsPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from transformers import CLIPTextModel, CLIPTokenizer

from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.task import Task

diffusers.utils.logging.set_verbosity_error()

# The largest of some thousand roundings varies by a factor of two or three between orders of summation.
_ROUNDINGS = 3
# Rounding was 4e-6 of depth and 4e-5 of normals, whose vectors may be short; a wrong scheduler, crop or sign
# is far larger.
_MOST_ROUNDING = 2e-4

_OPTICAL_FROM_MARIGOLD = np.array([1, -1, -1], dtype=np.float32)

_DEPTH_LAYOUTS = [
    "e2e_ft_depth",
    "marigold_depth",
    "zero_snr",
    "epsilon",
    "sample",
    "four_channels",
    "tiny_vae",
    "fp16",
    "sharded",
    "embedded",
]
_NORMALS_LAYOUTS = ["e2e_ft_normals", "marigold_normals", "marigold_normals_half_z", "embedded"]


@pytest.mark.parametrize("layout", _DEPTH_LAYOUTS)
def test_depth_equals_the_pipelines(tiny_checkpoint: Callable[..., Path], layout: str) -> None:
    images = _images((37, 58), count=3)
    folder = tiny_checkpoint(layout)
    estimator = Estimator.load(folder, device="cpu", processing_resolution=48)
    expected, tolerance = _pipeline_result(folder, Task.DEPTH, images, 48, estimator)
    estimates = estimator.estimate_batch(images)
    assert expected.std() > 0.02  # else anything would agree
    for estimate, depth in zip(estimates, expected[..., 0], strict=True):
        assert estimate.normals is None
        assert estimate.depth is not None
        assert estimate.depth.valid.all()
        np.testing.assert_allclose(estimate.depth.values, depth, rtol=0, atol=tolerance)


@pytest.mark.parametrize("layout", _NORMALS_LAYOUTS)
def test_normals_equal_the_pipelines(tiny_checkpoint: Callable[..., Path], layout: str) -> None:
    images = _images((59, 38), count=2)
    folder = tiny_checkpoint(layout)
    estimator = Estimator.load(folder, device="cpu", processing_resolution=40)
    expected, tolerance = _pipeline_result(folder, Task.NORMALS, images, 40, estimator)
    estimates = estimator.estimate_batch(images, tasks=[Task.NORMALS])
    assert expected.std(axis=(0, 1, 2)).min() > 0.02
    for estimate, normals in zip(estimates, expected, strict=True):
        assert estimate.depth is None
        assert estimate.normals is not None
        # The pipeline shows what the network decodes; E2E-FT's own x points left.
        sign_of_x = -1 if layout == "e2e_ft_normals" else 1
        optical = normals * _OPTICAL_FROM_MARIGOLD * np.array([sign_of_x, 1, 1])
        np.testing.assert_allclose(estimate.normals.values, optical, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [(1, 1), (9, 33), (8, 16), (63, 17)])
def test_native_size_equals_the_pipelines(
    tiny_checkpoint: Callable[..., Path], size: tuple[int, int]
) -> None:
    images = _images(size, count=2)
    folder = tiny_checkpoint("marigold_depth")
    estimator = Estimator.load(folder, device="cpu", processing_resolution=0)
    expected, tolerance = _pipeline_result(folder, Task.DEPTH, images, 0, estimator)
    for estimate, depth in zip(estimator.estimate_batch(images), expected[..., 0], strict=True):
        assert estimate.depth is not None
        np.testing.assert_allclose(estimate.depth.values, depth, rtol=0, atol=tolerance)


def test_default_resolution_equals_the_pipelines(tiny_checkpoint: Callable[..., Path]) -> None:
    images = _images((31, 57), count=1)
    folder = tiny_checkpoint("marigold_depth")
    estimator = Estimator.load(folder, device="cpu")
    expected, tolerance = _pipeline_result(folder, Task.DEPTH, images, None, estimator)
    depth = estimator.estimate(images[0]).depth
    assert depth is not None
    np.testing.assert_allclose(depth.values, expected[0, ..., 0], rtol=0, atol=tolerance)


def _images(size: tuple[int, int], count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def _pipeline_result(
    folder: Path,
    task: Task,
    images: list[NDArray[np.uint8]],
    processing_resolution: int | None,
    estimator: Estimator,
) -> tuple[NDArray[np.float64], float]:
    """Run diffusers' pipeline as a one-step model wants it: zero latents, trailing, one step.

    Returns:
        (B, H, W, C), its exact result; and by how much float32 may be off.
    """
    exact, rounded = (
        _run_pipeline(_pipeline(folder, task, estimator, dtype), images, processing_resolution)
        for dtype in (torch.float64, torch.float32)
    )
    rounding = max(float(np.abs(rounded - exact).max()), float(np.finfo(np.float32).eps))
    assert _ROUNDINGS * rounding < _MOST_ROUNDING
    return exact, _ROUNDINGS * rounding


def _run_pipeline(
    pipeline: MarigoldDepthPipeline | MarigoldNormalsPipeline,
    images: list[NDArray[np.uint8]],
    processing_resolution: int | None,
) -> NDArray[np.float64]:
    pipeline.set_progress_bar_config(disable=True)
    height, width = images[0].shape[:2]
    resolution = (
        pipeline.default_processing_resolution if processing_resolution is None else processing_resolution
    )
    if resolution:
        height, width = (n * resolution // max(height, width) for n in (height, width))
    factor = pipeline.vae_scale_factor
    latents = torch.zeros(
        *(len(images), pipeline.vae.config.latent_channels, -(-height // factor), -(-width // factor)),
        dtype=pipeline.dtype,
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(pipeline.dtype)  # in it transformers before 5 makes the mask of the text
    try:
        result = pipeline(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(pipeline.dtype) / 255,
            num_inference_steps=1,
            processing_resolution=processing_resolution,
            latents=latents,
            batch_size=len(images),
        ).prediction
    finally:
        torch.set_default_dtype(default)
    return np.asarray(result, dtype=np.float64)


def _pipeline(
    folder: Path, task: Task, estimator: Estimator, dtype: torch.dtype
) -> MarigoldDepthPipeline | MarigoldNormalsPipeline:
    pipeline_class = MarigoldDepthPipeline if task is Task.DEPTH else MarigoldNormalsPipeline
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    scheduler = DDIMScheduler.from_config(config, timestep_spacing="trailing")
    variant = "fp16" if any((folder / "unet").glob("*.fp16.*")) else None
    if not (folder / "text_encoder").is_dir():
        pipeline = pipeline_class.from_pretrained(
            folder, scheduler=scheduler, variant=variant, text_encoder=None, tokenizer=None
        ).to(dtype)
        pipeline.empty_text_embedding = estimator.engine.network.prompt_embedding(task).to(dtype)
        return pipeline
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", variant=variant)
    if unet.config.in_channels == unet.config.out_channels:  # the pipelines know no such UNet: widen it
        unet = _with_target_channels(unet)
    parts = {
        "unet": unet,
        "scheduler": scheduler,
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder", variant=variant),
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
    }
    return pipeline_class.from_pretrained(folder, variant=variant, **parts).to(dtype)


def _with_target_channels(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Let a UNet read a target too; zeros are all that it will see of it."""
    wide = UNet2DConditionModel.from_config(dict(unet.config), in_channels=2 * unet.config.in_channels)
    state = dict(unet.state_dict())
    weight = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([weight, torch.randn_like(weight)], dim=1)
    wide.load_state_dict(state)
    return wide.eval()
