"""Time stamps of messages: their order, and which belong together."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from e2e_depth_ros.ros.messages.refusal import RefusedMessageError


def stamp_ns(header: Any) -> int:
    """Return the stamp of a header in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


class StampOrder:
    """Refuses frames whose stamp runs backwards, yet follows a clock that really jumped.

    A single frame from the past is a fault: a driver's hiccup or a message that got stuck. When a second one
    follows it, in order, then time itself went back: a bag that is played again, a simulation that was
    reset. Unset stamps (zero) say nothing and always pass.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._refused_ns = 0

    def check(self, frame_ns: int) -> None:
        """Take note of the next frame.

        Raises:
            RefusedMessageError: The stamp is not newer than the last one.
        """
        if frame_ns == 0:
            return
        runs_on = frame_ns > self._last_ns
        jumped_back = not runs_on and 0 < self._refused_ns < frame_ns
        if not runs_on and not jumped_back:
            self._refused_ns = frame_ns
            raise RefusedMessageError(
                "image: stale stamp",
                f"expected a stamp newer than {self._last_ns * 1e-9:.6f} s, got {frame_ns * 1e-9:.6f} s",
            )
        self._last_ns = frame_ns
        self._refused_ns = 0


class StampedBuffer:
    """The last few messages of a topic, to find the one that belongs to a frame. Safe between threads.

    Attributes:
        topic: For refusals.
    """

    def __init__(self, topic: str, capacity: int = 8) -> None:
        """Make an empty buffer.

        Args:
            topic: For refusals.
            capacity: Older messages than this many fall out, but for the one closest to the frame in work.
        """
        self.topic = topic
        self._lock = threading.Lock()
        self._capacity = capacity
        self._messages: deque[Any] = deque()
        self._frame_in_work_ns: int | None = None

    def put(self, message: Any) -> None:
        """Store a message."""
        with self._lock:
            self._messages.append(message)
            if len(self._messages) > self._capacity:
                del self._messages[1 if self._oldest_is_awaited() else 0]

    def keep_closest(self, frame_ns: int) -> None:
        """Keep the message closest to a frame, however many come until the frame takes it.

        A slow network works on a frame for longer than it takes a fast sensor to fill this buffer.
        """
        with self._lock:
            self._frame_in_work_ns = frame_ns

    def _oldest_is_awaited(self) -> bool:
        frame_ns = self._frame_in_work_ns
        if frame_ns is None or self._capacity < 2:
            return False
        first, second = (abs(stamp_ns(self._messages[index].header) - frame_ns) for index in (0, 1))
        return first <= second

    def clear(self) -> None:
        """Forget all messages."""
        with self._lock:
            self._messages.clear()

    def take_closest(self, frame_ns: int, max_offset_ns: int) -> Any | None:
        """Take the message whose stamp is closest, and forget those that came before it.

        A measurement is taken once: using it again for the next frame would count one piece of evidence
        twice, at a time when the camera has moved on.

        Args:
            frame_ns: Stamp of the frame.
            max_offset_ns: How far apart the stamps may be.

        Returns:
            The message; None if there is none.

        Raises:
            RefusedMessageError: All are beyond the limit, and either older or as many as fit in here: the
                clocks differ. They are forgotten.
        """
        with self._lock:
            if not self._messages:
                return None
            offsets = [stamp_ns(message.header) - frame_ns for message in self._messages]
            best = min(range(len(offsets)), key=lambda index: abs(offsets[index]))
            if abs(offsets[best]) <= max_offset_ns:
                message = self._messages[best]
                for _ in range(best + 1):
                    self._messages.popleft()
                return message
            if max(offsets) > 0 and len(self._messages) < self._capacity:
                return None  # what is newer belongs to a frame that is yet to come
            self._messages.clear()
        age = f"{abs(offsets[best]) * 1e-9:.3f} s {'newer' if offsets[best] > 0 else 'older'}"
        raise RefusedMessageError(
            f"{self.topic}: stale stamp",
            f"expected a stamp within {max_offset_ns * 1e-9:.3f} s of the image's, got one {age}",
        )

    def lead_ns(self, frame_ns: int) -> int | None:
        """Return how much newer than a frame the oldest of the messages is that are newer; None without."""
        with self._lock:
            leads = [stamp_ns(message.header) - frame_ns for message in self._messages]
        return min((lead for lead in leads if lead > 0), default=None)
