"""Hears what was sent once, before the node came, where its publisher keeps it for those who come later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_RELIABLE: Final = ReliabilityPolicy.RELIABLE
_KEPT: Final = DurabilityPolicy.TRANSIENT_LOCAL
_DEPTH: Final = 5  # there may be several publishers


class _Wanted(NamedTuple):
    message_type: Any
    topic: str
    callback: Callable[[Any], None]
    group: Any


class KeptMessages:
    """Makes a second, transient-local subscription to a topic as soon as a publisher there keeps messages.

    No sooner: all others would warn of a subscription that they can't serve. Belongs to the executor's
    thread.
    """

    def __init__(self, node: Node) -> None:
        """Want nothing yet.

        Args:
            node: Who listens.
        """
        self._node = node
        self._wanted: list[_Wanted] = []
        self._subscriptions: list[Any] = []

    def want(self, message_type: Any, topic: str, callback: Callable[[Any], None], group: Any) -> None:
        """Listen for what is kept on a topic, as `create_subscription` has it; look from now on."""
        self._wanted.append(_Wanted(message_type, topic, callback, group))

    def look(self) -> None:
        """Look whether publishers keep what is wanted."""
        for wanted in tuple(self._wanted):
            offered = [info.qos_profile for info in self._node.get_publishers_info_by_topic(wanted.topic)]
            if any(qos.durability == _KEPT and qos.reliability == _RELIABLE for qos in offered):
                self._wanted.remove(wanted)
                self._subscriptions.append(self._subscribed(wanted))

    def forget(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._wanted, self._subscriptions = [], []

    def _subscribed(self, wanted: _Wanted) -> Any:
        return self._node.create_subscription(
            wanted.message_type,
            wanted.topic,
            wanted.callback,
            QoSProfile(depth=_DEPTH, reliability=_RELIABLE, durability=_KEPT),
            callback_group=wanted.group,
            # What other publishers can't give comes by the first subscription: nothing to warn of.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
