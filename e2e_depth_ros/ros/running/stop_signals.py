"""SIGINT and SIGTERM of a process, in place of Python's and rclpy's handlers.

Nothing heavy is imported here, so that signals are in hand within milliseconds.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

# After the first signal, and after the second. launch sends SIGTERM 5 s after SIGINT, then SIGKILL.
_PATIENCE_S: Final = (4.0, 1.0)


class StopSignals:
    """Notes signals, and sees to it that the process ends.

    The first asks for the end, in order and within seconds. The second asks for it now: what takes long is
    left as it is. What still runs when the time is over, or at a third, is ended.

    Nothing is ever raised: an exception could strike anywhere, even in a lock, or in C++ that imports Python
    and aborts then. A thread of its own learns of signals at once, also while the main thread is deep in C.

    Attributes:
        count: How many signals came.
    """

    def __init__(self, on_signal: Callable[[int], None] = lambda _: None) -> None:
        """Take the signals over. Only the main thread can.

        Args:
            on_signal: Called with `count` at each signal, in the watching thread.
        """
        self.count = 0
        self._on_signal = on_signal
        self._ends_at_once = True
        self._arrived, sent = os.pipe()
        os.set_blocking(sent, False)
        signal.set_wakeup_fd(sent)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._watch, name="stop signals", daemon=True).start()

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.count > 0

    def heed_order(self) -> None:
        """Say that there is something to tidy up now. Until then a signal ends the process at once."""
        self._ends_at_once = False

    def _watch(self) -> None:
        end_s: float | None = None
        while True:
            left_s = None if end_s is None else max(0.0, end_s - time.monotonic())
            if not select.select([self._arrived], [], [], left_s)[0]:
                os._exit(0)
            if os.read(self._arrived, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
                continue
            self.count += 1
            if self._ends_at_once or self.count > len(_PATIENCE_S):
                os._exit(0)
            end_s = min(end_s or math.inf, time.monotonic() + _PATIENCE_S[self.count - 1])
            self._on_signal(self.count)
