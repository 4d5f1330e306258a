"""Writes a checkpoint of Stable Diffusion 2's size with random weights, and a tiny autoencoder for it.

What a network of this size costs doesn't depend on its weights, and the real ones lie on a hub:

    python examples/full_size/random_checkpoint.py FOLDER
    e2e-depth benchmark --model FOLDER/checkpoint --compare ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file

from e2e_depth_ros.model.families.one_step import ONE_STEP_SCHEDULER

WIDTHS = [320, 640, 1280, 1280]
UNET = {
    "in_channels": 8,  # image and target
    "out_channels": 4,
    "block_out_channels": WIDTHS,
    "attention_head_dim": [width // 64 for width in WIDTHS],
    "cross_attention_dim": 1024,
    "layers_per_block": 2,
    "use_linear_projection": True,
    "sample_size": 96,
}
VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
INDEX = {
    "_class_name": "MarigoldDepthPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": [None, None],
    "tokenizer": [None, None],
    "default_denoising_steps": 1,
    "default_processing_resolution": 768,
    "tasks": ["depth", "normals"],
    "prediction_type": "depth",
    "scale_invariant": True,
    "shift_invariant": True,
}


def main(folder: Path) -> None:
    """Write checkpoint/ and tiny/ into a folder."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        parts: dict[str, Any] = {"unet": UNet2DConditionModel(**UNET), "vae": AutoencoderKL(**VAE)}
        tiny = AutoencoderTiny()
    checkpoint = folder / "checkpoint"
    for name, part in parts.items():
        part.half().save_pretrained(checkpoint / name, variant="fp16")
    tiny.half().save_pretrained(folder / "tiny" / "vae", variant="fp16")
    (checkpoint / "scheduler").mkdir()
    write(checkpoint / "scheduler" / "scheduler_config.json", dict(ONE_STEP_SCHEDULER))
    write(checkpoint / "model_index.json", INDEX)
    prompts = {task: torch.randn(1, 2, UNET["cross_attention_dim"]) for task in INDEX["tasks"]}
    save_file(prompts, checkpoint / "prompt_embedding.safetensors")


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
