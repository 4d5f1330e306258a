"""Another autoencoder for a checkpoint: a tiny one takes a fraction of the time, and costs some accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import down_factor_of
from e2e_depth_ros.model.checkpoint.foreign import GRAPHS_FILE
from e2e_depth_ros.model.checkpoint.weights import load_autoencoder
from e2e_depth_ros.model.families.registry import LoadedCheckpoint
from e2e_depth_ros.model.task import Task

_LATENTS = (6, 8)  # size of the image that tells the price


def swap_autoencoder(
    checkpoint: LoadedCheckpoint, folder: Path
) -> tuple[LoadedCheckpoint, dict[Task, float]]:
    """Give a checkpoint the autoencoder of another folder.

    Args:
        checkpoint: Its network is changed.
        folder: With vae/.

    Returns:
        The checkpoint as it is now, and the price: how far decoded values, -1..1, move in the mean, for each
        task, on a smooth image.

    Raises:
        CheckpointError: The autoencoder is missing or broken.
        InvalidInputError: Its latents are not those of the checkpoint.
    """
    if (folder / GRAPHS_FILE).exists() and not (folder / "vae").exists():
        raise InvalidInputError(f"{folder}: expected a checkpoint with vae/, got an exported model")
    vae: Any = load_autoencoder(folder)
    for what, expected, found in (
        ("latent channels", checkpoint.facts.latent_channels, int(vae.config.latent_channels)),
        ("down factor", checkpoint.facts.down_factor, down_factor_of(vae.config)),
    ):
        if found != expected:
            raise InvalidInputError(f"{folder}: expected an autoencoder with {what} {expected}, got {found}")
    # It has no folder any more: nothing may point to the weights of the autoencoder that lies there.
    facts = replace(checkpoint.facts, folder=None, vae_config=dict(vae.config))
    before = _decoded(checkpoint)
    checkpoint.model.vae = vae
    swapped = replace(checkpoint, facts=facts, model=checkpoint.model.eval())
    after = _decoded(swapped)
    return swapped, {task: float((after[task] - before[task]).abs().mean()) for task in before}


@torch.inference_mode()
def _decoded(checkpoint: LoadedCheckpoint) -> dict[Task, Tensor]:
    height, width = (latents * checkpoint.facts.down_factor for latents in _LATENTS)
    coarse = torch.rand(1, 3, *_LATENTS, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pixels = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)
    tasks = [task for task in Task if task in checkpoint.facts.tasks]
    latents = checkpoint.model.denoise(checkpoint.model.encode(pixels), tasks)
    return dict(zip(tasks, checkpoint.model.decode(latents).clamp(-1, 1), strict=True))
