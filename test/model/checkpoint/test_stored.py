"""What a checkpoint's files tell of it: parameters, memory, hashes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from e2e_depth_ros.model.families.registry import read_facts


def test_counts_parameters_and_memory(tiny_checkpoint: Callable[..., Path]) -> None:
    for layout in ("marigold_depth", "sharded"):
        facts = read_facts(tiny_checkpoint(layout))
        assert facts.parameters == {"unet": 51972, "vae": 24759}
        assert facts.memory_bytes(torch.float16) == 2 * (51972 + 24759)


def test_hashes_every_file(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "checkpoint")
    before = read_facts(folder).sha256()
    assert sorted(before) == [
        "model_index.json",
        "prompt_embedding.safetensors",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]
    weights = folder / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = {name for name, digest in read_facts(folder).sha256().items() if digest != before[name]}
    assert changed == {"vae/diffusion_pytorch_model.fp16.safetensors"}
