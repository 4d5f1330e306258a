"""The node's outputs as publishers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from e2e_depth_ros.ros.outputs import Output

RELIABILITY: Final = {
    "reliable": QoSReliabilityPolicy.RELIABLE,
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
}
"""What the reliability parameters mean."""


class OutputPublishers:
    """A lifecycle publisher for each output."""

    def __init__(self, node: LifecycleNode, reliability: str, queue_size: int, group: Any) -> None:
        """Offer all outputs.

        Args:
            node: Whose they are.
            reliability: "reliable" or "best_effort".
            queue_size: QoS history depth.
            group: The callback group of their events.
        """
        self._node = node
        profile = QoSProfile(depth=queue_size, reliability=RELIABILITY[reliability])
        self._publishers = {
            output: node.create_lifecycle_publisher(
                output.message_type,
                output.value,
                profile,
                callback_group=group,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for output in Output
        }

    def wanted(self) -> set[Output]:
        """Find the outputs that someone subscribes to."""
        return {output for output, one in self._publishers.items() if one.get_subscription_count()}

    def publish(self, messages: Mapping[Output, Any]) -> None:
        """Publish the messages in their order."""
        for output, message in messages.items():
            self._publishers[output].publish(message)

    def destroy(self) -> None:
        """Take the offers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}
