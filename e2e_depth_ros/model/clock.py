"""How long each stage takes."""

from __future__ import annotations

import time


class Clock:
    """Measures stages one after the other."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.durations_s[stage] = now - self._last
        self._last = now
