"""How long each stage takes."""

from __future__ import annotations

import time
from collections.abc import Mapping


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

    def add(self, durations_s: Mapping[str, float]) -> None:
        """Take in stages that were measured elsewhere since the last call."""
        self.durations_s.update(durations_s)
        self._last = time.perf_counter()
