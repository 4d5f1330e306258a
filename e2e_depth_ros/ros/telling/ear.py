"""Whether an input hears anything, and if not, why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from e2e_depth_ros.ros.telling.silence import Silence

_LEAST_PAUSE_S: Final = 2.0
_PERIODS: Final = 3.0  # of the sender; a slow camera rests between its images
_MOST_NAMES: Final = 3


class Ear:
    """Counts the messages of a subscription; finds out in the graph why none come.

    `hears` may be called from any thread, `silence` from the executor's.

    Attributes:
        name: What comes here, for people, say "image".
        topic: Full name.
        count: Messages so far.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        message_type: Any,
        profile: QoSProfile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hear nothing yet.

        Args:
            node: Whose graph is asked.
            name: What comes here, for people.
            topic: Full name, after remapping.
            message_type: ROS message class.
            profile: What the subscription asks for.
            clock: Tells seconds, and never goes back.
        """
        self.name = name
        self.topic = topic
        self.count = 0
        self._node = node
        self._type = type_name(message_type)
        self._profile = profile
        self._clock = clock
        self._last_s = clock()
        self._period_s = 0.0

    def hears(self) -> None:
        """Count a message that came."""
        now_s = self._clock()
        if self.count:
            self._period_s = now_s - self._last_s
        self._last_s = now_s
        self.count += 1

    def silence(self) -> Silence | None:
        """Say why nothing is heard; None where messages come, as often as they use to."""
        since_s = self._clock() - self._last_s
        if self.count and since_s <= max(_LEAST_PAUSE_S, _PERIODS * self._period_s):
            return None
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        reason, is_fault = self._reason(publishers)
        if self.count:
            after = f"; {reason}" if reason else ""
            words = f"last {self.name} {since_s:.1f} s ago on {self.topic}{after}"
        else:
            words = f"no {self.name} on {self.topic}: {reason or 'its publisher has sent none yet'}"
        return Silence(words, since_s, len(publishers), is_fault)

    def _reason(self, publishers: Sequence[Any]) -> tuple[str, bool]:
        """Why publishers can't be heard, and whether that is a fault; empty where one could be heard."""
        if not publishers:
            return "it has no publisher", False
        typed = [publisher for publisher in publishers if publisher.topic_type == self._type]
        if not typed:
            types = _listed(publisher.topic_type for publisher in publishers)
            return f"{_names(publishers)} publishes {types}, expected {self._type}", True
        reasons = [incompatibility(publisher.qos_profile, self._profile) for publisher in typed]
        if not all(reasons):
            return "", False
        return f"{_names(typed)} publishes {_listed(reasons)}", True


def type_name(message_type: Any) -> str:
    """Return the name of a message class as the graph has it, say "sensor_msgs/msg/Image"."""
    package, kind, *_ = message_type.__module__.split(".")
    return f"{package}/{kind}/{message_type.__name__}"


def incompatibility(offered: QoSProfile, asked: QoSProfile) -> str:
    """Say why DDS connects a publisher and a subscription not; empty where it does.

    Deadline, lifespan and liveliness can't be the cause: this node's inputs ask for none.
    """
    if (
        offered.reliability == QoSReliabilityPolicy.BEST_EFFORT
        and asked.reliability == QoSReliabilityPolicy.RELIABLE
    ):
        return "best effort, but reliable is asked for: set input_reliability to best_effort"
    if (
        offered.durability == QoSDurabilityPolicy.VOLATILE
        and asked.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    ):
        return "with durability volatile, but transient local is asked for"
    return ""


def _names(publishers: Iterable[Any]) -> str:
    """Name the nodes that publish."""
    return _listed(
        f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}" for publisher in publishers
    )


def _listed(texts: Iterable[str]) -> str:
    different = sorted(set(texts))
    more = f" and {len(different) - _MOST_NAMES} more" if len(different) > _MOST_NAMES else ""
    return ", ".join(different[:_MOST_NAMES]) + more
