"""The thread that computes, so that callbacks never do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from e2e_depth_ros.ros.mailbox import Mailbox


class Worker:
    """Runs a function on the newest item, one after the other, in a thread of its own."""

    def __init__(self, work: Callable[[Any], None], on_error: Callable[[Exception], None]) -> None:
        """Start the thread.

        Args:
            work: Called with each item, in the worker's thread.
            on_error: Called with what `work` raises; the worker goes on with the next item.
        """
        self._work = work
        self._on_error = on_error
        self._mailbox: Mailbox[Any] = Mailbox()
        self._thread = threading.Thread(target=self._run, name="depth worker")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items were replaced by newer ones before their turn came."""
        return self._mailbox.dropped

    def put(self, item: Any) -> None:
        """Hand over an item; it replaces one that still waits."""
        self._mailbox.put(item)

    def stop(self) -> None:
        """Finish the item at hand, let go of the one that waits, and end the thread."""
        self._mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        while (item := self._mailbox.take()) is not None:
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001, PERF203 - one bad frame must not stop a robot's sensor
                self._on_error(error)
