"""What a checkpoint that paints by instruction is, read from its own configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.config_checks import (
    check_index,
    check_network_config,
    check_scheduler_config,
    check_vae_config,
)
from e2e_depth_ros.model.stored import StoredCheckpoint, checkpoint_name
from e2e_depth_ros.model.weights import MODEL_STEM, read_json, weight_files

INSTRUCTED_IMAGE = "instructed image"
"""The entry under "tasks" in model_index.json that marks such a checkpoint."""

FAMILY = "painting by instruction (InstructDiffusion)"

_STEMS = {"unet": MODEL_STEM, "vae": MODEL_STEM, "text_encoder": "model"}
_TOKENIZER_FILES = ("vocab.json", "merges.txt")
_OTHER_FILES = ("model_index.json", "*/*.json", "tokenizer/*.txt")


@dataclass(frozen=True, eq=False)
class InstructFacts(StoredCheckpoint):
    """What such a checkpoint is.

    Attributes:
        name: Its hub id or the name of its folder.
        folder: Where it lies.
        steps: Denoising steps that it is used with.
        processing_resolution: Longer edge, pixels, that it is used at.
        unet_config: diffusers' config of the UNet.
        vae_config: diffusers' config of the VAE.
        scheduler_config: diffusers' config of the scheduler.
    """

    components: ClassVar = tuple(_STEMS)

    name: str
    folder: Path
    steps: int
    processing_resolution: int
    unet_config: Mapping[str, Any]
    vae_config: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]

    def weight_files(self, component: str, dtype: torch.dtype = torch.float32) -> tuple[Path, ...]:
        """Return the files of unet, vae or text_encoder that are read for a dtype."""
        return weight_files(self.folder / component, dtype, _STEMS[component])

    def check_tokenizer(self) -> None:
        """Make sure that instructions can be read.

        Raises:
            CheckpointError: The tokenizer is missing.
        """
        missing = [name for name in _TOKENIZER_FILES if not (self.folder / "tokenizer" / name).is_file()]
        if missing:
            raise CheckpointError(f"{self.folder}/tokenizer: expected {', '.join(missing)}, not there")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it is read from."""
        files = {path for pattern in _OTHER_FILES for path in self.folder.glob(pattern)}
        for component in _STEMS:
            for dtype in (torch.float32, torch.float16):
                files.update(self.weight_files(component, dtype))
        return tuple(sorted(files))


def paints_by_instruction(folder: Path) -> bool:
    """Tell whether a checkpoint is of this family; one that can't be read is not."""
    try:
        tasks = read_json(folder / "model_index.json").get("tasks")
    except CheckpointError:
        return False
    return isinstance(tasks, list) and INSTRUCTED_IMAGE in tasks


def read_instruct_facts(folder: Path) -> InstructFacts:
    """Read what a checkpoint is; its weights aren't opened.

    Raises:
        CheckpointError: It is of another family, or a config is missing.
    """
    index = read_json(folder / "model_index.json")
    if not paints_by_instruction(folder):
        raise CheckpointError(
            f"{checkpoint_name(folder)}: expected a checkpoint that paints by instruction, as `e2e-depth "
            "checkpoint convert` writes, got another; depth_node runs those of depth and normals"
        )
    scheduler_path = folder / "scheduler" / "scheduler_config.json"
    scheduler = read_json(scheduler_path)
    if scheduler.get("prediction_type") != "epsilon":
        raise CheckpointError(
            f"{folder}: expected prediction_type epsilon, got {scheduler.get('prediction_type')!r}"
        )
    unet_path, vae_path = folder / "unet" / "config.json", folder / "vae" / "config.json"
    unet_config, vae_config = read_json(unet_path), read_json(vae_path)
    check_index(index, folder / "model_index.json")
    check_network_config(unet_config, unet_path)
    check_vae_config(vae_config, vae_path)
    check_scheduler_config(scheduler, scheduler_path)
    return InstructFacts(
        name=checkpoint_name(folder),
        folder=folder,
        steps=int(index.get("default_denoising_steps") or 100),
        processing_resolution=int(index.get("default_processing_resolution") or 512),
        unet_config=unet_config,
        vae_config=vae_config,
        scheduler_config=scheduler,
    )
