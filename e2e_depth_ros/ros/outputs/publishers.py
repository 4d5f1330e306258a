"""The node's outputs as publishers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic

from rclpy.lifecycle import LifecycleNode

from e2e_depth_ros.ros.declarations.qos import QosOverrides
from e2e_depth_ros.ros.declarations.topics import AnyTopic


class OutputPublishers(Generic[AnyTopic]):
    """A lifecycle publisher for each of a node's outputs."""

    def __init__(
        self,
        node: LifecycleNode,
        topics: Iterable[AnyTopic],
        *,
        overrides: QosOverrides,
        reliability: str,
        queue_size: int,
        group: Any,
    ) -> None:
        """Offer all outputs.

        Args:
            node: Whose they are.
            topics: The outputs.
            overrides: What the user overrides of their QoS.
            reliability: "reliable" or "best_effort".
            queue_size: QoS history depth.
            group: The callback group of their events.

        Raises:
            BadParameterError: An override is refused.
        """
        self._node = node
        self._publishers: dict[AnyTopic, Any] = {}
        for output in topics:
            profile = overrides.publisher(
                node.resolve_topic_name(output.value), reliability=reliability, queue_size=queue_size
            )
            self._publishers[output] = node.create_lifecycle_publisher(
                output.message_type, output.value, profile, callback_group=group
            )

    def wanted(self) -> set[AnyTopic]:
        """Find the outputs that someone subscribes to."""
        return {output for output, one in self._publishers.items() if one.get_subscription_count()}

    def publish(self, messages: Mapping[AnyTopic, Any]) -> None:
        """Publish the messages in their order."""
        for output, message in messages.items():
            self._publishers[output].publish(message)

    def destroy(self) -> None:
        """Take the offers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}
