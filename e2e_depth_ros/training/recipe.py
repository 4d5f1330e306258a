"""Training recipes: every number of a training, checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from e2e_depth_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Between pixels and latents.

    Attributes:
        kind: "tiny" (AutoencoderTiny, all channels equal) or "kl" (AutoencoderKL).
        channels: Width from full resolution downwards; each further entry halves the resolution.
        blocks: Residual blocks at each resolution; "kl" reads the first alone.
        latent_channels: Channels of the latents.
    """

    kind: str = "tiny"
    channels: tuple[int, ...] = (32, 32, 32, 32)
    blocks: tuple[int, ...] = (0, 1, 2, 3)
    latent_channels: int = 16

    def __post_init__(self) -> None:
        _check_choice("kind", self.kind, ("tiny", "kl"))
        _check(len(self.blocks) == len(self.channels), "blocks", "one number for each entry of channels")
        if self.kind == "tiny":
            _check(len(set(self.channels)) == 1, "channels", "equal widths for kind tiny")

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
            _check(len(getattr(self, name)) == len(self.channels), name, "one entry for each of channels")


@dataclass(frozen=True)
class ModelRecipe:
    """The network.

    Attributes:
        name: The checkpoint's name.
        processing_resolution: Longer edge that images are resized to, pixels; used to validate, and the
            checkpoint's default.
        autoencoder: Between pixels and latents.
        unet: The denoiser.
    """

    name: str = "embedded"
    processing_resolution: int = 128
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    unet: UNetRecipe = field(default_factory=UNetRecipe)


@dataclass(frozen=True)
class SourceRecipe:
    """A set of shards.

    Attributes:
        shards: Glob of shard files; relative to the working directory.
        weight: Share of the images drawn from here, relative to the other sources.
        limit: At most so many images; 0 takes all.
    """

    shards: str
    weight: float = 1.0
    limit: int = 0

    def __post_init__(self) -> None:
        _check(self.weight > 0, "weight", f"> 0, got {self.weight}")
        _check(self.limit >= 0, "limit", f">= 0, got {self.limit}")


@dataclass(frozen=True)
class SizeRecipe:
    """A size that some batches have.

    Attributes:
        height: Pixels, a multiple of the autoencoder's factor.
        width: Likewise.
        weight: Share of the batches of this size, relative to the others.
    """

    height: int
    width: int
    weight: float = 1.0


@dataclass(frozen=True)
class DataRecipe:
    """What the network sees.

    Attributes:
        train: Sources of the training images.
        validation: Sources that are only scored.
        sizes: Sizes of the batches.
        batch_size: Images in a batch.
        workers: Processes that prepare batches; 0 prepares them in the training process.
    """

    train: tuple[SourceRecipe, ...]
    validation: tuple[SourceRecipe, ...] = ()
    sizes: tuple[SizeRecipe, ...] = (SizeRecipe(96, 128),)
    batch_size: int = 16
    workers: int = 1

    def __post_init__(self) -> None:
        _check(len(self.train) > 0, "train", "at least one source")
        _check(len(self.sizes) > 0, "sizes", "at least one size")
        _check(self.batch_size > 0, "batch_size", f"> 0, got {self.batch_size}")


@dataclass(frozen=True)
class AugmentationRecipe:
    """How images are varied. Probabilities unless said otherwise; 0 switches a change off.

    Attributes:
        flip: Mirror left and right.
        min_zoom: Smallest share of the largest possible crop's edge, 0..1; 1 crops as large as possible.
        roll_deg: Standard deviation of the camera's roll, degrees.
        roll: Whether to roll at all.
        white_balance: Gains of the colour channels.
        swap_channels: Permute the colour channels.
        saturation: Weaken or strengthen colours.
        grayscale: Take colours away.
        exposure: Contrast and brightness.
        gamma: Brighten or darken the middle.
        vignetting: Darken the corners, or one side.
        filter: Mix with a random linear filter of all channels, which changes textures and keeps shapes.
        blur: Blur, lower the resolution, or sharpen.
        noise: Sensor noise.
        jpeg: Compress.
        cutout: Hide a rectangle of the image.
        strength: Of white balance, exposure and gamma: factor of their standard deviations, >= 0.
    """

    flip: float = 0.5
    min_zoom: float = 0.6
    roll_deg: float = 4.0
    roll: float = 0.3
    white_balance: float = 0.8
    swap_channels: float = 0.1
    saturation: float = 0.7
    grayscale: float = 0.12
    exposure: float = 0.8
    gamma: float = 0.7
    vignetting: float = 0.2
    filter: float = 0.0
    blur: float = 0.5
    noise: float = 0.5
    jpeg: float = 0.35
    cutout: float = 0.08
    strength: float = 1.0

    def __post_init__(self) -> None:
        _check(0 < self.min_zoom <= 1, "min_zoom", f"in (0, 1], got {self.min_zoom}")
        for name in (f.name for f in dataclasses.fields(self)):
            value = getattr(self, name)
            if name in ("roll_deg", "strength"):
                _check(value >= 0, name, f">= 0, got {value}")
            else:
                _check(0 <= value <= 1, name, f"in 0..1, got {value}")

    @classmethod
    def none(cls) -> AugmentationRecipe:
        """Leave images as they are, but for cutting them to the batch's size: the largest crop, anywhere."""
        off = {f.name: 0.0 for f in dataclasses.fields(cls)}
        return cls(**{**off, "min_zoom": 1.0})


@dataclass(frozen=True)
class DepthLossRecipe:
    """The depth loss; the defaults are the paper's (E2E-FT, arXiv 2409.11355, section 4).

    Attributes:
        weight: Of the whole loss; 0 trains no depth.
        target: "metres", or "quantiles": each image's 2nd to 98th percentile mapped to -1..1.
        clamp_prediction: Clamp predictions to -1..1 before the fit. It stops gradients outside: for
            networks that are trained already.
        min_variance: Predictions that vary less (squared, in their own unit) count as if they varied so
            much, which bounds the gradient of constant ones.
        near_weighting: 0..1; 1 weighs errors about as 1 / depth, so that far surfaces do not dominate.
        near_softening: Share of the median depth that is added to the depth there: bounds the weight of
            the very nearest.
        fit_weighting: 0..1; power of the errors' weights in the fit of scale and shift. 0 is the plain
            least-squares fit that the zero-shot protocol scores after, where far surfaces decide how near
            ones are scored; 0.5 keeps the scale of the near ones.
        anchor: Weight of the distance to the target before scale and shift are fitted: fixes sign and
            range of networks that start from nothing. Only with target quantiles.
        gradient_matching: Weight of the error's differences between neighbours: sharp edges, flat planes.
        far: Weight of pixels without depth (sky) being predicted nearer than the farthest surface.
    """

    weight: float = 1.0
    target: str = "metres"
    clamp_prediction: bool = True
    min_variance: float = 1e-4
    near_weighting: float = 0.0
    near_softening: float = 0.5
    fit_weighting: float = 0.5
    anchor: float = 0.0
    gradient_matching: float = 0.0
    far: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("target", self.target, ("metres", "quantiles"))
        _check(self.min_variance > 0, "min_variance", f"> 0, got {self.min_variance}")
        for name in ("near_weighting", "fit_weighting"):
            _check(0 <= getattr(self, name) <= 1, name, f"in 0..1, got {getattr(self, name)}")
        _check(self.near_softening > 0, "near_softening", f"> 0, got {self.near_softening}")
        if self.target == "metres":
            _check(self.anchor == 0 and self.far == 0, "anchor and far", "0 with target metres")


@dataclass(frozen=True)
class NormalsLossRecipe:
    """The normals loss; the defaults are the paper's.

    Attributes:
        weight: Of the whole loss; 0 trains no normals.
        length: Weight of the squared difference of the decoded length to 1: decoders of pictures can't
            show more.
    """

    weight: float = 1.0
    length: float = 0.0


@dataclass(frozen=True)
class LossRecipe:
    """What is minimised: the weighted sum of both losses."""

    depth: DepthLossRecipe = field(default_factory=DepthLossRecipe)
    normals: NormalsLossRecipe = field(default_factory=NormalsLossRecipe)


@dataclass(frozen=True)
class OptimiserRecipe:
    """AdamW, its schedule, and the average of weights that is shipped.

    Attributes:
        steps: Length of the training, optimiser steps.
        learning_rate: The highest.
        warmup_steps: Linear rise at the start.
        decay_steps: Fall at the end; before it the rate is constant, so a run can be prolonged.
        decay: "linear", "cosine" or "exponential".
        final_fraction: Learning rate at the end, as a share of the highest.
        betas: Of AdamW.
        weight_decay: Of AdamW, on matrices and convolutions (not on biases and norms).
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights; 0 ships the last ones.
    """

    steps: int
    learning_rate: float = 3e-5
    warmup_steps: int = 100
    decay_steps: int = 0
    decay: str = "linear"
    final_fraction: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        _check(self.steps > 0, "steps", f"> 0, got {self.steps}")
        _check_choice("decay", self.decay, ("linear", "cosine", "exponential"))
        _check(0 <= self.ema < 1, "ema", f"in [0, 1), got {self.ema}")
        _check(0 < self.final_fraction <= 1, "final_fraction", f"in (0, 1], got {self.final_fraction}")


@dataclass(frozen=True)
class RunRecipe:
    """How the run behaves on its machine. Nothing here but precision and threads changes the numbers.

    Attributes:
        device: "auto", "cpu" or "cuda".
        precision: "float32", or "bfloat16" (autocast).
        channels_last: Memory layout of the convolutions.
        threads: Threads of the training process; 0 leaves torch's choice.
        max_minutes: End cleanly after so long; 0 never does.
        checkpoint_minutes: Between saved states, pictures and validations.
        log_seconds: Between log lines.
        max_bad_steps: Steps without finite loss and gradient in a row before the run gives up.
    """

    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = False
    threads: int = 0
    max_minutes: float = 0.0
    checkpoint_minutes: float = 10.0
    log_seconds: float = 30.0
    max_bad_steps: int = 20

    def __post_init__(self) -> None:
        _check_choice("device", self.device, ("auto", "cpu", "cuda"))
        _check_choice("precision", self.precision, ("float32", "bfloat16"))


@dataclass(frozen=True)
class Recipe:
    """All of a training run: the same recipe, seed, data and machine give the same weights."""

    data: DataRecipe
    optimiser: OptimiserRecipe
    seed: int = 0
    model: ModelRecipe = field(default_factory=ModelRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        factor = self.model.autoencoder.down_factor
        for size in self.data.sizes:
            if size.height % factor or size.width % factor or min(size.height, size.width) < factor:
                raise InvalidInputError(
                    f"expected data.sizes in multiples of the autoencoder's factor {factor}, "
                    f"got {size.height} x {size.width}"
                )


def _check(condition: bool, name: str, expected: str) -> None:
    if not condition:
        raise InvalidInputError(f"{name}: expected {expected}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _check(value in choices, name, f"{' or '.join(choices)}, got {value!r}")
