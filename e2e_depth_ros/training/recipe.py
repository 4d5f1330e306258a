"""Training recipes: every number of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.data_recipe import AugmentationRecipe, DataRecipe, SizeRecipe, SourceRecipe
from e2e_depth_ros.training.diffusion_recipe import DiffusionRecipe, ReconstructionRecipe
from e2e_depth_ros.training.model_recipe import AutoencoderRecipe, ModelRecipe, UNetRecipe
from e2e_depth_ros.training.recipe_checks import check, check_choice

__all__ = [
    "OBJECTIVES",
    "AugmentationRecipe",
    "AutoencoderRecipe",
    "DataRecipe",
    "DepthLossRecipe",
    "DiffusionRecipe",
    "LossRecipe",
    "ModelRecipe",
    "NormalsLossRecipe",
    "OptimiserRecipe",
    "Recipe",
    "ReconstructionRecipe",
    "RunRecipe",
    "SizeRecipe",
    "SourceRecipe",
    "UNetRecipe",
]

OBJECTIVES = ("end_to_end", "geowizard", "diffusion", "image_diffusion", "autoencoder")
"""What a training can minimise."""


@dataclass(frozen=True)
class DepthLossRecipe:
    """The depth loss; the defaults are the paper's (E2E-FT, arXiv 2409.11355, section 4).

    Attributes:
        weight: Of the whole loss; 0 trains no depth.
        target: "metres", or "quantiles": each image's 2nd to 98th percentile mapped to -1..1.
        clip_target: Clamp true depth to each image's 2nd and 98th percentile, as E2E-FT's data are; only with
            target metres.
        clamp_prediction: Clamp predictions to -1..1 before the fit. It stops gradients outside: for
            networks that are trained already.
        min_variance: Predictions that vary less (squared, in their own unit) count as if they varied so
            much, which bounds the gradient of constant ones.
        near_weighting: 0..1; 1 weighs errors about as 1 / depth, so that far surfaces do not dominate.
        near_softening: Share of the median depth that is added to the depth there: bounds the weight of
            the very nearest.
        span_weighting: 0..1; power of an image's span of depth over its depth, by which its errors count.
            With near_weighting 1, 1 makes them relative errors, as AbsRel has them: streets count more than
            rooms. Only with target quantiles.
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
    clip_target: bool = False
    clamp_prediction: bool = True
    min_variance: float = 1e-4
    near_weighting: float = 0.0
    near_softening: float = 0.5
    span_weighting: float = 0.0
    fit_weighting: float = 0.5
    anchor: float = 0.0
    gradient_matching: float = 0.0
    far: float = 0.0

    def __post_init__(self) -> None:
        check_choice("target", self.target, ("metres", "quantiles"))
        check(self.min_variance > 0, "min_variance", f"> 0, got {self.min_variance}")
        for name in ("near_weighting", "span_weighting", "fit_weighting"):
            check(0 <= getattr(self, name) <= 1, name, f"in 0..1, got {getattr(self, name)}")
        check(self.near_softening > 0, "near_softening", f"> 0, got {self.near_softening}")
        check(self.target == "metres" or not self.clip_target, "clip_target", "false with target quantiles")
        if self.target == "metres":
            for name in ("anchor", "far", "span_weighting"):
                check(getattr(self, name) == 0, name, f"0 with target metres, got {getattr(self, name)}")


@dataclass(frozen=True)
class NormalsLossRecipe:
    """The normals loss; the defaults are the paper's.

    Attributes:
        weight: Of the whole loss; 0 trains no normals.
        length: Weight of the squared difference of the decoded length to 1: decoders of pictures can't
            show more.
        share: Share of each batch's images that normals are predicted for, where depth is trained too.
            Depth is the harder task: a small share leaves it the time.
    """

    weight: float = 1.0
    length: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        check(0 < self.share <= 1, "share", f"in (0, 1], got {self.share}")


@dataclass(frozen=True)
class LossRecipe:
    """What is minimised: the weighted sum of both losses."""

    depth: DepthLossRecipe = field(default_factory=DepthLossRecipe)
    normals: NormalsLossRecipe = field(default_factory=NormalsLossRecipe)


@dataclass(frozen=True)
class OptimiserRecipe:
    """AdamW, its schedule, and the average of weights that is shipped.

    Attributes:
        steps: Length of the training, optimiser steps (of `accumulate` batches each).
        minutes: Length of the training by the clock, for machines that are lent for a while: the schedule
            below then counts in `steps`-ths of these minutes, and how many steps are taken is the machine's
            affair. 0 counts steps.
        learning_rate: The highest.
        warmup_steps: Linear rise at the start.
        decay_steps: Fall at the end; before it the rate is constant, so a run can be prolonged.
        final_steps: Steps after the fall, at the lowest rate.
        decay: "linear", "cosine" or "exponential".
        final_fraction: Learning rate at the end, as a share of the highest.
        betas: Of AdamW.
        weight_decay: Of AdamW.
        decay_vectors: Whether biases and norms decay too, as E2E-FT's do; else matrices and convolutions
            alone.
        class_embedding: Factor of the learning rate of what a GeoWizard is told of task and scene.
        accumulate: Batches whose gradients are averaged for each optimiser step.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights; 0 ships the last ones.
    """

    steps: int
    minutes: float = 0.0
    learning_rate: float = 3e-5
    warmup_steps: int = 100
    decay_steps: int = 0
    final_steps: int = 0
    decay: str = "linear"
    final_fraction: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-2
    decay_vectors: bool = False
    class_embedding: float = 1.0
    accumulate: int = 1
    clip: float = 1.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        check(self.steps > 0, "steps", f"> 0, got {self.steps}")
        check(self.minutes >= 0, "minutes", f">= 0, got {self.minutes}")
        check(self.class_embedding > 0, "class_embedding", f"> 0, got {self.class_embedding}")
        check(self.accumulate > 0, "accumulate", f"> 0, got {self.accumulate}")
        check_choice("decay", self.decay, ("linear", "cosine", "exponential"))
        check(0 <= self.ema < 1, "ema", f"in [0, 1), got {self.ema}")
        check(0 < self.final_fraction <= 1, "final_fraction", f"in (0, 1], got {self.final_fraction}")


@dataclass(frozen=True)
class RunRecipe:
    """How the run behaves on its machine. Nothing here but precision and threads changes the numbers.

    Attributes:
        device: "auto", "cpu" or "cuda".
        precision: "float32", or "bfloat16" (autocast).
        channels_last: Memory layout of the convolutions.
        compiled: Let torch compile the network, once for each size of the batches: minutes, for a good part
            of the time of each step.
        threads: Threads of the training process; 0 leaves torch's choice.
        max_minutes: End cleanly after so long; 0 never does.
        checkpoint_minutes: Between saved states, pictures and validations.
        log_seconds: Between log lines.
        max_bad_steps: Steps without finite loss and gradient in a row before the run gives up.
    """

    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False
    threads: int = 0
    max_minutes: float = 0.0
    checkpoint_minutes: float = 10.0
    log_seconds: float = 30.0
    max_bad_steps: int = 20

    def __post_init__(self) -> None:
        check_choice("device", self.device, ("auto", "cpu", "cuda"))
        check_choice("precision", self.precision, ("float32", "bfloat16"))


@dataclass(frozen=True)
class Recipe:
    """All of a training run: the same recipe, seed, data and machine give the same weights.

    Attributes:
        objective: What is minimised: "end_to_end" (E2E-FT: the losses on what is decoded after one step);
            "geowizard" (the same for a GeoWizard, whose depth and normals attend to each other);
            "diffusion" (Marigold: the error of the output for noisy latents of depth or normals);
            "image_diffusion" (the same for images alone: a Stable Diffusion to start from); "autoencoder"
            (the error of what comes back from latents). The weights in `loss` choose the tasks of each; of
            its terms only the first two read more.
        diffusion: Read by both kinds of diffusion.
        reconstruction: Read by "autoencoder".
    """

    data: DataRecipe
    optimiser: OptimiserRecipe
    seed: int = 0
    objective: str = "end_to_end"
    model: ModelRecipe = field(default_factory=ModelRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    diffusion: DiffusionRecipe = field(default_factory=DiffusionRecipe)
    reconstruction: ReconstructionRecipe = field(default_factory=ReconstructionRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, OBJECTIVES)
        if not (self.model.start or self.model.autoencoder.start):
            self.check_sizes(self.model.autoencoder.down_factor)

    def check_sizes(self, factor: int) -> None:
        """Refuse batches that the network can't see.

        Args:
            factor: Of the autoencoder, pixels for one latent; a start's is known only once it is read.

        Raises:
            InvalidInputError: A size is no multiple of it.
        """
        of_sources = [SizeRecipe(s.height, s.width) for s in self.data.train if s.height]
        for size in (*self.data.sizes, *of_sources):
            if size.height % factor or size.width % factor or min(size.height, size.width) < factor:
                raise InvalidInputError(
                    f"expected sizes of batches in multiples of the autoencoder's factor {factor}, "
                    f"got {size.height} x {size.width}"
                )

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What is trained: each task whose loss has a weight."""
        weights = {Task.DEPTH: self.loss.depth.weight, Task.NORMALS: self.loss.normals.weight}
        return tuple(task for task, weight in weights.items() if weight > 0)
