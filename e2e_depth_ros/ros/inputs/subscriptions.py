"""What a node listens to while it is active."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rclpy.node import Node

from e2e_depth_ros.ros.declarations.qos import QosOverrides
from e2e_depth_ros.ros.inputs.kept_messages import KeptMessages
from e2e_depth_ros.ros.telling.ear import Ear
from e2e_depth_ros.ros.telling.surroundings import Surroundings


class Input(NamedTuple):
    """A topic that a node listens to besides the image.

    Attributes:
        message_type: ROS message class.
        topic: Its name, relative to the namespace.
        callback: Called with each message; it stores.
        queue_size: QoS history depth.
        may_be_kept: Whether publishers may keep it for those who come later (transient local).
        name: What diagnostics call it; empty for `topic`.
    """

    message_type: Any
    topic: str
    callback: Callable[[Any], None]
    queue_size: int
    may_be_kept: bool = False
    name: str = ""


class InputSubscriptions:
    """Subscriptions whose silence is watched. Belongs to the executor's thread."""

    def __init__(self, node: Node, overrides: QosOverrides, surroundings: Surroundings) -> None:
        """Listen to nothing yet.

        Args:
            node: Who listens.
            overrides: What the user overrides of the QoS.
            surroundings: What finds out why nothing comes.
        """
        self._node = node
        self._overrides = overrides
        self._surroundings = surroundings
        self._kept_messages = KeptMessages(node)
        self._subscriptions: list[Any] = []

    def open(self, inputs: Iterable[Input], *, reliability: str, group: Any) -> None:
        """Listen from now on.

        Args:
            inputs: To what.
            reliability: "reliable" or "best_effort".
            group: The callback group of the subscriptions.

        Raises:
            BadParameterError: An override is refused.
        """
        for source in inputs:
            topic = str(self._node.resolve_topic_name(source.topic))
            profile = self._overrides.subscription(
                topic, reliability=reliability, queue_size=source.queue_size
            )
            ear = self._surroundings.ear(source.name or source.topic, topic, source.message_type, profile)
            heard = _heard(ear, source.callback)
            self._subscriptions.append(
                self._node.create_subscription(
                    source.message_type, source.topic, heard, profile, callback_group=group
                )
            )
            if source.may_be_kept:
                self._kept_messages.want(source.message_type, source.topic, heard, group)
        self.look()

    def look(self) -> None:
        """Look whether publishers keep what is wanted of them."""
        self._kept_messages.look()

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._kept_messages.forget()
        self._surroundings.forget_inputs()


def _heard(ear: Ear, callback: Callable[[Any], None]) -> Callable[[Any], None]:
    def hear(message: Any) -> None:
        ear.hears()
        callback(message)

    return hear
