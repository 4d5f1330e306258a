"""The thread that computes, so that callbacks never do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from e2e_depth_ros.ros.running.mailbox import Mailbox

_LOOK_PERIOD_S: Final = 0.05


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
        work: Callable[[Any], Callable[[], None] | None],
        on_error: Callable[[BaseException], None],
        on_turn: Callable[[Turn], None] = lambda _: None,
        *,
        after: Worker | None = None,
    ) -> None:
        """Start the thread.

        Args:
            work: Called with each item, in the worker's thread. What it returns is called to hand the result
                over, unless the worker was abandoned meanwhile.
            on_error: Called with whatever `work` raises, SystemExit too; then the next item is taken.
            on_turn: Called after each item.
            after: A worker that was abandoned: nothing begins before it ends, as both use the same things.
        """
        self._work = work
        self._on_error = on_error
        self._on_turn = on_turn
        self._after = after
        self._mailbox: Mailbox[tuple[Any, float]] = Mailbox()
        self._handing_over = threading.Lock()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="depth worker")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items were replaced by newer ones before their turn came."""
        return self._mailbox.dropped

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def put(self, item: Any) -> None:
        """Hand over an item; it replaces one that still waits."""
        self._mailbox.put((item, time.monotonic()))

    def stop(self, patience_s: float | None = None, is_urgent: Callable[[], bool] = lambda: False) -> bool:
        """Finish the item at hand, let go of the one that waits, and end the thread.

        Args:
            patience_s: How long to wait for the item at hand; None waits until it is done.
            is_urgent: Asked now and then; True ends the waiting.

        Returns:
            Whether the thread ended. If not, the worker is abandoned: it ends after its item, whose result is
            dropped.
        """
        self._mailbox.close()
        end_s = None if patience_s is None else time.monotonic() + patience_s
        while self._thread.is_alive() and not is_urgent() and (end_s is None or time.monotonic() < end_s):
            self._thread.join(_LOOK_PERIOD_S)
        if self._thread.is_alive():
            with self._handing_over:
                self._abandoned = True
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._after is not None:
            self._after._thread.join()  # noqa: SLF001 - of the same kind
            self._after = None
        free_s = 0.0
        while (taken := self._mailbox.take()) is not None:
            item, arrived_s = taken
            begun_s = max(arrived_s, free_s)
            try:
                self._hand_over(self._work(item))
            except BaseException as error:  # noqa: BLE001 - one bad frame must not stop a robot's sensor
                self._report(error)
            free_s = time.monotonic()
            self._on_turn(Turn(age_s=free_s - arrived_s, period_s=free_s - begun_s))

    def _hand_over(self, result: Callable[[], None] | None) -> None:
        with self._handing_over:
            if result is not None and not self._abandoned:
                result()

    def _report(self, error: BaseException) -> None:
        with self._handing_over:
            if not self._abandoned:
                self._on_error(error)
