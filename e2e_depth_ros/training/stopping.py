"""Ending a long run cleanly when the user or the system asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class StopRequest:
    """Within, SIGINT and SIGTERM are only noted; afterwards they do what they did before.

    A second SIGINT does at once what it did before: whoever insists gets out. A second SIGTERM does not, for
    `timeout` sends two: to the process and to its group. Outside of the main thread, where Python allows no
    handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self.reason = ""
        """The name of the signal that came, or ""."""
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _: FrameType | None) -> None:
        self.reason = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(number, self._previous[signal.SIGINT])  # type: ignore[arg-type]
