"""Why samples that fit are not to be trusted all the same."""

from __future__ import annotations

from typing import Final, NamedTuple


class Doubt(NamedTuple):
    """A reason; false where there is none.

    Attributes:
        reason: For people; empty without.
        log_error: How far log depth may be off because of it, in all pixels at once.
    """

    reason: str = ""
    log_error: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.reason)


NO_DOUBT: Final = Doubt()
