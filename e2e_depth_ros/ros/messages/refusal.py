"""How the node says no to a message, in words that are safe to pass on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from e2e_depth_ros.core.errors import InvalidInputError, one_line

__all__ = ["Kinds", "RefusedMessageError", "Throttle", "one_line", "refused_as"]

_MOST_REASON: Final = 60  # characters
_MOST_DETAIL: Final = 300
_OTHERS: Final = "others"


class RefusedMessageError(InvalidInputError):
    """A message can't be used. The node counts it, reports it and carries on.

    Its text is one printable line of limited length, whatever the message held.

    Attributes:
        reason: A short stable name, say "image: data length"; diagnostics count by it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Describe the refusal.

        Args:
            reason: The short stable name.
            detail: What was expected and what arrived.
        """
        self.reason = one_line(reason, _MOST_REASON)
        super().__init__(f"{self.reason}: {one_line(detail, _MOST_DETAIL)}")


@contextmanager
def refused_as(reason: str, hint: str = "") -> Iterator[None]:
    """Refuse the message at hand where what is done within finds it invalid.

    Args:
        reason: As `RefusedMessageError` has it.
        hint: Said behind what was expected and what arrived.

    Raises:
        RefusedMessageError: In place of an InvalidInputError; one that is a refusal already passes.
    """
    try:
        yield
    except RefusedMessageError:
        raise
    except InvalidInputError as error:
        raise RefusedMessageError(reason, f"{error}{hint}") from error


class Kinds:
    """Tells kinds of events apart, but not more than so many: what strangers send must not fill memory."""

    def __init__(self, most: int = 100) -> None:
        """Know no kind yet.

        Args:
            most: Later kinds than this many count as one, "others".
        """
        self._most = most
        self._known: set[str] = set()

    def kind_of(self, name: str) -> str:
        """Return the name of the kind by which an event counts."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return _OTHERS
            self._known.add(name)
        return name


class Throttle:
    """Lets one event of each kind through in a while. Any thread may ask."""

    def __init__(
        self, period_s: float = 5.0, most_kinds: int = 100, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Let the first of each kind through.

        Args:
            period_s: Time from one event until the next of its kind may pass.
            most_kinds: See `Kinds`.
            clock: Tells seconds, and never goes back.
        """
        self._clock = clock
        self._period_s = period_s
        self._lock = threading.Lock()
        self._kinds = Kinds(most_kinds)
        self._passed_s: dict[str, float] = {}

    def passes(self, kind: str) -> bool:
        """Whether an event of this kind passes now."""
        now_s = self._clock()
        with self._lock:
            name = self._kinds.kind_of(kind)
            if now_s - self._passed_s.get(name, -self._period_s) < self._period_s:
                return False
            self._passed_s[name] = now_s
        return True
