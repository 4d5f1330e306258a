"""The parts of a recipe that say how long, how fast and on what a network learns."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_depth_ros.training.recipe.checks import check, check_choice


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
