"""A network of Stable Diffusion 2's full size goes one optimiser step. E2E_DEPTH_STRESS=1 runs it."""

import json
import math
import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

from e2e_depth_ros.training.loop import LOG, STATE, Trainer
from e2e_depth_ros.training.recipe import recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard

GIB = 1 << 30
NEEDS_GIB = 11

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(os.environ.get("E2E_DEPTH_STRESS") != "1", reason="E2E_DEPTH_STRESS=1 runs it"),
    pytest.mark.timeout(3600),
]


def memory_gib(key, path="/proc/meminfo"):
    """Return a number of the kernel's tables of memory."""
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line)
    return int(lines[key].split()[0]) * 1024 / GIB


def write_checkpoint_of_full_size(folder):
    """Write Stable Diffusion 2's UNet of 8 channels and its autoencoder, with random weights."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=96,
        in_channels=8,
        out_channels=4,
        block_out_channels=(320, 640, 1280, 1280),
        attention_head_dim=(5, 10, 20, 20),
        cross_attention_dim=1024,
        use_linear_projection=True,
    )
    assert sum(p.numel() for p in unet.parameters()) == pytest.approx(865.9e6, rel=1e-3)
    unet.half().save_pretrained(folder / "unet", variant="fp16")
    del unet
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=768,
    )
    assert sum(p.numel() for p in vae.parameters()) == pytest.approx(83.7e6, rel=1e-3)
    vae.half().save_pretrained(folder / "vae", variant="fp16")
    scheduler = {
        "_class_name": "DDIMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction",
        "set_alpha_to_one": False,
        "clip_sample": False,
    }
    for name, content in (
        ("scheduler/scheduler_config.json", scheduler),
        ("model_index.json", {"_class_name": "MarigoldDepthPipeline", "prediction_type": "depth"}),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    save_file({"depth": torch.randn(1, 2, 1024)}, folder / "prompt_embedding.safetensors")


def keep_moments_in_a_file(optimiser, path):
    """Let AdamW's moments lie in a file mapped into memory: the same numbers, in pages that can be let go."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    count = sum(p.numel() for p in parameters)
    moments = torch.from_file(str(path), shared=True, size=2 * count, dtype=torch.float32).split(
        [p.numel() for p in parameters for _ in range(2)]
    )
    for p, average, square in zip(parameters, moments[::2], moments[1::2], strict=True):
        state = {"step": torch.zeros(()), "exp_avg": average.view_as(p), "exp_avg_sq": square.view_as(p)}
        optimiser.state[p] = state


@pytest.fixture
def folder(tmp_path):
    """A folder that goes away at once: it holds 20 GB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_goes_one_step_with_gradient_checkpointing(folder, capsys):
    if memory_gib("MemAvailable") < NEEDS_GIB:
        pytest.skip(f"needs {NEEDS_GIB} GiB of free memory, there are {memory_gib('MemAvailable'):.1f}")
    in_memory = memory_gib("MemAvailable") > 20
    rng = np.random.default_rng(0)
    v, u = np.mgrid[0:64, 0:64].astype(np.float32)
    image = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    normals = np.zeros((64, 64, 3), np.float32)
    depth_m = (2 + 0.03 * u + 0.05 * v).astype(np.float32)
    write_shard(folder / "train.npz", [Sample(image, depth_m, normals, 40.0, "room", 0)])
    write_checkpoint_of_full_size(folder / "marigold-depth")
    recipe = recipe_from_mapping(
        {
            "model": {
                "name": "full",
                "start": str(folder / "marigold-depth"),
                "processing_resolution": 64,
                "train_autoencoder": False,
                "gradient_checkpointing": True,
            },
            "data": {
                "train": [{"shards": str(folder / "*.npz")}],
                "sizes": [{"height": 64, "width": 64}],
                "batch_size": 1,
                "workers": 0,
            },
            "loss": {"normals": {"weight": 0.0}},
            "optimiser": {"steps": 1, "warmup_steps": 0},
            "run": {"device": "cpu", "threads": 1, "log_seconds": 0.0},
        }
    )
    output = folder / "out"
    output.mkdir()
    trainer = Trainer(recipe, output, resume=False)
    if not in_memory:
        keep_moments_in_a_file(trainer.optimiser, folder / "moments")
    before = trainer.model.unet.conv_in.weight.detach().clone()
    started = time.monotonic()
    steps = trainer._step

    def timed(batches):
        steps(batches)
        timed.seconds = time.monotonic() - started
        timed.anonymous_gib = memory_gib("RssAnon", "/proc/self/status")

    trainer._step = timed
    result = trainer.run()
    assert (result.steps, result.bad_steps, result.finished) == (1, 0, True)
    entry = json.loads((output / LOG).read_text().splitlines()[0])
    assert math.isfinite(entry["gradient_norm"])
    assert entry["gradient_norm"] > 0
    # Adam's first step is as long as the learning rate, wherever there is a gradient.
    moved = (trainer.model.unet.conv_in.weight - before).abs()
    assert moved.max().item() == pytest.approx(recipe.optimiser.learning_rate, rel=0.1)
    assert (output / STATE).stat().st_size > 10e9
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    with capsys.disabled():
        where = "in memory" if in_memory else "in a mapped file"
        print(
            f"\nAdamW's moments {where}: peak {peak_gib:.1f} GiB resident, after the step "
            f"{timed.anonymous_gib:.1f} GiB of it not in files; {timed.seconds:.0f} s"
        )
    assert peak_gib < 17
