"""What a training says: a log file for programs, a progress bar or lines for people."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from e2e_depth_ros.training.state import Progress as TrainingProgress

if TYPE_CHECKING:
    from typing_extensions import Self


class Reporter:
    """Averages the numbers of steps, and reports them at intervals.

    Args:
        log: JSON lines, appended to: numbers of steps, and scores ("validation").
        interval_s: Seconds between log lines.
        steps: Of the whole training.
        console: Where people look; standard error when None. A terminal gets a progress bar, anything else
            a line at each interval.
        silent: Report nothing: of several processes one does.
    """

    def __init__(
        self,
        log: Path,
        interval_s: float,
        steps: int,
        console: Console | None = None,
        *,
        silent: bool = False,
    ) -> None:
        self._log = log
        self._interval_s = interval_s
        self._steps = steps
        self._silent = silent
        self._console = console or Console(stderr=True, quiet=silent)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=silent or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps)
        self._reset()

    def __enter__(self) -> Self:
        self._reset()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def rewind(self, step: int) -> None:
        """Drop log lines after a step: a resumed run makes those steps again."""
        if self._log.exists() and not self._silent:
            lines = self._log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            self._log.write_text("".join(kept), encoding="utf-8")

    def say(self, text: str) -> None:
        """Tell people one line."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def step(self, progress: TrainingProgress, *, images: int, good: bool, **numbers: float) -> None:
        """Take in the numbers of one step; report their means when it is time.

        Args:
            progress: After the step.
            images: In the batch.
            good: False if the step was skipped; its numbers then are left out of the means.
            numbers: By name.
        """
        self._images += images
        if good:
            self._count += 1
            for name, number in numbers.items():
                self._sums[name] = self._sums.get(name, 0.0) + number
        elapsed = time.monotonic() - self._since
        if elapsed >= self._interval_s or progress.step == self._steps:
            entry: dict[str, Any] = {
                "step": progress.step,
                **{name: _rounded(total / self._count) for name, total in self._sums.items()},
                "bad_steps": progress.bad_steps,
                "seconds": round(progress.seconds, 1),
                "images_per_s": round(self._images / max(elapsed, 1e-9), 2),
            }
            self._write(entry)
            if not self._console.is_terminal:
                self.say("  ".join(f"{name} {value}" for name, value in entry.items()))
            self._reset()
            self._text = "  ".join(
                f"{name} {value}" for name, value in entry.items() if name.endswith("loss")
            )
        self._bar.update(self._task, completed=progress.step, description=self._text)

    def validation(self, step: int, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Report the scores of each validation source."""
        self._write({"step": step, "validation": scores})
        for source, values in scores.items():
            self.say(
                f"step {step}  {source}: "
                + "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            )

    def _reset(self) -> None:
        self._since = time.monotonic()
        self._images = self._count = 0
        self._sums: dict[str, float] = {}
        self._text = ""

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._silent:
            return
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")
