"""Ending a run in order when the user or the system asks for it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def noted_signals() -> Iterator[threading.Event]:
    """Within, the first SIGINT or SIGTERM only sets the event; a second one does what it did before.

    Outside of the main thread, where Python allows no handlers, nothing is noted.
    """
    noted = threading.Event()
    before: dict[int, Any] = {}

    def note(number: int, _: FrameType | None) -> None:
        noted.set()
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        before.update({wanted: signal.signal(wanted, note) for wanted in (signal.SIGINT, signal.SIGTERM)})
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
