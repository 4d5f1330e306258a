"""What rclpy leaves undone after an error."""

from __future__ import annotations

import contextlib
from typing import Any


def resume_callbacks(node: Any) -> None:
    """Let callbacks run again after an error came out of an executor that runs one at a time.

    If a message can't even be taken, for lack of memory for example, rclpy keeps treating its subscription,
    and its whole callback group, as busy: they would never be called again.

    Args:
        node: An rclpy node with no callback running.
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
