"""Between a callback that stores and a worker that computes: one slot, the newest wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Mailbox(Generic[_Item]):
    """Holds at most one item. Putting a newer one replaces it, and counts the older as dropped.

    A queue would make a slow worker fall behind further and further; this keeps it at most one item old.
    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: _Item | None = None
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many items were replaced before anyone took them."""
        with self._changed:
            return self._dropped

    def put(self, item: _Item) -> None:
        """Store an item in place of the one that waits. After `close` it is let go."""
        with self._changed:
            if self._closed:
                return
            if self._item is not None:
                self._dropped += 1
            self._item = item
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> _Item | None:
        """Wait for an item and take it out.

        Args:
            timeout_s: How long to wait at most; None waits until an item comes or `close` is called.

        Returns:
            The newest item; None when the time is over or the mailbox is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Let go of what waits and wake whoever waits; from now on `take` returns None at once."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
