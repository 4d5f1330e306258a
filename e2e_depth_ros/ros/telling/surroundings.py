"""What surrounds a node in the ROS graph, as far as it explains why nothing comes or goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile

from e2e_depth_ros.ros.messages.refusal import one_line
from e2e_depth_ros.ros.telling.diagnostics import make_status
from e2e_depth_ros.ros.telling.ear import Ear
from e2e_depth_ros.ros.telling.silence import Silence

_NAMESAKES: Final = "namesakes"
_LOGGED_AFTER_S: Final = 3.0  # of silence; until then publishers may not have been discovered


class Surroundings:
    """Looks now and then at who publishes a node's inputs, and who has the node's name.

    Belongs to the executor's thread; `silences` may be read from any.

    Attributes:
        silences: Why nothing comes on an input, by its name, as of the last look. Replaced as a whole.
    """

    def __init__(self, node: Node) -> None:
        """Know nothing yet.

        Args:
            node: Whose surroundings they are.
        """
        self.silences: Mapping[str, Silence] = {}
        self._node = node
        self._ears: dict[str, Ear] = {}
        self._logged: set[tuple[str, bool]] = set()  # what of, and whether it is a fault
        self._namesakes = 0

    def ear(self, name: str, topic: str, message_type: Any, profile: QoSProfile) -> Ear:
        """Watch an input from now on; see `Ear`. Two subscriptions to one topic have one ear."""
        return self._ears.setdefault(name, Ear(self._node, name, topic, message_type, profile))

    def forget_inputs(self) -> None:
        """Watch no input any more."""
        self._ears = {}
        self.silences = {}
        self._logged.clear()

    def look(self) -> None:
        """Look around, and log what is new and wrong."""
        silences = {name: ear.silence() for name, ear in self._ears.items()}
        self.silences = {name: silence for name, silence in silences.items() if silence is not None}
        for name, silence in self.silences.items():
            if (silence.is_fault or name == "image") and silence.since_s >= _LOGGED_AFTER_S:
                self._log((name, silence.is_fault), silence.words)
        self._logged -= {kind for kind in self._logged if kind[0] not in {*self.silences, _NAMESAKES}}
        own_name = self._node.get_fully_qualified_name()
        self._namesakes = self._node.get_fully_qualified_node_names().count(own_name) - 1
        if self._namesakes > 0:
            self._log((_NAMESAKES, True), self._namesake_words())
        else:
            self._logged.discard((_NAMESAKES, True))

    def silence(self, name: str) -> str:
        """Say why nothing comes on an input; empty where something does."""
        return self.silences[name].words if name in self.silences else ""

    def status(self, node_name: str) -> DiagnosticStatus:
        """Report what was seen at the last look.

        Args:
            node_name: Whose surroundings they are.
        """
        faults = [silence.words for silence in self.silences.values() if silence.is_fault]
        if self._namesakes > 0:
            faults.append(self._namesake_words())
        values = {
            name: self.silence(name) or f"{ear.count} messages on {ear.topic}"
            for name, ear in self._ears.items()
        }
        level = DiagnosticStatus.WARN if faults else DiagnosticStatus.OK
        message = "; ".join(faults) or self._quiet_words()
        return make_status(f"{node_name}: graph", level, message, values)

    def _quiet_words(self) -> str:
        if not self._ears:
            return "not active: no inputs"
        return f"silent: {', '.join(self.silences)}" if self.silences else "all inputs are heard"

    def _namesake_words(self) -> str:
        name = self._node.get_fully_qualified_name()
        return (
            f"{self._namesakes + 1} nodes are named {name}: start one as another (-r __node:=NAME); one that"
            " was killed stays in the graph for about 20 s"
        )

    def _log(self, kind: tuple[str, bool], words: str) -> None:
        if kind not in self._logged:
            self._logged.add(kind)
            self._node.get_logger().warning(one_line(words))
