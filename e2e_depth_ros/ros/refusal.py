"""How the node says no to a message."""

from __future__ import annotations

from e2e_depth_ros.core.errors import InvalidInputError


class RefusedMessageError(InvalidInputError):
    """A message can't be used. The node counts it, reports it and carries on.

    Attributes:
        reason: A short stable name, say "image: data length"; diagnostics count by it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Describe the refusal.

        Args:
            reason: The short stable name.
            detail: What was expected and what arrived.
        """
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
