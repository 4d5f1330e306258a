from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, MarigoldDepthPipeline, MarigoldNormalsPipeline
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.checkpoint.writing import write_checkpoint
from e2e_depth_ros.model.estimator import Estimator
from e2e_depth_ros.model.families.family import LatentNetwork
from e2e_depth_ros.model.families.one_step import facts_of_new_model
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts
from e2e_depth_ros.model.task import Task

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_what_is_written_is_what_is_read(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    written = write_checkpoint(tmp_path / "new" / "written", original.model, original.facts)
    again = load_checkpoint(written)
    assert again.facts.tasks == original.facts.tasks
    assert again.facts.scheduler_config == original.facts.scheduler_config
    assert again.facts.processing_resolution == original.facts.processing_resolution
    assert again.facts.upsampling == original.facts.upsampling == "guided"
    for name, tensor in original.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name  # fp16 as it was
    assert [path.name for path in written.parent.iterdir()] == ["written"]


def test_diffusers_reads_what_is_written(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    model = load_checkpoint(tiny_checkpoint("embedded")).model
    new = LatentNetwork(
        model.unet, model.vae, {task: model.prompt_embedding(task) for task in Task}, model.sampler
    )
    facts = facts_of_new_model("new", new.unet, new.vae, tasks=list(Task), processing_resolution=72)
    written = write_checkpoint(tmp_path / "written", new, facts)
    for pipeline_class in (MarigoldDepthPipeline, MarigoldNormalsPipeline):
        pipeline = pipeline_class.from_pretrained(written, text_encoder=None, tokenizer=None)
        assert pipeline.default_processing_resolution == 72
        assert pipeline.scheduler.config.timestep_spacing == "trailing"


def test_diffusers_reads_the_embedded_checkpoint_as_the_documentation_says() -> None:
    folder = find_checkpoint("embedded")
    image = np.random.default_rng(3).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    for pipeline_class, task in (
        (MarigoldDepthPipeline, Task.DEPTH),
        (MarigoldNormalsPipeline, Task.NORMALS),
    ):
        pipeline = pipeline_class.from_pretrained(folder, text_encoder=None, tokenizer=None)
        pipeline.empty_text_embedding = load_file(folder / "prompt_embedding.safetensors")[task.value]
        pipeline.set_progress_bar_config(disable=True)
        assert pipeline.unet.dtype == torch.float32
        expected = pipeline(
            torch.from_numpy(image).permute(2, 0, 1)[None] / 255,
            num_inference_steps=1,
            processing_resolution=64,
            latents=torch.zeros(1, 16, 5, 8),
        ).prediction[0]
        estimate = Estimator.load(folder, device="cpu", processing_resolution=64).estimate(
            image, tasks=[task]
        )
        if estimate.depth is not None:
            np.testing.assert_allclose(estimate.depth.values, expected[..., 0], rtol=0, atol=1e-4)
        if estimate.normals is not None:
            signs = np.array([1, -1, -1], dtype=np.float32)  # Marigold's x right, y up, z towards the camera
            np.testing.assert_allclose(estimate.normals.values, expected * signs, rtol=0, atol=1e-3)


def test_disparity_is_written_as_such(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("marigold_depth"))
    facts = replace(original.facts, depth_kind=DepthKind.AFFINE_INVARIANT_DISPARITY)
    written = write_checkpoint(tmp_path / "written", original.model, facts)
    assert read_facts(written).depth_kind is DepthKind.AFFINE_INVARIANT_DISPARITY


def test_whoever_the_umask_lets_may_read_what_is_written(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    before = os.umask(0o027)
    try:
        folder = write_checkpoint(tmp_path / "written", original.model, original.facts)
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".safetensors" for path in files) == 3  # UNet, VAE, prompt
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir() if path.is_dir()} == {"0o750"}


def test_loading_a_tiny_vae_warns_of_nothing(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    diffusers_logger = logging.getLogger("diffusers")
    diffusers_logger.addHandler(caplog.handler)  # diffusers' own doesn't propagate
    try:
        original = load_checkpoint(tiny_checkpoint("tiny_vae"))
        assert original.facts.has_tiny_vae
        written = write_checkpoint(tmp_path / "written", original.model, original.facts)
        AutoencoderTiny.from_pretrained(written / "vae")
    finally:
        diffusers_logger.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert load_checkpoint(written).facts.down_factor == original.facts.down_factor


def test_writing_again_keeps_the_model_card(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    folder = write_checkpoint(tmp_path / "written", original.model, original.facts)
    (folder / "README.md").write_text("card")
    write_checkpoint(folder, original.model, original.facts, torch.float32)
    assert (folder / "README.md").read_text() == "card"
    assert [path.name for path in folder.glob("unet/*.safetensors")] == [_WEIGHTS]
    assert read_facts(folder).tasks == set(Task)


def test_writes_nothing_that_is_not_finite(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    original = load_checkpoint(tiny_checkpoint("embedded"))
    with torch.no_grad():
        original.model.vae.decoder.conv_out.bias.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"decoder\.conv_out\.bias.*not written"):
        write_checkpoint(tmp_path / "written", original.model, original.facts)
    assert list(tmp_path.iterdir()) == []
