"""The QoS of the node's topics: what its parameters say, unless `qos_overrides` say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy

from e2e_depth_ros.ros.declarations.declaration import BadParameterError

PREFIX: Final = "qos_overrides."
"""How the names of overrides begin."""

_RELIABILITY: Final = {
    "reliable": QoSReliabilityPolicy.RELIABLE,
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
    "system_default": QoSReliabilityPolicy.SYSTEM_DEFAULT,
}
_HISTORY: Final = {
    "keep_last": QoSHistoryPolicy.KEEP_LAST,
    "keep_all": QoSHistoryPolicy.KEEP_ALL,
    "system_default": QoSHistoryPolicy.SYSTEM_DEFAULT,
}
_MOST_DEPTH: Final = 2**31 - 1


class QosOverrides:
    """Reads the parameters `qos_overrides.TOPIC.subscription.POLICY`, and those of publishers.

    rclpy can do this too. But it keeps the first default as an override for ever: a reliability that is
    changed while unconfigured would be ignored from the second configuration on.
    """

    def __init__(self, node: Node) -> None:
        """Read nothing yet.

        Args:
            node: The node with these topics and parameters.
        """
        self._node = node
        self._given: dict[str, Any] = {}  # by name; None where nothing is overridden

    def subscription(self, topic: str, *, reliability: str, queue_size: int) -> QoSProfile:
        """Return the profile of a subscription; see `publisher`."""
        return self._profile(f"{PREFIX}{topic}.subscription", reliability, queue_size)

    def publisher(self, topic: str, *, reliability: str, queue_size: int) -> QoSProfile:
        """Return the profile of a publisher.

        Args:
            topic: Full name, after remapping.
            reliability: "reliable" or "best_effort", unless overridden.
            queue_size: History depth, unless overridden.

        Raises:
            BadParameterError: An override has a value that no policy has.
        """
        return self._profile(f"{PREFIX}{topic}.publisher", reliability, queue_size)

    def _profile(self, name: str, reliability: str, queue_size: int) -> QoSProfile:
        return QoSProfile(
            history=_choice(f"{name}.history", self._value(f"{name}.history", "keep_last"), _HISTORY),
            depth=_depth(f"{name}.depth", self._value(f"{name}.depth", queue_size)),
            reliability=_choice(
                f"{name}.reliability", self._value(f"{name}.reliability", reliability), _RELIABILITY
            ),
        )

    def _value(self, name: str, default: Any) -> Any:
        """Find the value in use, and show it as a parameter."""
        if name not in self._given:
            untyped = ParameterDescriptor(dynamic_typing=True)
            self._given[name] = self._node.declare_parameter(name, None, untyped).value
        value = default if self._given[name] is None else self._given[name]
        self._node.undeclare_parameter(name)
        # Not read_only, or it could not be declared anew with another default: `ParameterServer` guards it.
        about = ParameterDescriptor(description="QoS in use; changes only at start.")
        self._node.declare_parameter(name, value, about, ignore_override=True)
        return value


def _choice(name: str, value: Any, choices: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise BadParameterError(f"parameter {name}: expected {', '.join(choices)}, got {value!r}")
    return choices[value]


def _depth(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_DEPTH:
        raise BadParameterError(f"parameter {name}: expected an integer of 0 .. {_MOST_DEPTH}, got {value!r}")
    return value
