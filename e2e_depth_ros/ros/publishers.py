"""The node's outputs as publishers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from e2e_depth_ros.ros.outputs import Topic

RELIABILITY: Final = {
    "reliable": QoSReliabilityPolicy.RELIABLE,
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
}
"""What the reliability parameters mean."""


class OutputPublishers(Generic[Topic]):
    """A lifecycle publisher for each of a node's outputs."""

    def __init__(
        self,
        node: LifecycleNode,
        topics: Iterable[Topic],
        *,
        reliability: str,
        queue_size: int,
        group: Any,
    ) -> None:
        """Offer all outputs.

        Args:
            node: Whose they are.
            topics: The outputs.
            reliability: "reliable" or "best_effort".
            queue_size: QoS history depth.
            group: The callback group of their events.
        """
        self._node = node
        profile = QoSProfile(depth=queue_size, reliability=RELIABILITY[reliability])
        self._publishers: dict[Topic, Any] = {
            output: node.create_lifecycle_publisher(
                output.message_type,
                output.value,
                profile,
                callback_group=group,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for output in topics
        }

    def wanted(self) -> set[Topic]:
        """Find the outputs that someone subscribes to."""
        return {output for output, one in self._publishers.items() if one.get_subscription_count()}

    def publish(self, messages: Mapping[Topic, Any]) -> None:
        """Publish the messages in their order."""
        for output, message in messages.items():
            self._publishers[output].publish(message)

    def destroy(self) -> None:
        """Take the offers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}
