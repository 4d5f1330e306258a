"""The layout of a checkpoint: its configs together, and what they tell of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.checkpoint.configs import (
    check_index,
    check_network_config,
    check_scheduler_config,
    check_vae_config,
    read_json,
)
from e2e_depth_ros.model.checkpoint.foreign import foreign_folder

CONFIG_FILES: Final = {
    "index": "model_index.json",
    "unet": "unet/config.json",
    "vae": "vae/config.json",
    "scheduler": "scheduler/scheduler_config.json",
}
"""Where the configs lie."""

INSTRUCTED_IMAGE: Final = "instructed image"
"""The entry under "tasks" in model_index.json of a checkpoint that paints by instruction."""

STABLE_DIFFUSION: Final = "StableDiffusionPipeline"
"""The class that an index names where its authors changed Stable Diffusion's UNet and nothing else."""

_MARIGOLD: Final = ("MarigoldDepthPipeline", "MarigoldNormalsPipeline", "MarigoldPipeline")
_ENTRIES: Final = ("tasks", "prediction_type", "scale_invariant", "use_full_z_range")
_SCHEDULERS: Final = ("DDIMScheduler", "DDPMScheduler", "LCMScheduler")


class IncompleteCheckpointError(CheckpointError):
    """Files of a checkpoint are missing.

    Attributes:
        missing: Which; the message also says what to do.
    """

    def __init__(self, missing: str, advice: str = "download it again") -> None:
        super().__init__(f"{missing}; {advice}")
        self.missing = missing


@dataclass(frozen=True)
class Configs:
    """The configs of a checkpoint of diffusers' layout, each checked.

    Attributes:
        folder: Where they lie.
        index: Of model_index.json.
        unet: Of the UNet's config.json.
        vae: Of the VAE's.
        scheduler: Of scheduler_config.json.
    """

    folder: Path
    index: Mapping[str, Any]
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    scheduler: Mapping[str, Any]

    @property
    def pipeline(self) -> str:
        """The class that the index names; empty where it names none."""
        name = self.index.get("_class_name")
        return name if isinstance(name, str) else ""

    @property
    def latent_channels(self) -> int:
        """L, the channels of the VAE's latents."""
        return int(self.vae.get("latent_channels", 4))

    @property
    def reads_image_and_target(self) -> bool:
        """Whether the UNet reads 2 L channels and returns L."""
        return self._channels == (2 * self.latent_channels, self.latent_channels)

    @property
    def reads_image_alone(self) -> bool:
        """Whether the UNet reads L channels and returns L; so does one that makes images from noise."""
        return self._channels == (self.latent_channels, self.latent_channels)

    @property
    def class_code_size(self) -> int | None:
        """How many numbers tell the UNet its task, beside the prompt; None where the prompt is all."""
        if self.unet.get("class_embed_type") != "projection":
            return None
        size = self.unet.get("projection_class_embeddings_input_dim")
        return size if isinstance(size, int) else None

    @property
    def is_of_marigold(self) -> bool:
        """Whether the index is Marigold's, or one that this project wrote: it says what is predicted.

        The scheduler must be one that such networks are trained with.
        """
        names = self.pipeline in _MARIGOLD or (
            self.pipeline in {"", STABLE_DIFFUSION} and any(entry in self.index for entry in _ENTRIES)
        )
        return names and self.scheduler.get("_class_name", _SCHEDULERS[0]) in _SCHEDULERS

    @property
    def is_of_e2e_ft(self) -> bool:
        """Whether the layout is that of E2E-FT's authors, who say nothing in the index.

        It is Stable Diffusion 2's but for a UNet that reads an image too. What edits images by instruction
        reads one as well, and predicts noise.
        """
        return (
            self.pipeline == STABLE_DIFFUSION
            and self.reads_image_and_target
            and self.unet.get("class_embed_type") is None
            and self.scheduler.get("prediction_type") == "v_prediction"
            and self.scheduler.get("_class_name", _SCHEDULERS[0]) in _SCHEDULERS
        )

    @property
    def answers_in_one_step(self) -> bool:
        """Whether the network was trained end to end to answer in one step.

        One step by default is what E2E-FT trains; where the index is silent, E2E-FT's schedulers are saved
        with "trailing", Marigold's old ones with "leading".
        """
        steps = self.index.get("default_denoising_steps")
        return steps == 1 or (steps is None and self.scheduler.get("timestep_spacing") == "trailing")

    @property
    def _channels(self) -> tuple[Any, Any]:
        return self.unet.get("in_channels", 4), self.unet.get("out_channels", 4)


def read_configs(folder: Path) -> Configs:
    """Read the configs of a checkpoint.

    Args:
        folder: With model_index.json, unet/, vae/ and scheduler/.

    Raises:
        CheckpointError: One is missing, broken, or impossible; or the folder is of another layout, by name.
    """
    missing = [name for name in CONFIG_FILES.values() if not (folder / name).exists()]
    if missing:
        what = foreign_folder(folder)
        if what is not None:
            raise CheckpointError(f"{folder}: expected a checkpoint of depth or normals, got {what}")
        raise IncompleteCheckpointError(
            f"{folder}: expected a checkpoint in diffusers' layout, {', '.join(missing)} missing",
            "is it the right folder, and downloaded completely?",
        )
    configs = {part: read_json(folder / name) for part, name in CONFIG_FILES.items()}
    checks = (check_index, check_network_config, check_vae_config, check_scheduler_config)
    for (part, config), check in zip(configs.items(), checks, strict=True):
        check(config, folder / CONFIG_FILES[part])
    return Configs(folder, **configs)


def paints_by_instruction(folder: Path) -> bool:
    """Tell a checkpoint that paints by instruction; one that can't be read doesn't."""
    try:
        tasks = read_json(folder / CONFIG_FILES["index"]).get("tasks")
    except CheckpointError:
        return False
    return isinstance(tasks, list) and INSTRUCTED_IMAGE in tasks
