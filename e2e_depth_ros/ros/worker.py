"""The thread that computes, so that callbacks never do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e_depth_ros.ros.mailbox import Mailbox


@dataclass(frozen=True)
class Turn:
    """How long an item took.

    Attributes:
        age_s: From its arrival until it was done.
        period_s: From when the worker could begin with it until it was done.
    """

    age_s: float
    period_s: float


class Worker:
    """Runs a function on the newest item, one after the other, in a thread of its own.

    An item arrives after its predecessor was taken, or else it would have been taken in its place. So it is
    done within two periods after its arrival, its predecessor's and its own, however fast items come.
    """

    def __init__(
        self,
        work: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        on_turn: Callable[[Turn], None] = lambda _: None,
    ) -> None:
        """Start the thread.

        Args:
            work: Called with each item, in the worker's thread.
            on_error: Called with what `work` raises; the worker goes on with the next item.
            on_turn: Called after each item.
        """
        self._work = work
        self._on_error = on_error
        self._on_turn = on_turn
        self._mailbox: Mailbox[tuple[Any, float]] = Mailbox()
        self._thread = threading.Thread(target=self._run, name="depth worker")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items were replaced by newer ones before their turn came."""
        return self._mailbox.dropped

    def put(self, item: Any) -> None:
        """Hand over an item; it replaces one that still waits."""
        self._mailbox.put((item, time.monotonic()))

    def stop(self) -> None:
        """Finish the item at hand, let go of the one that waits, and end the thread."""
        self._mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        free_s = 0.0
        while (taken := self._mailbox.take()) is not None:
            item, arrived_s = taken
            begun_s = max(arrived_s, free_s)
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001 - one bad frame must not stop a robot's sensor
                self._on_error(error)
            free_s = time.monotonic()
            self._on_turn(Turn(age_s=free_s - arrived_s, period_s=free_s - begun_s))
