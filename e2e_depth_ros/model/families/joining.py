"""Joins what is published apart: a UNet with the parts of the network that it was trained from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.locate import weight_files
from e2e_depth_ros.model.checkpoint.prediction import prediction_of
from e2e_depth_ros.model.checkpoint.weights import check_tensors, empty_unet
from e2e_depth_ros.model.checkpoint.writing import write_json
from e2e_depth_ros.model.families.generator import IMAGE_GENERATOR
from e2e_depth_ros.model.families.genpercept import PIPELINE, SCHEDULER
from e2e_depth_ros.model.families.registry import read_start

_PARTS: Final = ("vae", "text_encoder", "tokenizer")


def join(unet: Path, base: Path, folder: Path, task: str) -> Path:
    """Write a checkpoint of a published UNet and of the parts of Stable Diffusion that it was trained with.

    Args:
        unet: A folder with its weights, and nothing else that counts.
        base: Stable Diffusion 2.1, in a folder; its autoencoder, text encoder and tokenizer are copied.
        folder: New or empty.
        task: What it predicts: "depth", "disparity" or "normals".

    Returns:
        The folder.

    Raises:
        CheckpointError: A part is missing, or doesn't fit.
        InvalidInputError: The folder has something in it, or there is no such task.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"expected a new or empty folder, got {folder}")
    prediction = prediction_of({}, folder.name, task)
    facts = read_start(base, prediction.tasks)
    if facts.family != IMAGE_GENERATOR:
        raise CheckpointError(
            f"{base}: expected Stable Diffusion, whose parts a UNet needs, got {facts.family.title}"
        )
    missing = [part for part in _PARTS if not (base / part).is_dir()]
    if missing:
        raise CheckpointError(f"{base}: expected {', '.join(_PARTS)}, {', '.join(missing)} missing")
    files = weight_files(unet, torch.float32)
    check_tensors(empty_unet(str(unet), facts.unet_config), files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name) / folder.name
        for part in _PARTS:
            shutil.copytree(base / part, scratch / part)
        (scratch / "unet").mkdir()
        for file in (*files, *unet.glob("*.safetensors.index*.json")):
            shutil.copyfile(file, scratch / "unet" / file.name)
        index = {
            "_class_name": PIPELINE,
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "scheduler": ["diffusers", SCHEDULER["_class_name"]],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "prediction_type": task,
        }
        configs = {"unet/config.json": facts.unet_config, "scheduler/scheduler_config.json": SCHEDULER}
        for path, content in {**configs, "model_index.json": index}.items():
            write_json(scratch / path, content)
        if folder.exists():
            folder.rmdir()
        scratch.replace(folder)
    return folder
