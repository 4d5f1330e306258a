"""What the node counts, and how it tells: /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from e2e_depth_ros.ros.messages.refusal import Kinds, RefusedMessageError, one_line
from e2e_depth_ros.ros.running.worker import Turn

_MOST_TOLD: Final = 4  # reasons in one message; all are among the values


@dataclass
class _Window:
    """Counts since the last report."""

    start_s: float = field(default_factory=time.monotonic)
    received: int = 0
    processed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    stages_s: Counter[str] = field(default_factory=Counter)
    stage_frames: Counter[str] = field(default_factory=Counter)
    oldest_s: float = 0.0
    turns: list[Turn] = field(default_factory=list)


class Statistics:
    """Counts of frames, refusals and durations. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = _Window()
        self._received = 0
        self._processed = 0
        self._skipped = 0
        self._non_finite = 0
        self._published: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._reasons = Kinds()
        self._refusals: dict[str, str] = {}  # the last one of each reason
        self._last_refusal = ""
        self._last_failure = ""

    def received(self) -> None:
        """Count an image that came in."""
        with self._lock:
            self._received += 1
            self._window.received += 1

    def skipped(self) -> None:
        """Count an image that no one wanted anything of."""
        with self._lock:
            self._skipped += 1

    def refused(self, refusal: RefusedMessageError) -> None:
        """Count a refused message by its reason."""
        with self._lock:
            reason = self._reasons.kind_of(refusal.reason)
            self._refused[reason] += 1
            self._window.refused[reason] += 1
            self._refusals[reason] = self._last_refusal = str(refusal)

    def failed(self, error: BaseException) -> None:
        """Count an error that nobody expected."""
        with self._lock:
            self._window.failed += 1
            self._refused["internal error"] += 1
            self._last_failure = one_line(f"{type(error).__name__}: {error}")

    def processed(
        self, topics: Iterable[str], durations_s: Mapping[str, float], age_s: float, non_finite: int
    ) -> None:
        """Count a frame that is done.

        Args:
            topics: Where something was published.
            durations_s: Seconds of each stage.
            age_s: From the image's stamp until now, seconds.
            non_finite: Pixels that the network predicted as NaN or infinite.
        """
        with self._lock:
            self._processed += 1
            self._non_finite += non_finite
            self._published.update(topics)
            self._window.processed += 1
            self._window.stages_s.update(durations_s)
            self._window.stage_frames.update(durations_s.keys())
            self._window.oldest_s = max(self._window.oldest_s, age_s)

    def turn(self, turn: Turn) -> None:
        """Note how long the worker took for a frame, whatever came of it."""
        with self._lock:
            self._window.turns.append(turn)

    def status(self, name: str, *, dropped: int, silence: str = "") -> DiagnosticStatus:
        """Report, and begin a new window.

        Args:
            name: Of the status.
            dropped: Images replaced by newer ones before the worker was free.
            silence: What to say if no image came since the last report; empty where none is awaited.

        Returns:
            Counts since the start; rates, latency and level since the last report.
        """
        with self._lock:
            window, self._window = self._window, _Window()
            seconds = max(self._window.start_s - window.start_s, 1e-3)
            rate_in, rate_out = window.received / seconds, window.processed / seconds
            level, message = DiagnosticStatus.OK, f"{rate_in:.1f} images/s in, {rate_out:.1f} out"
            if silence and not window.received:
                level, message = DiagnosticStatus.WARN, silence
            if window.refused:
                level, message = DiagnosticStatus.WARN, self._refused_words(window.refused)
            if window.failed:
                level, message = DiagnosticStatus.ERROR, self._last_failure
            values = {
                "images_received": self._received,
                "images_processed": self._processed,
                "images_dropped": dropped,
                "images_without_subscriber": self._skipped,
                "rate_in_hz": f"{rate_in:.2f}",
                "rate_out_hz": f"{rate_out:.2f}",
                "age_max_ms": f"{window.oldest_s * 1e3:.1f}",
                "age_since_arrival_max_ms": _max_ms(turn.age_s for turn in window.turns),
                "worker_period_max_ms": _max_ms(turn.period_s for turn in window.turns),
                "non_finite_pixels": self._non_finite,
                **{
                    f"stage_ms/{stage}": f"{total / window.stage_frames[stage] * 1e3:.2f}"
                    for stage, total in window.stages_s.items()
                },
                **{f"published/{topic}": count for topic, count in self._published.items()},
                **{f"refused/{reason}": count for reason, count in self._refused.items()},
                "last_refusal": self._last_refusal,
                "last_failure": self._last_failure,
            }
        return make_status(name, level, message, values)

    def _refused_words(self, counts: Counter[str]) -> str:
        """Tell the commonest refusal in full, and the reasons of the others."""
        (commonest, _), *others = counts.most_common(_MOST_TOLD)
        also = "".join(f"; also {count} of {reason}" for reason, count in others)
        return f"refused {sum(counts.values())}: {self._refusals[commonest]}{also}"


def _max_ms(durations_s: Iterable[float]) -> str:
    return f"{max(durations_s, default=0.0) * 1e3:.1f}"


def make_status(name: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """Make a DiagnosticStatus of plain values; each text is one printable line of limited length."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=one_line(message),
        values=[KeyValue(key=one_line(key), value=one_line(str(value))) for key, value in values.items()],
    )
