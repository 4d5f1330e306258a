"""The part of a recipe that says what network is trained."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

from e2e_depth_ros.model.sampling import TARGET_NOISES
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING, UPSAMPLINGS
from e2e_depth_ros.training.recipe.checks import (
    MAX_LAYERS,
    MAX_LEVELS,
    MAX_SIDE_PX,
    MAX_WIDTH,
    check,
    check_choice,
    check_range,
)

MAX_TOKENS = 1024
"""Of the embedding that stands for a task."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Between pixels and latents.

    Attributes:
        start: Folder of a trained autoencoder, as `objective: autoencoder` writes it, or of a checkpoint that
            has one; its shape is its own, and nothing else may be given. "" builds one of random weights.
        kind: "tiny" (AutoencoderTiny, all channels equal) or "kl" (AutoencoderKL).
        channels: Width from full resolution downwards; each further entry halves the resolution.
        blocks: Residual blocks at each resolution; "kl" reads the first alone.
        latent_channels: Channels of the latents.
    """

    start: str = ""
    kind: str = "tiny"
    channels: tuple[int, ...] = (32, 32, 32, 32)
    blocks: tuple[int, ...] = (0, 1, 2, 3)
    latent_channels: int = 16

    def __post_init__(self) -> None:
        if self.start:
            alone = astuple(self)[1:] == astuple(AutoencoderRecipe())[1:]
            check(alone, "start", "nothing beside it, for it brings the shape")
        check_choice("kind", self.kind, ("tiny", "kl"))
        check_range("channels", self.channels, 1, MAX_WIDTH)
        check(1 <= len(self.channels) <= MAX_LEVELS, "channels", f"1 to {MAX_LEVELS} numbers")
        check_range("blocks", self.blocks, 0, MAX_LAYERS)
        check_range("latent_channels", self.latent_channels, 1, MAX_WIDTH)
        check(len(self.blocks) == len(self.channels), "blocks", "one number for each entry of channels")
        if self.kind == "tiny":
            check(len(set(self.channels)) == 1, "channels", "equal widths for kind tiny")

    @property
    def down_factor(self) -> int:
        """Pixels of the image for one of the latents, along each axis."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True)
class UNetRecipe:
    """The denoiser.

    Attributes:
        channels: Width from the latents' resolution downwards; each further entry halves it.
        attention: Where blocks attend; the middle always does.
        heads: Attention heads at each resolution; the middle has the last number.
        layers: Residual blocks at each resolution.
        prompt_tokens: Tokens of the embedding that stands for the task.
        prompt_channels: Its width.
        norm_groups: Groups of the group norms.
    """

    channels: tuple[int, ...] = (96, 128, 192)
    attention: tuple[bool, ...] = (False, False, False)
    heads: tuple[int, ...] = (1, 1, 2)
    layers: int = 1
    prompt_tokens: int = 2
    prompt_channels: int = 64
    norm_groups: int = 8

    def __post_init__(self) -> None:
        for name in ("attention", "heads"):
            check(len(getattr(self, name)) == len(self.channels), name, "one entry for each of channels")
        check(1 <= len(self.channels) <= MAX_LEVELS, "channels", f"1 to {MAX_LEVELS} numbers")
        for name in ("channels", "heads", "prompt_channels", "norm_groups"):
            check_range(name, getattr(self, name), 1, MAX_WIDTH)
        check_range("layers", self.layers, 1, MAX_LAYERS)
        check_range("prompt_tokens", self.prompt_tokens, 1, MAX_TOKENS)


@dataclass(frozen=True)
class ModelRecipe:
    """The network: built from random weights, or one that exists already.

    Attributes:
        name: The checkpoint's name.
        processing_resolution: Longer edge that images are resized to, pixels; used to validate, and the
            checkpoint's default.
        autoencoder: Between pixels and latents.
        unet: The denoiser.
        start: Folder or hub id of a checkpoint to start from, such as "prs-eth/marigold-depth-v1-0" or
            Stable Diffusion in diffusers' layout; "" builds a network of random weights. Autoencoder and
            denoiser then are the checkpoint's, and may not be given.
        reads_target: Whether the denoiser reads the target's latents (zeros, or noise) beside the image's.
            With a start, conv_in is made to fit: see `fit_conv_in`.
        target_noise: What the target's latents start from in training: "zeros" (E2E-FT), "gaussian" or
            "pyramid" (its ablations). The checkpoint says so, and inference starts from the same kind.
        upsampling: How depth comes to the image's size, in validation too: "bilinear", "guided" (it jumps
            where the image does), or "auto": as the start says, bilinear without one. The checkpoint says so.
        padded_prompt: Ask by the empty prompt of 77 tokens, as E2E-FT is trained, rather than of 2, as it
            infers (and as the shipped checkpoint does); for starts with a text encoder.
        train_autoencoder: Whether the autoencoder learns too. E2E-FT freezes it; gradients flow through its
            decoder to the denoiser all the same.
        gradient_checkpointing: Recompute activations going backward: less memory, more time, same numbers.
    """

    name: str = "embedded"
    processing_resolution: int = 128
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    unet: UNetRecipe = field(default_factory=UNetRecipe)
    start: str = ""
    reads_target: bool = True
    target_noise: str = "zeros"
    upsampling: str = DEFAULT_UPSAMPLING
    padded_prompt: bool = False
    train_autoencoder: bool = True
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        check_choice("target_noise", self.target_noise, TARGET_NOISES)
        check_choice("upsampling", self.upsampling, UPSAMPLINGS)
        check_range("processing_resolution", self.processing_resolution, 0, MAX_SIDE_PX)
        check(self.reads_target or self.target_noise == "zeros", "target_noise", "zeros unless reads_target")
        if self.start:
            given = (self.autoencoder, self.unet) != (AutoencoderRecipe(), UNetRecipe())
            check(not given, "autoencoder and unet", "neither beside start, which brings both")
        else:
            check(not self.padded_prompt, "padded_prompt", "false without start, whose text encoder it asks")
            check(self.reads_target, "reads_target", "true without start")
