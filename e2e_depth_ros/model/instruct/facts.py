"""What a checkpoint that paints by instruction is, read from its own configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.configs import read_json
from e2e_depth_ros.model.checkpoint.layout import CONFIG_FILES, paints_by_instruction, read_configs
from e2e_depth_ros.model.checkpoint.locate import MODEL_STEM, checkpoint_name, weight_files
from e2e_depth_ros.model.checkpoint.stored import StoredCheckpoint

FAMILY = "painting by instruction (InstructDiffusion)"

_STEMS = {"unet": MODEL_STEM, "vae": MODEL_STEM, "text_encoder": "model"}
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

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it is read from."""
        files = {path for pattern in _OTHER_FILES for path in self.folder.glob(pattern)}
        for component in _STEMS:
            for dtype in (torch.float32, torch.float16):
                files.update(self.weight_files(component, dtype))
        return tuple(sorted(files))


def read_instruct_facts(folder: Path) -> InstructFacts:
    """Read what a checkpoint is; its weights aren't opened.

    Raises:
        CheckpointError: It is of another family, or a config is missing.
    """
    read_json(folder / CONFIG_FILES["index"])  # one that can't be read says so itself
    if not paints_by_instruction(folder):
        raise CheckpointError(
            f"{checkpoint_name(folder)}: expected a checkpoint that paints by instruction, as `e2e-depth "
            "checkpoint convert` writes, got another; depth_node runs those of depth and normals"
        )
    configs = read_configs(folder)
    if configs.scheduler.get("prediction_type") != "epsilon":
        raise CheckpointError(
            f"{folder}: expected prediction_type epsilon, got {configs.scheduler.get('prediction_type')!r}"
        )
    return InstructFacts(
        name=checkpoint_name(folder),
        folder=folder,
        steps=int(configs.index.get("default_denoising_steps") or 100),
        processing_resolution=int(configs.index.get("default_processing_resolution") or 512),
        unet_config=configs.unet,
        vae_config=configs.vae,
        scheduler_config=configs.scheduler,
    )
