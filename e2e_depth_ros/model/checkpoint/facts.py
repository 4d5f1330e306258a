"""What a checkpoint is, read from its own configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.checkpoint.layout import CONFIG_FILES, Configs
from e2e_depth_ros.model.checkpoint.locate import COMPONENTS, MODEL_STEM, checkpoint_name, weight_files
from e2e_depth_ros.model.checkpoint.prediction import (
    MARIGOLD_AXES,
    Axes,
    Prediction,
    axes_of,
    depth_kind_said,
    prediction_of,
    signs_of,
)
from e2e_depth_ros.model.checkpoint.stored import StoredCheckpoint
from e2e_depth_ros.model.limits import MAX_RESOLUTION
from e2e_depth_ros.model.sampling import TARGET_NOISES
from e2e_depth_ros.model.task import AUTO, Task
from e2e_depth_ros.model.upsampling import OWN_UPSAMPLINGS, chosen_upsampling

_PROMPT_FILES = (
    "prompt_embedding.safetensors",
    "text_encoder/*.safetensors",
    "image_encoder/*.safetensors",
    "*/*.json",
    "tokenizer/*.txt",
)
# A UNet that has one of these wants inputs that nobody here would give it.
_FOREIGN_INPUTS = ("class_embed_type", "addition_embed_type", "encoder_hid_dim", "time_cond_proj_dim")


@dataclass(frozen=True)
class Family:
    """How networks come from an image to their prediction, as far as it matters to what a checkpoint is.

    Attributes:
        title: For people.
        is_one_step: Whether it answers in one step, so that there is nothing to sample.
        is_joint: Whether it predicts depth and normals together.
        inputs: What its UNets read beside latents, timestep and prompt, of `_FOREIGN_INPUTS`.
        normals_axes: Of its normals, where the configs don't tell; None where the index does.
        clips_normals: Whether each axis of decoded normals is held within [-1, 1].
        default_steps: Denoising steps where the index is silent.
        default_resolution: Processing resolution where the index is silent; None follows the UNet's config.
    """

    title: str
    is_one_step: bool = False
    is_joint: bool = False
    inputs: frozenset[str] = frozenset()
    normals_axes: Axes | None = None
    clips_normals: bool = True
    default_steps: int = 1
    default_resolution: int | None = None


@dataclass(frozen=True, eq=False)
class CheckpointFacts(StoredCheckpoint):
    """What a checkpoint is.

    Attributes:
        name: Its hub id or the name of its folder.
        folder: Where it lies; None while it is only in memory.
        tasks: What it predicts.
        unet_config: diffusers' config of the UNet.
        vae_config: diffusers' config of the VAE.
        scheduler_config: diffusers' config of the scheduler.
        processing_resolution: Longer edge, pixels, that it was trained for.
        family: How it comes from an image to its prediction.
        depth_kind: What its depth means.
        normals_axes: Where x, y and z of the normals it decodes point.
        full_z_range: False where it decodes the z of normals, never negative, as 2 z - 1.
        clips_normals: Whether each axis of decoded normals is held within [-1, 1].
        steps: Denoising steps that it is used with, unless the user says otherwise.
        target_noise: What a network of one step starts from: "zeros" as E2E-FT's, or "gaussian" or "pyramid"
            noise, if it was trained so.
        upsampling: How its depth comes to the image's size unless the user says otherwise: "guided", by the
            image, where that was measured to be better, else "bilinear".
    """

    components: ClassVar = COMPONENTS

    name: str
    folder: Path | None
    tasks: frozenset[Task]
    unet_config: Mapping[str, Any]
    vae_config: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]
    processing_resolution: int
    family: Family
    depth_kind: DepthKind = DepthKind.AFFINE_INVARIANT
    normals_axes: Axes = MARIGOLD_AXES
    full_z_range: bool = True
    clips_normals: bool = True
    steps: int = 1
    target_noise: str = "zeros"
    upsampling: str = "bilinear"

    def __post_init__(self) -> None:
        latents, channels = self.latent_channels, self.in_channels
        if channels not in (latents, 2 * latents) or self.unet_config.get("out_channels") != latents:
            raise CheckpointError(
                f"{self.name}: with a VAE of {latents} latent channels, expected a UNet from {latents} "
                f"(image) or {2 * latents} (image and target) channels to {latents}, "
                f"got one from {channels} to {self.unet_config.get('out_channels')}"
            )
        known = self.family.inputs
        foreign = [
            key for key in _FOREIGN_INPUTS if key not in known and self.unet_config.get(key) is not None
        ]
        if foreign:
            raise CheckpointError(
                f"{self.name}: expected a UNet that reads latents, timestep and prompt; "
                f"this one wants more ({', '.join(foreign)}), which no family known here has"
            )

    @property
    def latent_channels(self) -> int:
        """L, the channels of the VAE's latents."""
        return int(self.vae_config.get("latent_channels", 4))

    @property
    def in_channels(self) -> int:
        """What the UNet reads: L (image), or 2 L (image, then target)."""
        return int(self.unet_config.get("in_channels", 4))

    @property
    def has_tiny_vae(self) -> bool:
        """True for diffusers' AutoencoderTiny, False for AutoencoderKL."""
        return "encoder_block_out_channels" in self.vae_config

    @property
    def down_factor(self) -> int:
        """f: an image is this many times larger than its latents, and must be divisible by it."""
        return down_factor_of(self.vae_config)

    @property
    def activation_floats(self) -> int:
        """About how many numbers a pass holds at its peak for each pixel that the network sees.

        The peak is the VAE's decoder at full size, whose last block begins with the channels of the block
        before: its input, normalised, activated, and the convolution's own memory. Measured for Stable
        Diffusion's VAE on a CPU: 7.2 times those channels.
        """
        key = "encoder_block_out_channels" if self.has_tiny_vae else "block_out_channels"
        return 8 * int(max(self.vae_config[key][:2]))

    @property
    def embedding_size(self) -> int:
        """d, the length of a prompt token's embedding."""
        return int(self.unet_config["cross_attention_dim"])

    @property
    def prediction_type(self) -> str:
        """What the UNet's output is: v_prediction, epsilon or sample."""
        return str(self.scheduler_config.get("prediction_type", "epsilon"))

    @property
    def normals_signs(self) -> tuple[float, float, float]:
        """What turns decoded normals into the camera optical frame (x right, y down, z forward)."""
        return signs_of(self.normals_axes)

    def chosen_upsampling(self, asked: str) -> str:
        """Tell how its depth comes to the image's size.

        Args:
            asked: One of `UPSAMPLINGS`.

        Returns:
            One of `OWN_UPSAMPLINGS`.

        Raises:
            InvalidInputError: There is no such upsampling.
        """
        return chosen_upsampling(asked, self.upsampling)

    def weight_files(self, component: str, dtype: torch.dtype = torch.float32) -> tuple[Path, ...]:
        """Return the files of a component (see `COMPONENTS`) that are read for a dtype."""
        if self.folder is None:
            raise CheckpointError(
                f"{self.name}: expected a checkpoint in a folder, this one is only in memory"
            )
        return weight_files(self.folder / component, dtype, MODEL_STEM)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it is read from: configs, weights of each variant, prompt or its encoder."""
        if self.folder is None:
            raise CheckpointError(
                f"{self.name}: expected a checkpoint in a folder, this one is only in memory"
            )
        files = {self.folder / name for name in CONFIG_FILES.values()}
        for component in COMPONENTS:
            for dtype in (torch.float32, torch.float16):
                files.update(self.weight_files(component, dtype))
        for pattern in _PROMPT_FILES:
            files.update(path for path in self.folder.glob(pattern) if path.is_file())
        return tuple(sorted(files))


def facts_from_configs(
    configs: Configs, family: Family, task: str = AUTO, *, learns: frozenset[Task] | None = None
) -> CheckpointFacts:
    """Gather what a checkpoint is; its weights aren't opened.

    Args:
        configs: Of a folder.
        family: That the network is of.
        task: What the user says that it predicts; see `prediction_of`.
        learns: What a training will teach it, whatever it predicts now.

    Raises:
        CheckpointError: Its configs contradict each other, or say what nobody here knows.
        InvalidInputError: The user says something else than the index.
    """
    name, index = checkpoint_name(configs.folder), configs.index
    _check_vae(configs.vae, name)
    if not isinstance(configs.unet.get("cross_attention_dim"), int):
        raise CheckpointError(
            f"{name}: expected one cross_attention_dim in unet/config.json, "
            f"got {configs.unet.get('cross_attention_dim')!r}"
        )
    prediction = _prediction(configs, family, task, learns)
    return CheckpointFacts(
        name=name,
        folder=configs.folder,
        tasks=prediction.tasks,
        unet_config=configs.unet,
        vae_config=configs.vae,
        scheduler_config=configs.scheduler,
        processing_resolution=_processing_resolution(configs, family),
        family=family,
        depth_kind=prediction.depth_kind,
        normals_axes=axes_of(index, name, family.normals_axes),
        full_z_range=index.get("use_full_z_range") is not False,
        clips_normals=family.clips_normals,
        steps=_steps(index, family),
        target_noise=_word(index, "target_noise", TARGET_NOISES, name),
        upsampling=_word(index, "upsampling", OWN_UPSAMPLINGS, name),
    )


def down_factor_of(vae_config: Mapping[str, Any]) -> int:
    """Return how many pixels of an image one latent of an autoencoder stands for, along each axis."""
    channels = vae_config.get("encoder_block_out_channels") or vae_config["block_out_channels"]
    return int(2 ** (len(channels) - 1))


def _check_vae(vae_config: Mapping[str, Any], name: str) -> None:
    keys = ("encoder_block_out_channels", "decoder_block_out_channels", "block_out_channels")
    if not any(isinstance(vae_config.get(key), list | tuple) for key in keys):
        raise CheckpointError(f"{name}: expected vae/config.json of an AutoencoderKL or AutoencoderTiny")


def _steps(index: Mapping[str, Any], family: Family) -> int:
    steps = index.get("default_denoising_steps")
    return steps if isinstance(steps, int) and steps > 0 else family.default_steps


def _word(index: Mapping[str, Any], key: str, words: Sequence[str], name: str) -> str:
    """Read one of some words; the first of them where the index is silent."""
    word = index.get(key, words[0])
    if word not in words:
        raise CheckpointError(f"{name}: expected {key} {', '.join(words)}, got {word!r}")
    return str(word)


def _prediction(configs: Configs, family: Family, task: str, learns: frozenset[Task] | None) -> Prediction:
    name, index = checkpoint_name(configs.folder), configs.index
    if learns is None:
        return prediction_of(index, name, task, is_joint=family.is_joint)
    return Prediction(learns, depth_kind_said(index, name))


def _processing_resolution(configs: Configs, family: Family) -> int:
    resolution = configs.index.get("default_processing_resolution")
    resolution = family.default_resolution if resolution is None else resolution
    if resolution is not None:
        return int(resolution)
    latent_size = configs.unet.get("sample_size")
    if isinstance(latent_size, list) and latent_size:
        latent_size = max(latent_size)
    return min(MAX_RESOLUTION, latent_size * down_factor_of(configs.vae)) if latent_size else 768
