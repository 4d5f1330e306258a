"""What rclpy leaves undone after an error."""

from __future__ import annotations

import contextlib
from typing import Any


def resume_callbacks(node: Any) -> None:
    """Let callbacks run again after an error came out of an executor that runs one at a time.

    Where a message can't even be taken, as one that memory doesn't suffice for, rclpy goes on to hold its
    subscription, and its whole callback group, for busy: they would never be called again.

    Args:
        node: An rclpy node, of which no callback runs now.
    """
    entities = (
        *node.subscriptions,
        *node.services,
        *node.clients,
        *node.timers,
        *node.guards,
        *node.waitables,
    )
    for entity in entities:
        if getattr(entity, "_executor_event", False):
            entity._executor_event = False  # noqa: SLF001 - nothing public does it
            with contextlib.suppress(AssertionError):  # it had not begun
                entity.callback_group.ending_execution(entity)
