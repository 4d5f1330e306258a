"""What the log says of the alignment: each change of its state, and why metric topics are silent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from e2e_depth_ros.alignment.result import Alignment
from e2e_depth_ros.ros.messages.refusal import one_line
from e2e_depth_ros.ros.outputs.depth_outputs import METRIC_OUTPUTS, Output

if TYPE_CHECKING:  # it brings torch, which takes seconds to import
    from e2e_depth_ros.ros.nodes.pipeline import Result

_MOST_CHANGES: Final = 3  # told within _CHANGES_S; a state may flicker from frame to frame
_CHANGES_S: Final = 20.0
_SILENT_S: Final = 3.0  # before it is told: a sensor may need a moment
_REMINDED_S: Final = 60.0


class Line(NamedTuple):
    """A line for the log.

    Attributes:
        words: What to say.
        is_warning: Whether something is missing.
    """

    words: str
    is_warning: bool


class AlignmentLog:
    """Finds out from frame to frame what is worth a line. Belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Have said nothing yet.

        Args:
            clock: Tells seconds, and never goes back.
        """
        self._clock = clock
        self._told_state = "lost"
        self._last_state = "lost"
        self._changes = 0
        self._changes_told_s: deque[float] = deque(maxlen=_MOST_CHANGES)
        self._silent_since_s: float | None = None
        self._silence_told_s: float | None = None

    def lines(self, result: Result, wanted: Collection[Output]) -> list[Line]:
        """Take note of a frame.

        Args:
            result: What came of it.
            wanted: The outputs that someone subscribes to.

        Returns:
            What to log now.
        """
        now_s = self._clock()
        lines = [] if result.alignment is None else self._state_lines(result.alignment, now_s)
        silent = [output for output in Output if output in METRIC_OUTPUTS & {*wanted} - {*result.messages}]
        return lines + self._silence_lines(silent, result, now_s)

    def _state_lines(self, alignment: Alignment, now_s: float) -> list[Line]:
        state = alignment.state.value
        self._changes += state != self._last_state
        self._last_state = state
        told = self._changes_told_s
        if state == self._told_state or (len(told) == _MOST_CHANGES and now_s - told[0] < _CHANGES_S):
            return []
        told.append(now_s)
        times = f" ({self._changes} changes)" if self._changes > 1 else ""
        words = f"alignment: {self._told_state} -> {state}{times}: {alignment.reason}"
        self._told_state, self._changes = state, 0
        return [Line(one_line(words), is_warning=state != "fresh")]

    def _silence_lines(self, silent: list[Output], result: Result, now_s: float) -> list[Line]:
        if not silent:
            self._silent_since_s = self._silence_told_s = None
            return []
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        told_s = self._silence_told_s
        if now_s - self._silent_since_s < _SILENT_S or (told_s is not None and now_s - told_s < _REMINDED_S):
            return []
        self._silence_told_s = now_s
        topics = " and ".join(output.value for output in silent)
        has = "has" if len(silent) == 1 else "have"
        return [Line(one_line(f"{topics} {has} subscribers, but {_why(silent, result)}"), is_warning=True)]


def _why(silent: list[Output], result: Result) -> str:
    """Say why metric outputs are silent."""
    alignment = result.alignment
    if alignment is None:
        return "the model predicts no depth"
    state = alignment.state.value
    if state == "lost":
        return f"nothing gives metres: {alignment.reason}"
    if silent == [Output.POINTS] and result.uncalibrated:
        return f"there is no usable camera_info: {result.uncalibrated}"
    return f"publish_{state} is false and the alignment is {state}: {alignment.reason}"
