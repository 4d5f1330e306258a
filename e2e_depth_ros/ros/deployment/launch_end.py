"""How a launch file refuses to start anything."""

from __future__ import annotations

from typing import Any


def ending(error: Exception) -> list[Any]:
    """Make the actions that end a launch with an error, and in order whatever else it has started.

    An error raised while launch visits its files would leave as orphans what was started before. Raised by an
    event's handler, it shuts all down, and `ros2 launch` still fails.

    Args:
        error: What is wrong.

    Returns:
        What a function of a launch file returns in place of nodes.
    """
    from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler  # noqa: PLC0415

    from launch import Event, EventHandler  # noqa: PLC0415 - not everywhere that ROS is

    refusal = Event()

    def fail(_: Any) -> None:
        raise error

    handler = EventHandler(matcher=lambda event: event is refusal, entities=[OpaqueFunction(function=fail)])
    return [RegisterEventHandler(handler), EmitEvent(event=refusal)]
