"""The training loop: one optimiser step after another, until done, out of time, or asked to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import yaml

from e2e_depth_ros.core.errors import E2EDepthError, InvalidInputError
from e2e_depth_ros.model.placement import check_width, dtype_named
from e2e_depth_ros.training.alone import alone_in
from e2e_depth_ros.training.augmentation import View
from e2e_depth_ros.training.averaging import AveragedWeights
from e2e_depth_ros.training.datasets import Batch, Source, TrainingBatches, training_batches
from e2e_depth_ros.training.objectives.base import Losses
from e2e_depth_ros.training.objectives.choice import build_objective
from e2e_depth_ros.training.optimiser import build_optimiser, set_learning_rate
from e2e_depth_ros.training.pictures import write_curves, write_samples
from e2e_depth_ros.training.processes import join_processes
from e2e_depth_ros.training.recipe import Recipe, mapping_from_recipe
from e2e_depth_ros.training.reporting import Reporter
from e2e_depth_ros.training.resident import ResidentBatches
from e2e_depth_ros.training.schedule import learning_rate, schedule_step
from e2e_depth_ros.training.state import Progress, load_state, save_state
from e2e_depth_ros.training.stopping import StopRequest
from e2e_depth_ros.training.validation import Predicted, Scores, score

STATE = "state.safetensors"
LOG = "log.jsonl"
CHECKPOINT = "checkpoint"
SAMPLE_ROWS = 8
_TOTAL = "total"
_MOST_IDLE_STEPS = 20
_UNCOUNTED_STEPS = 1 << 40
"""More than any clock lets a training take."""


class TrainingError(E2EDepthError):
    """A training can't go on: its loss is no longer finite."""


@dataclass(frozen=True)
class TrainingResult:
    """How a call of `train` ended.

    Attributes:
        steps: Optimiser steps, over all calls.
        bad_steps: Those without finite loss and gradient, skipped.
        finished: True if the recipe's steps are done; False if stopped before.
        stopped_by: Why it ended before, or "".
        checkpoint: The folder that was written last.
        scores: Of the last validation, by source; of several processes the main one knows them.
        is_main: Whether this process is the main one, which reports.
    """

    steps: int
    bad_steps: int
    finished: bool
    stopped_by: str
    checkpoint: Path
    scores: dict[str, Scores]
    is_main: bool = True


def train(
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    after_checkpoint: Callable[[int], object] | None = None,
) -> TrainingResult:
    """Train a network as the recipe says.

    The output folder gets `recipe.yaml`, `log.jsonl`, `state.safetensors` (to resume from),
    `samples.png`, `curves.png` and `checkpoint/` (the averaged weights, ready for use), each at every
    checkpoint and at the end.

    Args:
        recipe: All of the training.
        output: Folder to write to.
        resume: Go on from the state in the folder. With the same recipe and shards the weights become
            bit for bit those of an uninterrupted run on the same CPU. The recipe may have changed in what
            is not the network, say to prolong the training.
        after_checkpoint: Called with the number of steps once all of these files are written, by the main
            process: to bring them to safety, say. Its time does not count as training.

    Returns:
        How it ended. SIGINT and SIGTERM end it after the current step, with everything saved.

    Where a launcher started several processes (`accelerate launch`, torchrun), they share each step's
    `accumulate` batches and average the gradients: the same training, up to rounding, as in one process. A
    signal to one of them ends all. Every process must see the same output folder.

    Raises:
        InvalidInputError: Data are missing, the folder holds a training that would be overwritten or is
            running, or the batches of a step can't be shared evenly.
        MissingDependencyError: There are several processes, and accelerate isn't installed.
        CheckpointError: The state to resume from is broken or of another network.
        TrainingError: Too many steps in a row had no finite loss, or one of exactly 0.
    """
    if not resume:
        output.mkdir(parents=True, exist_ok=True)
    with alone_in(output) if output.is_dir() else nullcontext():
        if resume and not (output / STATE).exists():
            raise InvalidInputError(f"expected a training to resume in {output}, found none")
        if not resume and (output / STATE).exists():
            raise InvalidInputError(
                f"expected a folder without a training, found one in {output}: resume it or choose another"
            )
        return Trainer(recipe, output, resume=resume, after_checkpoint=after_checkpoint).run()


class Trainer:
    """A training between its start and its end; see `train`.

    Args:
        recipe: All of the training.
        output: Existing folder.
        resume: Go on from the state in it.
        after_checkpoint: Called with the number of steps.
    """

    def __init__(
        self,
        recipe: Recipe,
        output: Path,
        *,
        resume: bool,
        after_checkpoint: Callable[[int], object] | None = None,
    ) -> None:
        self.recipe = recipe
        self.output = output
        self.after_checkpoint = after_checkpoint
        if recipe.run.threads:
            torch.set_num_threads(recipe.run.threads)
        self.processes = join_processes(recipe.run)
        if recipe.optimiser.accumulate % self.processes.count:
            raise InvalidInputError(
                f"optimiser.accumulate: expected a multiple of the {self.processes.count} processes, which "
                f"share the batches of a step, got {recipe.optimiser.accumulate}"
            )
        device = self.processes.device
        self.objective = build_objective(recipe).to(device)
        for size in recipe.batch_sizes:
            check_width(size, self.objective.halvings, device, dtype_named(recipe.run.precision, device))
        self.model = self.objective.model
        if recipe.run.channels_last:
            self.model.to(memory_format=torch.channels_last)
        if recipe.run.compiled:
            for part in (self.model.unet, self.model.vae.encoder, self.model.vae.decoder):
                part.compile()
        self.shared = self.processes.share(self.objective)
        self.optimiser = build_optimiser(self.model, recipe.optimiser)
        self.averaged = AveragedWeights(self.model, recipe.optimiser.ema)
        self.sources = [Source(source) for source in recipe.data.train]
        validation = [Source(source) for source in recipe.data.validation if self.processes.is_main]
        self.validation = {
            f"validation {index}" if len(validation) > 1 else "validation": [
                source.view(number) for number in range(len(source))
            ]
            for index, source in enumerate(validation)
        }
        self.reporter = Reporter(
            output / LOG, recipe.run.log_seconds, recipe.optimiser.steps, silent=not self.processes.is_main
        )
        contents = {
            f"{index}/{name}": count
            for index, source in enumerate(self.sources)
            for name, count in source.contents.items()
        }
        self.progress = Progress()
        if resume:
            self.progress = load_state(output / STATE, self.model, self.optimiser, self.averaged.tensors)
            self.reporter.rewind(self.progress.step)
            if self.progress.contents != contents:
                self.reporter.say(
                    f"the data changed from {sum(self.progress.contents.values())} to "
                    f"{sum(contents.values())} images: the run goes on, but not as if uninterrupted"
                )
        self.progress.contents = contents
        self.scores: dict[str, Scores] = {}
        self._idle_steps = 0

    def run(self) -> TrainingResult:
        """Train until done, out of time, or asked to stop."""
        recipe = self.recipe
        if self.processes.is_main and not self._is_over:  # else nothing would be trained by this recipe
            (self.output / "recipe.yaml").write_text(
                yaml.safe_dump(mapping_from_recipe(recipe), sort_keys=False), encoding="utf-8"
            )
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        images = sum(self.progress.contents.values())
        self.reporter.say(
            f"{parameters / 1e6:.2f} M parameters, {images} training images, on {self.processes}, "
            + (
                f"{recipe.optimiser.minutes:g} minutes"
                if recipe.optimiser.minutes
                else f"steps {self.progress.step} to {recipe.optimiser.steps}"
            )
        )
        began = checkpointed = started = time.monotonic()
        stopped_by = ""
        with self.reporter, StopRequest() as stop, closing(self._batches()) as steps:
            for batches in steps:
                self._step(batches)
                now = time.monotonic()
                self.progress.seconds += now - started
                started = now
                if recipe.optimiser.minutes:
                    # Each process has a clock of its own, and all must end after the same step.
                    self.progress.seconds = self.processes.gather([self.progress.seconds])[0][0]
                own_reason = stop.reason
                if not own_reason and recipe.run.max_minutes and now - began >= 60 * recipe.run.max_minutes:
                    own_reason = f"{recipe.run.max_minutes:g} minutes"
                stopped_by = self.processes.agree(own_reason)
                if stopped_by or self._is_over:
                    break
                if now - checkpointed >= 60 * recipe.run.checkpoint_minutes:
                    self._checkpoint()
                    # Neither counts as training: a schedule by the clock is not to skip what was waited for.
                    checkpointed = started = time.monotonic()
            checkpoint = self._checkpoint()
            self.processes.wait()
        return TrainingResult(
            steps=self.progress.step,
            bad_steps=self.progress.bad_steps,
            finished=self._is_over,
            stopped_by=stopped_by,
            checkpoint=checkpoint,
            scores=self.scores,
            is_main=self.processes.is_main,
        )

    @property
    def _position(self) -> int:
        """Where in its schedule the training is: 0 at its start, `optimiser.steps` once it is over."""
        return schedule_step(self.progress.step, self.progress.seconds, self.recipe.optimiser)

    @property
    def _is_over(self) -> bool:
        return self._position >= self.recipe.optimiser.steps

    def _batches(self) -> Generator[list[tuple[int, Batch]]]:
        """Yield this process's share of the batches of each step, numbered."""
        recipe, processes = self.recipe, self.processes
        accumulate = recipe.optimiser.accumulate
        count = accumulate * (_UNCOUNTED_STEPS if recipe.optimiser.minutes else recipe.optimiser.steps)
        first = self.progress.step * accumulate + processes.index
        if recipe.data.resident:
            resident = ResidentBatches(
                self.sources, recipe.data, recipe.augmentation, recipe.seed, processes.device, accumulate
            )
            batches = resident.batches(first, count, processes.count)
        else:
            dataset = TrainingBatches(
                self.sources, recipe.data, recipe.augmentation, recipe.seed, count, accumulate
            )
            batches = training_batches(dataset, first, recipe.data.workers, processes.count)
        with closing(batches):
            while step := list(islice(batches, accumulate // processes.count)):
                yield step

    def _step(self, batches: list[tuple[int, Batch]]) -> None:
        recipe, progress, processes = self.recipe, self.progress, self.processes
        rate = learning_rate(self._position, recipe.optimiser)
        set_learning_rate(self.optimiser, rate)
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for left, (number, batch) in zip(reversed(range(len(batches))), batches, strict=True):
            with processes.keep_gradients(self.shared) if left else nullcontext():
                losses = self._losses(batch, number)
                (losses.total / len(batches)).backward()  # type: ignore[no-untyped-call]
            for name, loss in {_TOTAL: losses.total, **losses.parts}.items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach()) / len(batches)
        everywhere = zip(*processes.gather(list(sums.values())), strict=True)
        means = {name: sum(values) / processes.count for name, values in zip(sums, everywhere, strict=True)}
        total = means.pop(_TOTAL)
        self._heed(total)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optimiser.clip)
        good = math.isfinite(float(norm)) and math.isfinite(total)
        progress.step += 1
        if good:
            self.optimiser.step()
            self.averaged.update(progress.step)
            progress.bad_in_a_row = 0
        else:
            progress.bad_steps += 1
            progress.bad_in_a_row += 1
            if progress.bad_in_a_row > recipe.run.max_bad_steps:
                raise TrainingError(
                    f"expected a finite loss and gradient, got none in the {progress.bad_in_a_row} steps "
                    f"up to step {progress.step} (loss {total}, gradient norm {float(norm)})"
                )
        self.reporter.step(
            progress,
            images=sum(len(batch.images) for _, batch in batches) * processes.count,
            good=good,
            **means,
            gradient_norm=float(norm),
            learning_rate=rate,
        )

    def _heed(self, loss: float) -> None:
        """End a training that learns nothing: without a measured pixel the loss is 0, which looks perfect."""
        self._idle_steps = self._idle_steps + 1 if loss == 0 else 0
        if self._idle_steps >= min(_MOST_IDLE_STEPS, self.recipe.optimiser.steps):
            raise TrainingError(
                f"expected something to learn, got a loss of exactly 0 in {self._idle_steps} steps: do the "
                "sources under data.train hold measured depth?"
            )

    def _losses(self, batch: Batch, number: int) -> Losses:
        with self.processes.autocast():
            losses: Losses = self.shared(batch.to(self.processes.device), number)
            return losses

    def _checkpoint(self) -> Path:
        """Save the state; validate, draw and export the averaged weights. The main process does."""
        if not self.processes.is_main:
            return self.output / CHECKPOINT
        save_state(self.output / STATE, self.model, self.optimiser, self.averaged.tensors, self.progress)
        with self.averaged.applied(), torch.compiler.set_stance("force_eager"):
            self.objective.eval()
            shown = self._validate()
            checkpoint = self.objective.write(self.output / CHECKPOINT)
            self.objective.train()
        self.reporter.validation(self.progress.step, {n: s.as_dict() for n, s in self.scores.items()})
        if shown:
            views, predicted = zip(*shown, strict=True)
            write_samples(self.output / "samples.png", views, predicted)
        write_curves(self.output / "curves.png", self.output / LOG)
        if self.after_checkpoint:
            self.after_checkpoint(self.progress.step)
        return checkpoint

    def _validate(self) -> list[tuple[View, Predicted]]:
        """Score every validation source; return some views of each to look at."""
        shown: list[tuple[View, Predicted]] = []
        rows = -(-SAMPLE_ROWS // max(1, len(self.validation)))
        for name, views in self.validation.items():
            predicted = self.objective.predict(views)
            if predicted is None:
                continue
            self.scores[name] = score(views, predicted)
            chosen = range(0, len(views), max(1, len(views) // rows))[:rows]
            shown += [(views[index], predicted[index]) for index in chosen]
        return shown
